/*
 * DESIGN.  libconfuse only parses.  A callback copies every value with its line while the parser
 * is at it (libconfuse itself remembers no lines), and its tree is thrown away at once; so the
 * caller can say `path:line` also when it finds a value wrong much later.  Three weaknesses
 * of libconfuse 3.3 are met before it sees the text (prepare): it miscounts the lines of comments,
 * it takes the end of the file for the end of an open section, and it silently ends an unquoted
 * word at some characters (`folders = A/B*` would be read as A/B).
 */
#include "conf.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTION_DEFAULTS "defaults"
#define SECTION_ACCOUNT  "account"
#define KEYS_MAX         100 /* a programming error above */
#define ENTRIES_MAX      10000

struct entry {
    char *account; /* owned; NULL: defaults */
    char *key;     /* owned */
    char *value;   /* owned; wiped when freed: it may be a password */
    unsigned line;
};

struct conf {
    struct entry *entries; /* owned */
    size_t n_entries;
    char **accounts; /* owned */
    size_t n_accounts;
    bool is_private;
};

/* What the callbacks of one conf_read need; libconfuse hands no context through. */
struct reading {
    struct conf *conf;
    const char *path;
    struct errtext *err;
    int error; /* the first, -errno */
};
static _Thread_local struct reading *reading;

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    for (size_t i = 0; i < conf->n_entries; i++) {
        free(conf->entries[i].account);
        free(conf->entries[i].key);
        if (conf->entries[i].value)
            explicit_bzero(conf->entries[i].value, strlen(conf->entries[i].value));
        free(conf->entries[i].value);
    }
    for (size_t i = 0; i < conf->n_accounts; i++)
        free(conf->accounts[i]);
    free(conf->entries);
    free(conf->accounts);
    free(conf);
}

void conf_freep(struct conf **conf)
{
    conf_free(*conf);
}

/* ---- what the parser calls */

static PRINTF(2, 0) void on_error(cfg_t *cfg, const char *format, va_list args)
{
    char text[400];
    if (reading->error)
        return;
    vsnprintf(text, sizeof(text), format, args);
    int line = cfg && cfg->line > 0 ? cfg->line : 1;
    reading->error = err_set(reading->err, EINVAL, "%s:%d: %s", reading->path, line, text);
}

/* Room for one more: doubles at powers of two.  NULL: out of memory. */
static void *grow(void *items, size_t n, size_t size)
{
    if (n & (n - 1))
        return items;
    return reallocarray(items, n ? n * 2 : 1, size);
}

static int fail(int code, int line, const char *key, const char *why)
{
    if (!reading->error)
        reading->error =
            err_set(reading->err, code, "%s:%d: %s: %s", reading->path, line, key, why);
    return -1;
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    struct conf *conf = reading->conf;
    const char *account = cfg_title(cfg);
    if (conf->n_entries >= ENTRIES_MAX)
        return fail(EINVAL, cfg->line, opt->name, "too many values in this file");
    for (size_t i = 0; i < conf->n_entries; i++) {
        const struct entry *e = &conf->entries[i];
        bool same = account ? e->account && strcmp(e->account, account) == 0 : !e->account;
        if (same && strcmp(e->key, opt->name) == 0)
            return fail(EINVAL, cfg->line, opt->name, "is set twice here");
    }
    struct entry *entries = grow(conf->entries, conf->n_entries, sizeof(*entries));
    if (!entries)
        return fail(ENOMEM, cfg->line, opt->name, "out of memory");
    conf->entries = entries;
    struct entry *e = &entries[conf->n_entries++];
    *e = (struct entry){
        .account = account ? strdup(account) : NULL,
        .key = strdup(opt->name),
        .value = strdup(value),
        .line = (unsigned)cfg->line,
    };
    if ((account && !e->account) || !e->key || !e->value)
        return fail(ENOMEM, cfg->line, opt->name, "out of memory");
    /* libconfuse copies it; ours is the one that counts. */
    *(const char **)result = "";
    return 0;
}

/* ---- reading */

/* The byte behind the comment that begins at `c`, or `c` when none does. */
static char *comment_end(char *c)
{
    char *end;
    if (c[0] == '#' || (c[0] == '/' && c[1] == '/'))
        return c + strcspn(c, "\n");
    if (c[0] != '/' || c[1] != '*')
        return c;
    end = strstr(c + 2, "*/");
    return end ? end + 2 : c;
}

/* The byte behind the quoted string that begins at `c` (its end, if it is not closed). */
static char *string_end(char *c)
{
    char quote = *c++;
    while (*c && *c != quote)
        c += c[0] == '\\' && c[1] ? 2 : 1;
    return *c ? c + 1 : c;
}

/* Blanks out comments, which begin where a word could; checks that sections are closed and that
 * nothing outside quotes would be misread. */
static int prepare(char *text)
{
    int depth = 0, line = 1;
    bool in_word = false;
    for (char *c = text; *c;) {
        char *end = in_word ? c : comment_end(c);
        for (char *blank = c; blank < end; blank++) {
            line += *blank == '\n';
            *blank = *blank == '\n' ? '\n' : ' ';
        }
        if (end > c) {
            c = end;
            continue;
        }
        if (strchr("*+,()#", *c))
            return err_set(reading->err, EINVAL, "%s:%d: a value with %c must be in quotes",
                           reading->path, line, *c);
        depth += (*c == '{') - (*c == '}');
        in_word = !strchr(" \t\r\n{}=\"'", *c);
        end = *c == '"' || *c == '\'' ? string_end(c) : c + 1;
        for (; c < end; c++)
            line += *c == '\n';
    }
    if (depth > 0)
        return err_set(reading->err, EINVAL, "%s:%d: the last section is not closed: } is missing",
                       reading->path, line);
    return 0;
}

static int add_accounts(struct conf *conf, cfg_t *cfg)
{
    unsigned n = cfg_size(cfg, SECTION_ACCOUNT);
    conf->accounts = calloc(n ? n : 1, sizeof(*conf->accounts));
    if (!conf->accounts)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        conf->accounts[i] = strdup(cfg_title(cfg_getnsec(cfg, SECTION_ACCOUNT, i)));
        if (!conf->accounts[i])
            return -ENOMEM;
        conf->n_accounts++;
    }
    return 0;
}

static int parse(struct conf *conf, const char *text, const char *const *keys)
{
    cfg_opt_t values[KEYS_MAX + 1];
    size_t n = 0;
    for (; keys[n]; n++) {
        if (n == KEYS_MAX)
            return err_set(reading->err, EINVAL, "too many configuration keys");
        values[n] = (cfg_opt_t)CFG_STR_CB(keys[n], NULL, CFGF_NODEFAULT, on_value);
    }
    values[n] = (cfg_opt_t)CFG_END();
    cfg_opt_t sections[] = {
        CFG_SEC(SECTION_DEFAULTS, values, CFGF_NONE),
        CFG_SEC(SECTION_ACCOUNT, values, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    cfg_t *cfg = cfg_init(sections, CFGF_NONE);
    if (!cfg)
        return -ENOMEM;
    cfg_set_error_function(cfg, on_error);
    int r = cfg_parse_buf(cfg, text) == CFG_SUCCESS ? 0 : -EINVAL;
    if (reading->error)
        r = reading->error;
    else if (r < 0)
        err_set(reading->err, EINVAL, "%s: cannot be read as a configuration", reading->path);
    else
        r = add_accounts(conf, cfg);
    cfg_free(cfg);
    return r;
}

/* A configuration can name commands to run: nobody else may be able to put one there. */
static int check_owner(const char *path, const struct stat *st, struct errtext *err)
{
    bool sticky_dir = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return err_set(err, EPERM, "%s: belongs to another user (uid %u); not used", path,
                       (unsigned)st->st_uid);
    if ((st->st_mode & 022) && !sticky_dir)
        return err_set(err, EPERM, "%s: can be written by others; chmod go-w it", path);
    return 0;
}

static int check_directories(const char *path, struct errtext *err)
{
    CLEANUP_FREE char *real = realpath(path, NULL);
    if (!real)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    for (char *slash; (slash = strrchr(real, '/')) != NULL;) {
        struct stat st;
        slash[slash == real] = '\0';
        if (stat(real, &st) < 0)
            return err_set(err, errno, "%s: %s", real, strerror(errno));
        int r = check_owner(real, &st, err);
        if (r < 0)
            return r;
        if (slash == real)
            break;
    }
    return 0;
}

/* Wiped, because there may be a password in it. */
static void wipe_text(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
}

static int read_text(int fd, size_t size, char **ret_text)
{
    CLEANUP(wipe_text) char *text = calloc(1, size + 1);
    if (!text)
        return -ENOMEM;
    ssize_t n = read_full(fd, text, size);
    if (n < 0)
        return err_set(reading->err, (int)-n, "%s: %s", reading->path, strerror((int)-n));
    if (strlen(text) != (size_t)n)
        return err_set(reading->err, EINVAL, "%s: holds a NUL byte", reading->path);
    *ret_text = steal(&text);
    return 0;
}

static int read_conf(struct conf *conf, int fd, size_t size, const char *const *keys)
{
    CLEANUP(wipe_text) char *text = NULL;
    int r = read_text(fd, size, &text);
    if (r == 0)
        r = prepare(text);
    if (r == 0)
        r = parse(conf, text, keys);
    if (r == -ENOMEM)
        err_set(reading->err, ENOMEM, "%s: out of memory", reading->path);
    return r;
}

static int open_conf(const char *path, struct stat *st, struct errtext *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, st) < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st->st_mode))
        return err_set(err, EINVAL, "%s: not a regular file", path);
    int r = check_owner(path, st, err);
    if (r == 0)
        r = check_directories(path, err);
    if (r < 0)
        return r;
    if ((uint64_t)st->st_size > CONF_FILE_MAX)
        return err_set(err, EINVAL, "%s: larger than %zu bytes", path, CONF_FILE_MAX);
    return steal_fd(&fd);
}

int conf_read(const char *path, const char *const *keys, struct conf **ret_conf,
              struct errtext *err)
{
    struct stat st;
    CLEANUP_FD int fd = open_conf(path, &st, err);
    if (fd < 0)
        return fd;
    CLEANUP(conf_freep) struct conf *conf = calloc(1, sizeof(*conf));
    if (!conf)
        return err_set(err, ENOMEM, "%s: out of memory", path);
    conf->is_private = st.st_uid == geteuid() && !(st.st_mode & 077);
    reading = &(struct reading){.conf = conf, .path = path, .err = err};
    int r = read_conf(conf, fd, (size_t)st.st_size, keys);
    reading = NULL;
    if (r < 0)
        return r;
    *ret_conf = steal(&conf);
    return 0;
}

/* ---- what was read */

bool conf_is_private(const struct conf *conf)
{
    return conf->is_private;
}

static int each_value(const struct conf *conf, const char *account, conf_value_fn *fn, void *ctx)
{
    for (size_t i = 0; i < conf->n_entries; i++) {
        const struct entry *e = &conf->entries[i];
        if (account ? !e->account || strcmp(e->account, account) != 0 : e->account != NULL)
            continue;
        const struct conf_value value = {
            .key = e->key, .value = e->value, .line = e->line, .is_default = !account};
        int r = fn(ctx, &value);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool has_account(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->n_accounts; i++)
        if (strcmp(conf->accounts[i], name) == 0)
            return true;
    return false;
}

int conf_account(const struct conf *conf, const char *name, conf_value_fn *fn, void *ctx)
{
    if (name && !has_account(conf, name))
        return -ENOENT;
    int r = each_value(conf, NULL, fn, ctx);
    if (r == 0 && name)
        r = each_value(conf, name, fn, ctx);
    return r;
}

const char *conf_account_name(const struct conf *conf, unsigned n)
{
    return n < conf->n_accounts ? conf->accounts[n] : NULL;
}
