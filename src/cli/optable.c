#include "optable.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "paths.h"
#include "words.h"

#define FOLDERS_MAX 1000

struct option;
typedef int set_fn(const struct option *option, void *field, enum option_source source,
                   const char *value, struct errtext *err);

struct option {
    const char *key;
    const char *arg; /* for the usage; NULL: a switch */
    const char *help;
    set_fn *set;
    size_t offset; /* into struct option_values */
    uint64_t min, max;
    enum { ANYWHERE, CONF_ONLY, ACCOUNT_ONLY } place;
};

void option_values_release(struct option_values *values)
{
    settings_release(&values->settings);
    url_release(&values->url);
    *values = (struct option_values){0};
}

static int replace(char **field, char *value)
{
    if (!value)
        return -ENOMEM;
    free(*field);
    *field = value;
    return 0;
}

/* ---- how values are read */

static int set_switch(const struct option *option, void *field, enum option_source source,
                      const char *value, struct errtext *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    (void)source;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!value || strcasecmp(value, words[i]) == 0) {
            *(bool *)field = !value || i % 2;
            return 0;
        }
    }
    return err_set(err, EINVAL, "%s: true or false, not `%s`", option->key, value);
}

static int set_text(const struct option *option, void *field, enum option_source source,
                    const char *value, struct errtext *err)
{
    (void)source;
    if (!*value)
        return err_set(err, EINVAL, "%s: needs a value", option->key);
    return replace(field, strdup(value));
}

static int set_command(const struct option *option, void *field, enum option_source source,
                       const char *value, struct errtext *err)
{
    CLEANUP_FREE char **words = NULL;
    int r = words_split(value, &words, NULL);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return err_set(err, EINVAL, "%s: its quotes do not match, or it is empty or too long",
                       option->key);
    return set_text(option, field, source, value, err);
}

static int set_path(const struct option *option, void *field, enum option_source source,
                    const char *value, struct errtext *err)
{
    char *path;
    int r = paths_expand(value, source == OPTION_COMMAND, &path);
    if (r == -EINVAL)
        return err_set(err, EINVAL, "%s: `%s` must begin with / or ~/", option->key, value);
    return r < 0 ? r : replace(field, path);
}

static int set_number(const struct option *option, void *field, enum option_source source,
                      const char *value, struct errtext *err)
{
    uint64_t number;
    (void)source;
    if (parse_u64(value, option->max, &number) < 0 || number < option->min)
        return err_set(err, EINVAL, "%s: a number from %llu to %llu, not `%s`", option->key,
                       (unsigned long long)option->min, (unsigned long long)option->max, value);
    *(unsigned *)field = (unsigned)number;
    return 0;
}

static int set_bytes(const struct option *option, void *field, enum option_source source,
                     const char *value, struct errtext *err)
{
    uint64_t bytes;
    (void)source;
    if (parse_bytes(value, &bytes) < 0 || bytes == 0)
        return err_set(err, EINVAL, "%s: a size such as 500M or 2G, not `%s`", option->key, value);
    *(uint64_t *)field = bytes;
    return 0;
}

static int set_auth(const struct option *option, void *field, enum option_source source,
                    const char *value, struct errtext *err)
{
    static const char *const names[] = {"plain",         "login",   "cram-md5",   "scram-sha-1",
                                        "scram-sha-256", "xoauth2", "oauthbearer"};
    (void)source;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcasecmp(value, names[i]) == 0)
            return replace(field, strdup(names[i]));
    return err_set(err, EINVAL,
                   "%s: `%s` is none of plain, login, cram-md5, scram-sha-1, scram-sha-256, "
                   "xoauth2, oauthbearer",
                   option->key, value);
}

static int set_mtime(const struct option *option, void *field, enum option_source source,
                     const char *value, struct errtext *err)
{
    (void)source;
    if (strcmp(value, "internal") != 0 && strcmp(value, "date") != 0)
        return err_set(err, EINVAL, "%s: internal or date, not `%s`", option->key, value);
    *(bool *)field = strcmp(value, "date") == 0;
    return 0;
}

static int set_push(const struct option *option, void *field, enum option_source source,
                    const char *value, struct errtext *err)
{
    static const char *const names[] = {[SETTINGS_PUSH_AUTO] = "auto",
                                        [SETTINGS_PUSH_NOTIFY] = "notify",
                                        [SETTINGS_PUSH_IDLE] = "idle",
                                        [SETTINGS_PUSH_NONE] = "none"};
    (void)source;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            *(enum settings_push *)field = (enum settings_push)i;
            return 0;
        }
    }
    return err_set(err, EINVAL, "%s: auto, notify, idle or none, not `%s`", option->key, value);
}

static int set_tls(const struct option *option, void *field, enum option_source source,
                   const char *value, struct errtext *err)
{
    (void)source;
    if (strcmp(value, "none") != 0)
        return err_set(err, EINVAL, "%s: only `none` can be chosen, for servers on this machine",
                       option->key);
    *(bool *)field = true;
    return 0;
}

static int set_url(const struct option *option, void *field, enum option_source source,
                   const char *value, struct errtext *err)
{
    struct url url;
    (void)option;
    (void)source;
    int r = url_parse(value, &url, err);
    if (r < 0)
        return r;
    url_release(field);
    *(struct url *)field = url;
    return 0;
}

static void free_globs(char ***globs)
{
    for (char **glob = *globs; glob && *glob; glob++)
        free(*glob);
    free(*globs);
}

/* One glob of n bytes, `%3A` made `:`. */
static char *copy_glob(const char *text, size_t n)
{
    char *glob = strndup(text, n);
    char *out = glob;
    for (const char *c = glob; c && *c; c++) {
        bool colon = strncasecmp(c, "%3A", 3) == 0;
        *out++ = colon ? ':' : *c;
        c += colon ? 2 : 0;
    }
    if (glob)
        *out = '\0';
    return glob;
}

static int set_folders(const struct option *option, void *field, enum option_source source,
                       const char *value, struct errtext *err)
{
    CLEANUP(free_globs) char **globs = calloc(FOLDERS_MAX + 1, sizeof(*globs));
    (void)source;
    if (!globs)
        return -ENOMEM;
    for (size_t count = 0;; count++) {
        value += strspn(value, "/");
        size_t n = strcspn(value, ":");
        size_t len = n;
        while (len > 0 && value[len - 1] == '/')
            len--;
        if (len == 0)
            return err_set(err, EINVAL, "%s: an empty name (names are split at `:`)", option->key);
        if (count == FOLDERS_MAX)
            return err_set(err, EINVAL, "%s: more than %d names", option->key, FOLDERS_MAX);
        globs[count] = copy_glob(value, len);
        if (!globs[count])
            return -ENOMEM;
        if (!value[n])
            break;
        value += n + 1;
    }
    free_globs(field);
    *(char ***)field = steal(&globs);
    return 0;
}

static int set_later(const struct option *option, void *field, enum option_source source,
                     const char *value, struct errtext *err)
{
    (void)field;
    (void)source;
    (void)value;
    return err_set(err, EINVAL, "%s: not supported yet in this version", option->key);
}

/* ---- the table */

#define IN(member)      offsetof(struct option_values, member)
#define SETTING(member) offsetof(struct option_values, settings.member)
#define LATER(name)                                                                                \
    {                                                                                              \
        .key = name, .set = set_later                                                              \
    }

static const struct option options[] = {
    {.key = "url", .arg = "URL", .set = set_url, .offset = IN(url), .place = ACCOUNT_ONLY},
    {"ro", NULL, "read-only, on the wire too", set_switch, SETTING(read_only), 0, 0, ANYWHERE},
    {"folders", "A:B/*", "only these folders; * stops at /, ** does not", set_folders,
     SETTING(folders), 0, 0, ANYWHERE},
    {"passcmd", "CMD", "the first line of its output is the password", set_command,
     SETTING(passcmd), 0, 0, ANYWHERE},
    {"passfile", "FILE", "the password's file, mode 0600", set_path, SETTING(passfile), 0, 0,
     ANYWHERE},
    {.key = "insecure_password",
     .arg = "PASSWORD",
     .set = set_text,
     .offset = SETTING(insecure_password),
     .place = CONF_ONLY},
    {"auth", "NAME", "plain, login, cram-md5, scram-sha-1, scram-sha-256, xoauth2, oauthbearer",
     set_auth, SETTING(auth), 0, 0, ANYWHERE},
    {"cafile", "FILE", "trust these CAs in place of the system's", set_path, SETTING(cafile), 0, 0,
     ANYWHERE},
    {"tls", "none", "no TLS; loopback addresses and imap:// only", set_tls, IN(tls_none), 0, 0,
     ANYWHERE},
    {"cache", "DIR", "in place of $XDG_CACHE_HOME/mailmount/ACCOUNT", set_path, SETTING(cache_dir),
     0, 0, ANYWHERE},
    {"state", "DIR", "in place of $XDG_STATE_HOME/mailmount/ACCOUNT", set_path, SETTING(state_dir),
     0, 0, ANYWHERE},
    {"cache_size", "N[KMG]", "bodies kept on disk (2G, or a tenth of the disk)", set_bytes,
     SETTING(cache_size), 0, 0, ANYWHERE},
    {"connections", "N", "at most N connections, 1 to 10 (4)", set_number, SETTING(connections), 1,
     10, ANYWHERE},
    {"mtime", "internal|date", "INTERNALDATE (default) or the Date header", set_mtime,
     SETTING(mtime_date), 0, 0, ANYWHERE},
    {"timeout", "SECONDS", "longest wait without progress from the server (30)", set_number,
     SETTING(timeout_s), 1, 3600, ANYWHERE},
    {"poll", "SECONDS", "slow poll beside push (300)", set_number, SETTING(poll_s), 1, 86400,
     ANYWHERE},
    {"push", "auto|notify|idle|none", "how changes are heard of, beside the poll (auto)", set_push,
     SETTING(push), 0, 0, ANYWHERE},
    {"announce", "yes|no", "tell inotify watchers of other clients' changes (no)", set_switch,
     SETTING(announce), 0, 0, ANYWHERE},
    {"offline", NULL, "start from the cache without the network", set_switch, SETTING(offline), 0,
     0, ANYWHERE},
    LATER("trash"),
    LATER("drafts"),
    LATER("sent"),
    LATER("junk"),
    LATER("delete"),
    LATER("bulk_limit"),
    LATER("oauth"),
    LATER("client_id"),
    LATER("client_secret_cmd"),
    LATER("auth_url"),
    LATER("token_url"),
    LATER("device_url"),
    LATER("scope"),
    LATER("token_store_cmd"),
    LATER("token_load_cmd"),
};

static bool is_secret(const struct option *option)
{
    return option->offset == SETTING(passcmd) || option->offset == SETTING(passfile) ||
           option->offset == SETTING(insecure_password);
}

static void forget_secrets(struct settings *settings)
{
    free(steal(&settings->passcmd));
    free(steal(&settings->passfile));
    if (settings->insecure_password)
        explicit_bzero(settings->insecure_password, strlen(settings->insecure_password));
    free(steal(&settings->insecure_password));
}

static int check_place(const struct option *option, enum option_source source, const char *value,
                       struct errtext *err)
{
    if (option->place != ANYWHERE && source == OPTION_COMMAND)
        return err_set(err, EINVAL, "%s: only in the configuration file", option->key);
    if (option->place == ACCOUNT_ONLY && source == OPTION_DEFAULTS)
        return err_set(err, EINVAL, "%s: only inside `account`", option->key);
    if (option->arg && !value)
        return err_set(err, EINVAL, "%s: needs a value (%s=%s)", option->key, option->key,
                       option->arg);
    return 0;
}

int option_set(struct option_values *values, enum option_source source, const char *key,
               const char *value, struct errtext *err)
{
    const struct option *option = NULL;
    for (size_t i = 0; i < ARRAY_LEN(options) && !option; i++)
        if (strcmp(options[i].key, key) == 0)
            option = &options[i];
    if (!option)
        return err_set(err, ENOENT, "%s: no such option", key);
    int r = check_place(option, source, value, err);
    if (r < 0)
        return r;
    if (option->set != set_later && is_secret(option) && values->secret_source != source) {
        forget_secrets(&values->settings);
        values->secret_source = source;
    }
    r = option->set(option, (char *)values + option->offset, source, value, err);
    return r == -ENOMEM ? err_set(err, ENOMEM, "%s: out of memory", key) : r;
}

bool option_describe(unsigned n, struct option_usage *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *o = &options[i];
        if (!o->help || n-- > 0)
            continue;
        *ret = (struct option_usage){.key = o->key, .arg = o->arg, .help = o->help};
        return true;
    }
    return false;
}

const char *const *option_conf_keys(void)
{
    static const char *keys[ARRAY_LEN(options) + 1];
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        keys[i] = options[i].key;
    return keys;
}
