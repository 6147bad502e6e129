/*
 * secret.h -- where the password or access token comes from.
 *
 * Order: passcmd, passfile, $CREDENTIALS_DIRECTORY/mailmount.ACCOUNT, insecure_password, the
 * terminal.  Memory that holds a secret is locked, kept out of core dumps and wiped when freed.
 * A secret is one line, at most SECRET_MAX bytes, without its line end; NUL is refused.
 */
#ifndef MAILMOUNT_SECRET_H
#define MAILMOUNT_SECRET_H

#include "settings.h"

#define SECRET_MAX 65536

struct secret;

/* Called before threads and before daemonising when the terminal may have to be asked
 * (ask_terminal); later calls (reconnection) pass false and `previous`, the secret of the first
 * call, which is used again when it came from the terminal.
 * -EKEYEXPIRED: there is none, the command failed, or the file is unsafe; `err` says which. */
MUST_USE int secret_get(const struct settings *settings, bool ask_terminal,
                        const struct secret *previous, struct secret **ret, struct errtext *err);
const char *secret_text(const struct secret *secret);
void secret_free(struct secret *secret);
void secret_freep(struct secret **secret);

#endif
