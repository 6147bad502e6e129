/*
 * conf.h -- the configuration file, mailmount.conf(5).  [libconfuse]
 *
 *   defaults { KEY = VALUE ... }
 *   account NAME { KEY = VALUE ... }
 *
 * The file says which keys exist nowhere: the caller gives their names, unknown ones are
 * refused with the line number.  All values are strings here; what they mean is the caller's.
 */
#ifndef MAILMOUNT_CONF_H
#define MAILMOUNT_CONF_H

#include "util.h"

/* Called for each key that is set, `defaults` first, then the account's own.
 * A negative return ends the reading and is passed on. */
typedef int conf_value_fn(void *ctx, const char *key, const char *value);

struct conf;

/* Reads and checks the whole file.  `keys` ends with NULL.  -ENOENT: no such file.
 * -EINVAL: `err` has path, line and reason.  -EPERM: the file or one of its directories can be
 * written by others, or it holds insecure_password and is not 0600. */
MUST_USE int conf_read(const char *path, const char *const *keys, struct conf **ret_conf,
                       struct errtext *err);
void conf_free(struct conf *conf);
void conf_freep(struct conf **conf);

/* -ENOENT: no such account. */
MUST_USE int conf_account(const struct conf *conf, const char *name, conf_value_fn *fn, void *ctx);
/* The n-th account's name, NULL behind the last; borrowed. */
const char *conf_account_name(const struct conf *conf, unsigned n);

#endif
