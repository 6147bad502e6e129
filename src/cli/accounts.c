#include "accounts.h"

#include <errno.h>
#include <string.h>

#include "conf.h"
#include "options.h"
#include "paths.h"
#include "str.h"
#include "verbs.h"

/* The configuration while it is looked through; `conf` is NULL when there is no file. */
struct lookup {
    struct conf *conf;
    char *path;
    struct errtext *err;
};

static void lookup_release(struct lookup *lookup)
{
    conf_free(lookup->conf);
    free(lookup->path);
}

void account_found_release(struct account_found *found)
{
    free(found->name);
    option_values_release(&found->values);
    *found = (struct account_found){0};
}

/* Before the text of an error: which line of the file. */
static int at_line(const struct lookup *lookup, unsigned line, int r, const struct errtext *why)
{
    return err_set(lookup->err, -r, "%s:%u: %s", lookup->path, line, why->text);
}

struct applying {
    const struct lookup *lookup;
    struct account_found *found;
};

static int apply_value(void *ctx, const struct conf_value *value)
{
    const struct applying *a = ctx;
    struct errtext why = {""};
    if (strcmp(value->key, "insecure_password") == 0 && !conf_is_private(a->lookup->conf)) {
        err_set(&why, EPERM, "insecure_password: the file must be ours and of mode 0600 for that");
        return at_line(a->lookup, value->line, -EINVAL, &why);
    }
    int r = option_set(&a->found->values, value->is_default ? OPTION_DEFAULTS : OPTION_ACCOUNT,
                       value->key, value->value, &why);
    return r < 0 ? at_line(a->lookup, value->line, r, &why) : 0;
}

/* Defaults alone with the name NULL.  0 or -errno with the error's text. */
static int apply(const struct lookup *lookup, const char *name, struct account_found *ret)
{
    CLEANUP(account_found_release) struct account_found found = {0};
    struct applying applying = {.lookup = lookup, .found = &found};
    int r = conf_account(lookup->conf, name, apply_value, &applying);
    if (r < 0)
        return r;
    if (name && !found.values.url.host)
        return err_set(lookup->err, EINVAL, "%s: account %s has no url", lookup->path, name);
    if (name && !(found.name = strdup(name)))
        return err_set(lookup->err, ENOMEM, "out of memory");
    *ret = found;
    found = (struct account_found){0};
    return 0;
}

/* Every account must be right, so that a mistake shows when it is made. */
static int check_all(const struct lookup *lookup)
{
    const char *name;
    for (unsigned n = 0; (name = conf_account_name(lookup->conf, n)) != NULL; n++) {
        CLEANUP(account_found_release) struct account_found found = {0};
        if (verb_known(name))
            return err_set(lookup->err, EINVAL,
                           "%s: an account cannot be called `%s`: that is a verb of mailmount",
                           lookup->path, name);
        if (!*name || url_is(name) || strlen(name) > 200)
            return err_set(lookup->err, EINVAL, "%s: `%.50s` cannot be the name of an account",
                           lookup->path, name);
        int r = apply(lookup, name, &found);
        if (r < 0)
            return r;
    }
    CLEANUP(account_found_release) struct account_found defaults = {0};
    return apply(lookup, NULL, &defaults);
}

static int open_conf(struct lookup *lookup)
{
    lookup->path = paths_config_file();
    if (!lookup->path)
        return err_set(lookup->err, ENOENT, "no home directory: HOME is not set");
    int r = conf_read(lookup->path, option_conf_keys(), &lookup->conf, lookup->err);
    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    return r < 0 ? r : check_all(lookup);
}

static bool is_account(const struct lookup *lookup, const char *account)
{
    const char *name;
    for (unsigned n = 0; lookup->conf && (name = conf_account_name(lookup->conf, n)); n++)
        if (strcmp(name, account) == 0)
            return true;
    return false;
}

static int fail_unknown(const struct lookup *lookup, const char *account)
{
    if (strchr(account, '@'))
        err_set(lookup->err, ENOENT,
                "%.100s: no account with this user in %s; add one, or name the server: "
                "imaps://%.100s@HOST",
                account, lookup->path, account);
    else
        err_set(lookup->err, ENOENT,
                "%.100s: no such account in %s%s; add it, or give a URL: imaps://USER@HOST",
                account, lookup->path, lookup->conf ? "" : " (no such file)");
    return EXIT_NOT_FOUND;
}

/* The account whose url has this user, if it is the only one. */
static int find_address(const struct lookup *lookup, const char *address, struct account_found *ret)
{
    CLEANUP_STR struct str names = STR_INIT(300);
    const char *name, *match = NULL;
    unsigned matches = 0;
    for (unsigned n = 0; lookup->conf && (name = conf_account_name(lookup->conf, n)); n++) {
        CLEANUP(account_found_release) struct account_found found = {0};
        if (apply(lookup, name, &found) < 0)
            return EXIT_USAGE;
        if (strcmp(found.values.url.user, address) != 0)
            continue;
        match = name;
        str_printf_append(&names, "%s%s", matches++ ? ", " : "", name);
    }
    if (matches == 0)
        return fail_unknown(lookup, address);
    if (matches > 1) {
        err_set(lookup->err, EINVAL, "%.100s: several accounts have this user; name one: %s",
                address, names.data);
        return EXIT_NOT_FOUND;
    }
    return apply(lookup, match, ret) < 0 ? EXIT_USAGE : EXIT_OK;
}

static int find_url(const struct lookup *lookup, const char *text, struct account_found *ret)
{
    CLEANUP(account_found_release) struct account_found found = {0};
    if (lookup->conf && apply(lookup, NULL, &found) < 0)
        return EXIT_USAGE;
    if (url_parse(text, &found.values.url, lookup->err) < 0)
        return EXIT_USAGE;
    *ret = found;
    found = (struct account_found){0};
    return EXIT_OK;
}

int account_find(const char *account, struct account_found *ret, struct errtext *err)
{
    CLEANUP(lookup_release) struct lookup lookup = {.err = err};
    if (verb_known(account)) {
        err_set(err, EINVAL, "`%s` is a verb, not an account: mailmount %s", account, account);
        return EXIT_USAGE;
    }
    if (open_conf(&lookup) < 0)
        return EXIT_USAGE;
    if (url_is(account))
        return find_url(&lookup, account, ret);
    if (is_account(&lookup, account))
        return apply(&lookup, account, ret) < 0 ? EXIT_USAGE : EXIT_OK;
    if (strchr(account, '@'))
        return find_address(&lookup, account, ret);
    return fail_unknown(&lookup, account);
}
