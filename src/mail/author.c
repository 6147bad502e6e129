#include "author.h"

#include <string.h>

#include "decode.h"

/* The value while it is read.  Up to the first `<`, `:` or end it is open whether the words are
 * a display name, a group's name or a bare address, so they are collected as what all three
 * need. */
struct reader {
    const char *p, *end;
    bool no_quotes, no_comments; /* one was found open: the others are plain characters, too */
    struct str words;            /* everything, quotes undone, comments as written */
    struct str bare;             /* the same without comments: an address */
    struct str comment;          /* inside of the last comment */
    size_t at;                   /* where bare has its first `@` outside quotes; NONE */
    size_t comma;                /* where bare has its first comma outside quotes; NONE */
};

#define NONE SIZE_MAX

static void append_both(struct reader *r, const char *text, size_t n)
{
    str_append(&r->words, text, n);
    str_append(&r->bare, text, n);
}

/* The end of a quoted string that begins at p, behind its quote; NULL if it never ends. */
static const char *quoted_end(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return NULL;
}

static const char *comment_end(const char *p, const char *end)
{
    unsigned depth = 0;
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        else if (*p == '(')
            depth++;
        else if (*p == ')' && --depth == 0)
            return p + 1;
    }
    return NULL;
}

/* What stands between quotes, or the parentheses of a comment. */
static void append_unquoted(struct str *out, const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        str_append_char(out, *p);
    }
}

/* Reads a quoted string, a comment or an encoded word as a whole; false if none begins here. */
static bool read_unit(struct reader *r)
{
    size_t n = *r->p == '=' ? decode_word_length(r->p, (size_t)(r->end - r->p)) : 0;
    if (n > 0) {
        append_both(r, r->p, n);
        r->p += n;
        return true;
    }
    if (*r->p == '"' && !r->no_quotes) {
        const char *end = quoted_end(r->p, r->end);
        r->no_quotes = !end;
        if (!end)
            return false;
        append_unquoted(&r->words, r->p + 1, end - 1);
        append_unquoted(&r->bare, r->p + 1, end - 1);
        r->p = end;
        return true;
    }
    if (*r->p == '(' && !r->no_comments) {
        const char *end = comment_end(r->p, r->end);
        r->no_comments = !end;
        if (!end)
            return false;
        str_append(&r->words, r->p, (size_t)(end - r->p));
        str_clear(&r->comment);
        append_unquoted(&r->comment, r->p + 1, end - 1);
        r->p = end;
        return true;
    }
    return false;
}

static const char *bytes(const struct str *s)
{
    return s->len ? s->data : "";
}

static bool is_blank_text(const struct str *s)
{
    return strspn(bytes(s), " \t") == s->len;
}

/* Collects words up to what tells their meaning; returns that character, 0 at the end. */
static char read_words(struct reader *r)
{
    while (r->p < r->end) {
        if (read_unit(r))
            continue;
        char c = *r->p;
        bool ends = c == '<' || c == ':' || c == ';';
        if (ends || (c == ',' && (r->at != NONE || is_blank_text(&r->bare)))) {
            r->p++;
            return c;
        }
        if (c == ',' && r->comma == NONE)
            r->comma = r->bare.len;
        if (c == '@' && r->at == NONE)
            r->at = r->bare.len;
        size_t n = 1 + strcspn(r->p + 1, "<:;,@\"(=");
        append_both(r, r->p, n);
        r->p += n;
    }
    return '\0';
}

static void reset(struct reader *r)
{
    str_clear(&r->words);
    str_clear(&r->bare);
    str_clear(&r->comment);
    r->at = r->comma = NONE;
}

/* The address between angle brackets: behind a source route, before the `@`. */
static void read_angle(struct reader *r, struct author *ret)
{
    reset(r);
    bool route = r->p < r->end && *r->p == '@';
    while (r->p < r->end && *r->p != '>') {
        if (read_unit(r))
            continue;
        if (*r->p == ':' && route) {
            reset(r);
            route = false;
            r->p++;
            continue;
        }
        if (*r->p == '@' && r->at == NONE)
            r->at = r->bare.len;
        append_both(r, r->p++, 1);
    }
    str_append(&ret->local, bytes(&r->bare), r->at != NONE ? r->at : r->bare.len);
    str_clear(&r->comment);
    while (r->p < r->end && (*r->p == '>' || *r->p == ' '))
        r->p++;
    if (is_blank_text(&ret->display) && r->p < r->end && *r->p == '(' && read_unit(r)) {
        str_clear(&ret->display); /* `<a@b> (Name)` */
        str_append(&ret->display, bytes(&r->comment), r->comment.len);
    }
}

/* Words without an angle bracket: `a@b (Name)`, or no address. */
static void read_bare(struct reader *r, struct author *ret)
{
    size_t n = r->bare.len;
    if (r->comma != NONE) /* `Alice, bob@x`: the first author has no domain */
        n = r->comma;
    else if (r->at != NONE)
        n = r->at;
    str_append(&ret->local, bytes(&r->bare), n);
    if (r->comma == NONE)
        str_append(&ret->display, bytes(&r->comment), r->comment.len);
}

static void reader_release(struct reader *r)
{
    str_release(&r->words);
    str_release(&r->bare);
    str_release(&r->comment);
}

int author_parse(const char *from, struct author *ret)
{
    size_t len = strlen(from);
    CLEANUP(reader_release)
    struct reader r = {
        .p = from,
        .end = from + len,
        .words = STR_INIT(len),
        .bare = STR_INIT(len),
        .comment = STR_INIT(len),
    };
    char stop;
    do {
        reset(&r);
        stop = read_words(&r);
    } while ((stop == ',' || stop == ';') && is_blank_text(&r.words));
    if (stop == '<' || (stop == ':' && r.at == NONE))
        str_append(&ret->display, bytes(&r.words), r.words.len);
    if (stop == '<')
        read_angle(&r, ret);
    else if (stop != ':' || r.at != NONE)
        read_bare(&r, ret);
    int errors[] = {str_error(&r.words), str_error(&r.bare), str_error(&r.comment),
                    str_error(&ret->display), str_error(&ret->local)};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        if (errors[i] < 0)
            return errors[i];
    return 0;
}
