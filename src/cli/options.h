/*
 * options.h -- the command line and the configuration, to struct settings.
 *
 * One table (optable.h) lists every option of mailmount(1): its key, how its value is read, where
 * it is stored; `-o` and the configuration file both go through it.  Known FUSE options pass
 * through, those that mount(8) adds (`_netdev`, `x-*`, ...) are dropped, other words are refused.
 */
#ifndef MAILMOUNT_OPTIONS_H
#define MAILMOUNT_OPTIONS_H

#include "settings.h"

enum exit_code {
    EXIT_OK = 0,
    EXIT_OTHER = 1,
    EXIT_USAGE = 2,
    EXIT_LOGIN = 3,
    EXIT_UNREACHABLE = 4,
    EXIT_TLS = 5,
    EXIT_NOT_FOUND = 6,
    EXIT_REMAIN = 7,
    EXIT_MOUNTED = 8,
};

#define OPTIONS_USAGE "mailmount [-f] [-d] [-o OPT[,OPT...]] ACCOUNT MOUNTPOINT"

struct mount_command {
    struct settings settings;
    char *mountpoint; /* owned, as given */
};
void mount_command_release(struct mount_command *command);

/* Parses `[-f] [-d] [-o OPT,...] ACCOUNT MOUNTPOINT` (options before, between or behind); -d
 * implies -f.  `argv` is that of main, argv[0] included.  Returns an exit code; other than
 * EXIT_OK, `err` says why in one line and `ret` is untouched.
 *
 * With -o setuid=USER, root's process becomes that user here, for good (ids, groups, HOME, USER,
 * LOGNAME, XDG_*), before the configuration is looked for.  So call it before threads. */
MUST_USE int options_parse(int argc, char **argv, struct mount_command *ret, struct errtext *err);

/* The settings of an account by name, address or URL, with its configuration but no command line:
 * what verbs need.  Exit codes as above.  settings.account is the name in the configuration, or
 * the URL; for an address that is some account's user, that account's name. */
MUST_USE int options_account(const char *account, struct settings *ret, struct errtext *err);

/* Where the daemon of an account listens: $XDG_RUNTIME_DIR/mailmount/SLUG.sock, else
 * STATE_DIR/socket.  The caller owns the result; NULL: out of memory. */
char *options_socket_path(const struct settings *settings);

#endif
