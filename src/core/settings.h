/*
 * settings.h -- what one account and its mount are set to: the options of mailmount(1), parsed.
 *
 * Filled by cli/options from the configuration file and the command line; read-only afterwards.
 * Strings are owned; NULL means not given.
 */
#ifndef MAILMOUNT_SETTINGS_H
#define MAILMOUNT_SETTINGS_H

#include <stdint.h>

#include "util.h"

enum settings_tls { SETTINGS_TLS_IMPLICIT, SETTINGS_TLS_STARTTLS, SETTINGS_TLS_NONE };

/* What is used to hear of changes, beside the poll. */
enum settings_push {
    SETTINGS_PUSH_AUTO,
    SETTINGS_PUSH_NOTIFY,
    SETTINGS_PUSH_IDLE,
    SETTINGS_PUSH_NONE
};

struct settings {
    char *account; /* as the user named it */
    char *slug;    /* names directories and sockets: no slash, no leading dot */
    char *host;
    uint16_t port;
    enum settings_tls tls;
    char *user;
    char *folder; /* mount path of the URL's /FOLDER, which becomes the root; NULL: all */
    char *passcmd, *passfile;
    char *insecure_password;
    char *auth; /* NULL: the best */
    char *cafile;
    char *cache_dir, *state_dir; /* always set */
    uint64_t cache_size;         /* bytes; 0: 2 GiB or a tenth of the disk */
    unsigned connections;        /* 1..10 */
    unsigned timeout_s;
    unsigned poll_s;
    enum settings_push push;
    bool mtime_date; /* mtime=date */
    bool read_only;
    bool offline;
    bool announce;      /* to inotify watchers */
    char **folders;     /* globs, ends with NULL; NULL: all folders */
    char *fuse_options; /* passed through, comma-separated; NULL: none */
    bool foreground, debug;
};

void settings_release(struct settings *settings);
#define CLEANUP_SETTINGS CLEANUP(settings_release)

#endif
