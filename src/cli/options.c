#include "options.h"

#include <errno.h>
#include <string.h>

#include "accounts.h"
#include "become.h"
#include "fuseopts.h"
#include "paths.h"
#include "str.h"

#define WORDS_MAX        200
#define FUSE_OPTIONS_MAX 4096

/* The command line, taken apart.  Strings are borrowed from argv, but the words of -o. */
struct command_line {
    const char *account, *mountpoint;
    char *words[WORDS_MAX]; /* owned: KEY or KEY=VALUE, `\,` already a comma */
    size_t n_words;
    bool foreground, debug;
};

static void command_line_release(struct command_line *line)
{
    for (size_t i = 0; i < line->n_words; i++)
        free(line->words[i]);
}

void mount_command_release(struct mount_command *command)
{
    settings_release(&command->settings);
    free(command->mountpoint);
    *command = (struct mount_command){0};
}

/* ---- argv */

/* Splits the argument of one -o at commas that no backslash precedes. */
static int take_words(struct command_line *line, const char *text, struct errtext *err)
{
    while (*text) {
        CLEANUP_FREE char *word = malloc(strlen(text) + 1);
        if (!word)
            return err_set(err, ENOMEM, "out of memory");
        char *out = word;
        while (*text && *text != ',') {
            if (text[0] == '\\' && text[1] == ',')
                text++;
            *out++ = *text++;
        }
        *out = '\0';
        if (*text == ',')
            text++;
        if (!*word)
            continue;
        if (line->n_words == WORDS_MAX)
            return err_set(err, EINVAL, "-o: more than %d options", WORDS_MAX);
        line->words[line->n_words++] = steal(&word);
    }
    return 0;
}

/* A word of flags, such as -f, -fd or -oOPT.  `next` is the argument behind it.  Returns how many
 * arguments were used, or -errno. */
static int take_flags(struct command_line *line, const char *flags, const char *next,
                      struct errtext *err)
{
    for (const char *c = flags + 1; *c; c++) {
        if (*c == 'f') {
            line->foreground = true;
        } else if (*c == 'd') {
            line->debug = line->foreground = true;
        } else if (*c == 'o') {
            const char *text = c[1] ? c + 1 : next;
            if (!text)
                return err_set(err, EINVAL, "-o needs options behind it");
            int r = take_words(line, text, err);
            return r < 0 ? r : c[1] ? 1 : 2;
        } else {
            return err_set(err, EINVAL, "unknown flag %.100s; usage: " OPTIONS_USAGE, flags);
        }
    }
    return 1;
}

static int take_argument(struct command_line *line, const char *word, struct errtext *err)
{
    if (!line->account)
        line->account = word;
    else if (!line->mountpoint)
        line->mountpoint = word;
    else
        return err_set(err, EINVAL, "too many arguments: %.100s; usage: " OPTIONS_USAGE, word);
    return 1;
}

static int take_line(struct command_line *line, int argc, char **argv, struct errtext *err)
{
    bool flags_end = false;
    for (int i = 1; i < argc;) {
        bool is_flag = !flags_end && argv[i][0] == '-' && argv[i][1];
        if (is_flag && strcmp(argv[i], "--") == 0) {
            flags_end = true;
            i++;
            continue;
        }
        int used = is_flag ? take_flags(line, argv[i], i + 1 < argc ? argv[i + 1] : NULL, err)
                           : take_argument(line, argv[i], err);
        if (used < 0)
            return used;
        i += used;
    }
    if (!line->account || !line->mountpoint || !*line->account || !*line->mountpoint)
        return err_set(err, EINVAL, "usage: " OPTIONS_USAGE "; see mailmount --help");
    return 0;
}

/* ---- the words of -o */

/* setuid= comes before everything that depends on who we are. */
static int become(struct command_line *line, struct errtext *err)
{
    for (size_t i = 0; i < line->n_words;) {
        if (strncmp(line->words[i], "setuid=", 7) != 0) {
            i++;
            continue;
        }
        CLEANUP_FREE char *word = line->words[i];
        memmove(&line->words[i], &line->words[i + 1],
                (--line->n_words - i) * sizeof(line->words[0]));
        int r = become_user(word + 7, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int apply_word(struct option_values *values, const char *word, struct str *fuse,
                      struct errtext *err)
{
    CLEANUP_FREE char *key = strndup(word, strcspn(word, "="));
    if (!key)
        return err_set(err, ENOMEM, "out of memory");
    const char *value = word[strlen(key)] ? word + strlen(key) + 1 : NULL;
    struct errtext why = {""};
    int r = option_set(values, OPTION_COMMAND, key, value, &why);
    if (r == -ENOENT)
        r = fuseopt_take(word, fuse, &why);
    return r < 0 ? err_set(err, -r, "-o %s", why.text) : 0;
}

static int apply_words(struct option_values *values, const struct command_line *line,
                       struct errtext *err)
{
    CLEANUP_STR struct str fuse = STR_INIT(FUSE_OPTIONS_MAX);
    for (size_t i = 0; i < line->n_words; i++) {
        int r = apply_word(values, line->words[i], &fuse, err);
        if (r < 0)
            return r;
    }
    if (fuse.len > 0)
        values->settings.fuse_options = str_steal(&fuse);
    return 0;
}

/* ---- what the rest follows from */

static int check_tls_none(const struct url *url, struct errtext *err)
{
    if (url->tls != SETTINGS_TLS_STARTTLS)
        return err_set(err, EINVAL, "tls=none contradicts imaps://; write imap://");
    if (!url_host_is_loopback(url->host))
        return err_set(err, EINVAL, "tls=none: only for 127.0.0.0/8, ::1 and localhost, not %s",
                       url->host);
    return 0;
}

/* Moves the found account into settings and fills what is not set. */
static int finish(struct account_found *found, const char *account, struct settings *ret,
                  struct errtext *err)
{
    struct settings *s = &found->values.settings;
    struct url *url = &found->values.url;
    if (found->values.tls_none) {
        int r = check_tls_none(url, err);
        if (r < 0)
            return r;
    }
    s->account = strdup(found->name ? found->name : account);
    s->slug = found->name ? paths_slug_of_name(found->name) : paths_slug_of_url(url);
    if (s->slug && !s->cache_dir)
        s->cache_dir = paths_cache_dir(s->slug);
    if (s->slug && !s->state_dir)
        s->state_dir = paths_state_dir(s->slug);
    if (!s->account || !s->slug || !s->cache_dir || !s->state_dir)
        return err_set(err, ENOMEM, "out of memory, or no home directory");
    s->tls = found->values.tls_none ? SETTINGS_TLS_NONE : url->tls;
    s->host = steal(&url->host);
    s->user = steal(&url->user);
    s->folder = steal(&url->folder);
    s->port = url->port;
    s->connections = s->connections ? s->connections : 4;
    s->timeout_s = s->timeout_s ? s->timeout_s : 30;
    s->poll_s = s->poll_s ? s->poll_s : 300;
    *ret = *s;
    *s = (struct settings){0};
    return 0;
}

int options_parse(int argc, char **argv, struct mount_command *ret, struct errtext *err)
{
    CLEANUP(command_line_release) struct command_line line = {0};
    CLEANUP(account_found_release) struct account_found found = {0};
    CLEANUP(mount_command_release) struct mount_command command = {0};
    CLEANUP(option_values_release) struct option_values unused = {0};
    /* A wrong -o is found before an unknown account. */
    if (take_line(&line, argc, argv, err) < 0 || become(&line, err) < 0 ||
        apply_words(&unused, &line, err) < 0)
        return EXIT_USAGE;
    int code = account_find(line.account, &found, err);
    if (code != EXIT_OK)
        return code;
    if (apply_words(&found.values, &line, err) < 0 ||
        finish(&found, line.account, &command.settings, err) < 0)
        return EXIT_USAGE;
    command.settings.foreground = line.foreground;
    command.settings.debug = line.debug;
    command.mountpoint = strdup(line.mountpoint);
    if (!command.mountpoint) {
        err_set(err, ENOMEM, "out of memory");
        return EXIT_OTHER;
    }
    *ret = command;
    command = (struct mount_command){0};
    return EXIT_OK;
}

int options_account(const char *account, struct settings *ret, struct errtext *err)
{
    CLEANUP(account_found_release) struct account_found found = {0};
    int code = account_find(account, &found, err);
    if (code != EXIT_OK)
        return code;
    return finish(&found, account, ret, err) < 0 ? EXIT_USAGE : EXIT_OK;
}

char *options_socket_path(const struct settings *settings)
{
    CLEANUP_FREE char *runtime = paths_runtime_dir();
    return runtime ? str_printf("%s/%s.sock", runtime, settings->slug)
                   : str_printf("%s/socket", settings->state_dir);
}
