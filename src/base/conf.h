/*
 * conf.h -- the configuration file, mailmount.conf(5).  [libconfuse]
 *
 *   defaults { KEY = VALUE ... }
 *   account NAME { KEY = VALUE ... }
 *
 * Which keys exist is the caller's business: it gives their names, and anything else is refused
 * with the line number.  All values are strings here; what they mean is the caller's.
 *
 * Threads: conf_read one at a time (libconfuse's scanner is global); the rest from any thread.
 */
#ifndef MAILMOUNT_CONF_H
#define MAILMOUNT_CONF_H

#include "util.h"

/* A larger file is refused. */
#define CONF_FILE_MAX ((size_t)1 << 20)

/* Borrowed; valid as long as the conf. */
struct conf_value {
    const char *key;
    const char *value;
    unsigned line;   /* from 1 */
    bool is_default; /* from `defaults`, not from the account itself */
};

/* Called for each key that is set, `defaults` first, then the account's own, each in the order
 * of the file.  A negative return ends the reading and is passed on. */
typedef int conf_value_fn(void *ctx, const struct conf_value *value);

struct conf;

/* Reads and checks the whole file.  `keys` ends with NULL.  -ENOENT: no such file.
 * -EINVAL: `err` has path, line and reason.  -EPERM: the file belongs to somebody else than us or
 * root, or it or one of its directories can be written by others (a sticky directory is fine). */
MUST_USE int conf_read(const char *path, const char *const *keys, struct conf **ret_conf,
                       struct errtext *err);
void conf_free(struct conf *conf);
void conf_freep(struct conf **conf);

/* Whether the file is ours and closed to everyone else (0600 or less): it may hold a password. */
bool conf_is_private(const struct conf *conf);

/* The values for one account; with the name NULL, those of `defaults` alone.
 * -ENOENT: no such account. */
MUST_USE int conf_account(const struct conf *conf, const char *name, conf_value_fn *fn, void *ctx);
/* The n-th account's name in the order of the file, NULL behind the last; borrowed. */
const char *conf_account_name(const struct conf *conf, unsigned n);

#endif
