#include "paths.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "str.h"

#define SLUG_MAX 200

static const char *absolute_env(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] == '/' ? value : NULL;
}

char *paths_home(void)
{
    const char *home = absolute_env("HOME");
    if (home)
        return strdup(home);
    const struct passwd *pw = getpwuid(geteuid());
    return pw && pw->pw_dir && pw->pw_dir[0] == '/' ? strdup(pw->pw_dir) : NULL;
}

/* The base directory $variable, else HOME/fallback. */
static char *base_dir(const char *variable, const char *fallback)
{
    const char *value = absolute_env(variable);
    if (value)
        return strdup(value);
    CLEANUP_FREE char *home = paths_home();
    return home ? str_printf("%s/%s", home, fallback) : NULL;
}

static char *below(const char *variable, const char *fallback, const char *name)
{
    CLEANUP_FREE char *base = base_dir(variable, fallback);
    if (!base)
        return NULL;
    return name ? str_printf("%s/mailmount/%s", base, name) : str_printf("%s/mailmount", base);
}

char *paths_config_file(void)
{
    return below("XDG_CONFIG_HOME", ".config", "config");
}

char *paths_cache_dir(const char *slug)
{
    return below("XDG_CACHE_HOME", ".cache", slug);
}

char *paths_state_dir(const char *slug)
{
    return below("XDG_STATE_HOME", ".local/state", slug);
}

char *paths_runtime_dir(void)
{
    /* After su or sudo the variable may still name the directory of somebody else. */
    const char *dir = absolute_env("XDG_RUNTIME_DIR");
    struct stat st;
    if (!dir || stat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return NULL;
    return str_printf("%s/mailmount", dir);
}

int paths_expand(const char *path, bool relative_ok, char **ret)
{
    CLEANUP_FREE char *base = NULL;
    char *out;
    if (path[0] == '/') {
        out = strdup(path);
    } else if (path[0] == '~' && path[1] == '/') {
        base = paths_home();
        out = base ? str_printf("%s%s", base, path + 1) : NULL;
    } else if (path[0] && relative_ok) {
        base = getcwd(NULL, 0);
        out = base ? str_printf("%s/%s", base, path) : NULL;
    } else {
        return -EINVAL;
    }
    if (!out)
        return -ENOMEM;
    *ret = out;
    return 0;
}

/* ---- slugs */

static void append_safe(struct str *out, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (isalnum(*c) || *c >= 0x80 || strchr("@._+=:~-", *c))
            str_append_char(out, (char)*c);
        else
            str_printf_append(out, "%%%02X", *c);
    }
}

/* FNV-1a: keeps long names apart; nobody gains anything by making them collide. */
static uint64_t hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}

static char *finish_slug(struct str *s)
{
    if (str_error(s))
        return NULL;
    if (s->len > SLUG_MAX)
        return str_printf("%.*s~%016llx", SLUG_MAX - 17, s->data,
                          (unsigned long long)hash(s->data));
    if (s->len > 0 && s->data[0] == '.')
        return str_printf("%%2E%s", s->data + 1);
    return str_steal(s);
}

char *paths_slug_of_name(const char *name)
{
    CLEANUP_STR struct str s = STR_INIT(100000);
    append_safe(&s, name);
    return finish_slug(&s);
}

char *paths_slug_of_url(const struct url *url)
{
    CLEANUP_STR struct str s = STR_INIT(100000);
    append_safe(&s, url->user);
    str_printf_append(&s, "@%s", url->host);
    if (!url->port_is_default)
        str_printf_append(&s, ":%u", url->port);
    if (url->folder) {
        str_append_text(&s, "%2F");
        append_safe(&s, url->folder);
    }
    return finish_slug(&s);
}
