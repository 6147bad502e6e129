#include "words.h"

#include <errno.h>
#include <string.h>

struct splitter {
    const char *in;
    char *out;
};

/* Behind a backslash outside quotes. */
static int take_escaped(struct splitter *s)
{
    if (!*s->in)
        return -EINVAL;
    if (*s->in != '\n')
        *s->out++ = *s->in;
    s->in++;
    return 0;
}

static int take_single(struct splitter *s)
{
    for (; *s->in != '\''; s->in++) {
        if (!*s->in)
            return -EINVAL;
        *s->out++ = *s->in;
    }
    s->in++;
    return 0;
}

static int take_double(struct splitter *s)
{
    for (; *s->in != '"'; s->in++) {
        if (!*s->in)
            return -EINVAL;
        if (*s->in == '\\' && s->in[1] && strchr("\"\\$`\n", s->in[1])) {
            s->in++;
            if (*s->in == '\n')
                continue;
        }
        *s->out++ = *s->in;
    }
    s->in++;
    return 0;
}

/* One word, which begins at s->in; ends it with a NUL. */
static int take_word(struct splitter *s)
{
    int r = 0;
    while (r == 0 && *s->in && !strchr(" \t\n", *s->in)) {
        char c = *s->in++;
        if (c == '\\')
            r = take_escaped(s);
        else if (c == '\'')
            r = take_single(s);
        else if (c == '"')
            r = take_double(s);
        else
            *s->out++ = c;
    }
    *s->out++ = '\0';
    return r;
}

/* Blanks, and line continuations between words. */
static const char *skip_blanks(const char *in)
{
    for (;; in++) {
        if (in[0] == '\\' && in[1] == '\n')
            in++;
        else if (!*in || !strchr(" \t\n", *in))
            return in;
    }
}

int words_split(const char *line, char ***ret_words, size_t *ret_count)
{
    /* The words are never longer than the line; each but the last has a blank for its NUL. */
    size_t table = (WORDS_MAX + 1) * sizeof(char *);
    CLEANUP_FREE char **words = calloc(1, table + strlen(line) + 1);
    if (!words)
        return -ENOMEM;
    struct splitter s = {.in = line, .out = (char *)words + table};
    size_t n = 0;
    for (;;) {
        s.in = skip_blanks(s.in);
        if (!*s.in)
            break;
        if (n == WORDS_MAX)
            return -E2BIG;
        words[n++] = s.out;
        int r = take_word(&s);
        if (r < 0)
            return r;
    }
    if (n == 0)
        return -EINVAL;
    *ret_words = steal(&words);
    if (ret_count)
        *ret_count = n;
    return 0;
}
