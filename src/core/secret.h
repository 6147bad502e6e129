/*
 * secret.h -- where the password or access token comes from.
 *
 * Order: passcmd, passfile, $CREDENTIALS_DIRECTORY/mailmount.SLUG, insecure_password, the
 * terminal.  The first that is set counts: when it fails, the next is not tried.
 * A secret is one line, at most SECRET_MAX bytes, without its line end; NUL is refused.
 *
 * Memory that holds a secret is locked, kept out of core dumps and wiped when freed.  A lock does
 * not survive fork: call secret_lock after daemonising.
 *
 * passcmd runs without a shell, in its own process group, with /dev/null as its input and no
 * descriptor of ours but standard error; it has SECRET_COMMAND_S seconds and SECRET_MAX bytes,
 * then its whole group is killed.  SIGCHLD must not be ignored.
 */
#ifndef MAILMOUNT_SECRET_H
#define MAILMOUNT_SECRET_H

#include "settings.h"

#define SECRET_MAX       65536
#define SECRET_COMMAND_S 60

struct secret;

/* Called before threads and before daemonising when the terminal may have to be asked
 * (ask_terminal); later calls (reconnection) pass false and `previous`, the secret of the first
 * call, which is used again when it came from the terminal.
 * -EKEYEXPIRED: there is none, the command failed, or the file is unsafe; `err` says which. */
MUST_USE int secret_get(const struct settings *settings, bool ask_terminal,
                        const struct secret *previous, struct secret **ret, struct errtext *err);
const char *secret_text(const struct secret *secret);
/* Locks its memory again, in the child after a fork (best effort). */
void secret_lock(struct secret *secret);
void secret_free(struct secret *secret);
void secret_freep(struct secret **secret);

#endif
