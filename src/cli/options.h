/*
 * options.h -- the command line and the configuration, to struct settings.
 *
 * One table lists every option of mailmount(1): its key, how its value is read, where it is
 * stored; `-o` and the configuration file both go through it.  Unknown `-o` names pass through to
 * FUSE (those that mount(8) adds, `_netdev`, `x-*`, are dropped).
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

struct mount_command {
    struct settings settings;
    char *mountpoint; /* owned, as given */
};
void mount_command_release(struct mount_command *command);

/* Parses `[-f] [-d] [-o OPT,...] ACCOUNT MOUNTPOINT` (options before, between or behind).
 * Returns an exit code; other than EXIT_OK, `err` says why in one line. */
MUST_USE int options_parse(int argc, char **argv, struct mount_command *ret, struct errtext *err);

/* The settings of an account by name or URL, with its configuration but no command line: what
 * verbs need. */
MUST_USE int options_account(const char *account, struct settings *ret, struct errtext *err);

/* Where the daemon of an account listens: $XDG_RUNTIME_DIR/mailmount/SLUG.sock, else
 * STATE_DIR/socket.  The caller owns the result. */
char *options_socket_path(const struct settings *settings);

#endif
