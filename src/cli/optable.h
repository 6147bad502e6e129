/*
 * optable.h -- the one table of options: `-o`, the configuration keys and --help come from it.
 */
#ifndef MAILMOUNT_OPTABLE_H
#define MAILMOUNT_OPTABLE_H

#include "settings.h"
#include "url.h"

/* Where a value comes from; a later one wins. */
enum option_source { OPTION_DEFAULTS, OPTION_ACCOUNT, OPTION_COMMAND };

/* Settings that are being put together, with what the table needs besides. */
struct option_values {
    struct settings settings;
    struct url url;                   /* the account's; its host is NULL when not given */
    bool tls_none;                    /* tls=none */
    enum option_source secret_source; /* of passcmd, passfile or insecure_password */
};
void option_values_release(struct option_values *values);

/* Sets one option; `value` is NULL when there was no `=`.  -ENOENT: the table has no such option;
 * -EINVAL: not with this value, or not from this source, and `err` says why.
 * A secret (passcmd, passfile, insecure_password) from a later source replaces all earlier ones. */
MUST_USE int option_set(struct option_values *values, enum option_source source, const char *key,
                        const char *value, struct errtext *err);

struct option_usage {
    const char *key;
    const char *arg; /* NULL: a switch */
    const char *help;
};
/* The n-th option of --help; false behind the last. */
bool option_describe(unsigned n, struct option_usage *ret);

/* The keys of the configuration file; ends with NULL; borrowed. */
const char *const *option_conf_keys(void);

#endif
