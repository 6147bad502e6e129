#include "fuseopts.h"

#include <errno.h>
#include <string.h>

enum action {
    PASS,        /* to FUSE, without a value */
    PASS_NUMBER, /* KEY=N */
    PASS_TEXT,   /* KEY=TEXT */
    DROP,        /* mount(8)'s own, or what is so anyway; with or without a value */
    REFUSE,
};

static const struct {
    const char *key;
    enum action action;
    const char *why; /* REFUSE */
} words[] = {
    {"allow_other", PASS, NULL},
    {"allow_root", PASS, NULL},
    {"auto_unmount", PASS, NULL},
    {"max_read", PASS_NUMBER, NULL},
    {"noatime", PASS, NULL},
    {"nodiratime", PASS, NULL},
    {"async", PASS, NULL},
    {"context", PASS_TEXT, NULL},
    {"fscontext", PASS_TEXT, NULL},
    {"defcontext", PASS_TEXT, NULL},
    {"rootcontext", PASS_TEXT, NULL},

    {"_netdev", DROP, NULL},
    {"auto", DROP, NULL},
    {"comment", DROP, NULL},
    {"default_permissions", DROP, NULL}, /* always on, as nodev, noexec, nosuid */
    {"defaults", DROP, NULL},
    {"dev", DROP, NULL},
    {"exec", DROP, NULL},
    {"group", DROP, NULL},
    {"noauto", DROP, NULL},
    {"nodev", DROP, NULL},
    {"noexec", DROP, NULL},
    {"nofail", DROP, NULL},
    {"nogroup", DROP, NULL},
    {"noowner", DROP, NULL},
    {"nosuid", DROP, NULL},
    {"nonempty", DROP, NULL}, /* FUSE 3 allows it always */
    {"nouser", DROP, NULL},
    {"nousers", DROP, NULL},
    {"owner", DROP, NULL},
    {"relatime", DROP, NULL},
    {"rw", DROP, NULL}, /* mount(8) adds it always: it cannot undo a ro of the configuration */
    {"suid", DROP, NULL},
    {"user", DROP, NULL},
    {"users", DROP, NULL},

    {"fsname", REFUSE, "is always the account's URL"},
    {"subtype", REFUSE, "is always mailmount"},
    {"uid", REFUSE, "files belong to the user who mounts; see setuid="},
    {"gid", REFUSE, "files belong to the user who mounts; see setuid="},
    {"umask", REFUSE, "files are 0600 and directories 0700"},
    {"debug", REFUSE, "is the flag -d"},
};

static void append_word(const char *word, struct str *out)
{
    if (out->len > 0)
        str_append_char(out, ',');
    for (; *word; word++) {
        if (*word == ',' || *word == '\\')
            str_append_char(out, '\\');
        str_append_char(out, *word);
    }
}

static int take(size_t i, const char *word, const char *value, struct str *out, struct errtext *err)
{
    const char *key = words[i].key;
    uint64_t number;
    switch (words[i].action) {
    case DROP:
        return 0;
    case REFUSE:
        return err_set(err, EINVAL, "%s: %s", key, words[i].why);
    case PASS:
        if (value)
            return err_set(err, EINVAL, "%s: takes no value", key);
        break;
    case PASS_NUMBER:
        if (!value || parse_u64(value, UINT32_MAX, &number) < 0)
            return err_set(err, EINVAL, "%s: needs a number (%s=N)", key, key);
        break;
    case PASS_TEXT:
        if (!value || !*value)
            return err_set(err, EINVAL, "%s: needs a value", key);
        break;
    }
    append_word(word, out);
    int r = str_error(out);
    return r < 0 ? err_set(err, -r, "%s: too long", key) : 0;
}

int fuseopt_take(const char *word, struct str *out, struct errtext *err)
{
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    if (strncmp(word, "x-", 2) == 0 || strncmp(word, "X-", 2) == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strncmp(words[i].key, word, n) == 0 && words[i].key[n] == '\0')
            return take(i, word, equals ? equals + 1 : NULL, out, err);
    return err_set(err, ENOENT, "%.*s: no such option", (int)(n < 100 ? n : 100), word);
}
