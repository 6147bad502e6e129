/*
 * DESIGN.  The buffer is twice as long as the longest line, so that a line always fits behind one
 * move of its beginning to the front.  The octet that ends the line (CR or LF) is overwritten by
 * a NUL: token loops need no second comparison.  A NUL that the server sent inside a line stops
 * such a loop as well, and then stands where no grammar wants it.
 *
 * Between lines `pos` stands at the line's end and `next` behind it; in a literal and in streaming
 * `next` is 0 and `pos` is the truth.
 */
#include "reader.h"

#include <errno.h>
#include <string.h>

/* Less room than this behind the data: move the data to the front before reading. */
#define READ_MIN 16384

int reader_init(struct reader *reader)
{
    *reader = (struct reader){.line_max = READER_LINE_MAX};
    reader->buffer = malloc(READER_BUFFER + 1);
    return reader->buffer ? 0 : -ENOMEM;
}

void reader_release(struct reader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}

int reader_fail(struct reader *reader, const char *text)
{
    return reader->fail(reader->ctx, EPROTO, text);
}

/* Reads more behind `end`; the octets before pos are given up. */
static int fill(struct reader *reader)
{
    if (reader->pos == reader->end) {
        reader->pos = reader->end = 0;
    } else if (READER_BUFFER - reader->end < READ_MIN) {
        memmove(reader->buffer, reader->buffer + reader->pos, reader->end - reader->pos);
        reader->end -= reader->pos;
        reader->pos = 0;
    }
    ssize_t n =
        reader->fill(reader->ctx, reader->buffer + reader->end, READER_BUFFER - reader->end);
    if (n < 0)
        return (int)n;
    reader->end += (size_t)n;
    return 0;
}

static void leave_line(struct reader *reader)
{
    if (reader->next) {
        reader->pos = reader->next;
        reader->next = 0;
    }
}

int reader_line(struct reader *reader)
{
    leave_line(reader);
    size_t seen = 0; /* octets behind pos that hold no LF */
    for (;;) {
        char *from = reader->buffer + reader->pos;
        char *lf = memchr(from + seen, '\n', reader->end - reader->pos - seen);
        seen = lf ? (size_t)(lf - from) : reader->end - reader->pos;
        if (seen > reader->line_max)
            return reader_fail(reader, "the server sent a line without end");
        if (lf) {
            reader->next = reader->pos + seen + 1;
            reader->eol = reader->pos + seen;
            if (seen > 0 && lf[-1] == '\r')
                reader->eol--;
            reader->buffer[reader->eol] = '\0';
            return 0;
        }
        int r = fill(reader);
        if (r < 0)
            return r;
    }
}

size_t reader_buffered(const struct reader *reader)
{
    return reader->end - (reader->next ? reader->next : reader->pos);
}

/* ---- tokens on the line */

struct span reader_rest(const struct reader *reader)
{
    return (struct span){reader->buffer + reader->pos, reader->eol - reader->pos};
}

bool reader_take(struct reader *reader, char c)
{
    if (reader->pos >= reader->eol || reader->buffer[reader->pos] != c)
        return false;
    reader->pos++;
    return true;
}

void reader_spaces(struct reader *reader)
{
    while (reader->buffer[reader->pos] == ' ')
        reader->pos++;
}

static bool ends_word(unsigned char c)
{
    return c <= ' ' || c == '(' || c == ')' || c == '"';
}

struct span reader_word(struct reader *reader, const char *stop)
{
    const char *begin = reader->buffer + reader->pos;
    const char *p = begin;
    char first = stop[0], second = first ? stop[1] : '\0';
    while (!ends_word((unsigned char)*p) && *p != first && *p != second)
        p++;
    reader->pos += (size_t)(p - begin);
    return (struct span){begin, (size_t)(p - begin)};
}

static inline bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

int reader_number(struct reader *reader, uint64_t max, uint64_t *ret)
{
    const char *p = reader->buffer + reader->pos;
    const char *begin = p;
    uint64_t value = 0;
    for (; is_digit(*p); p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (digit > max || value > (max - digit) / 10)
            return reader_fail(reader, "the server sent a number out of range");
        value = value * 10 + digit;
    }
    if (p == begin)
        return reader_fail(reader, "the server sent no number where one belongs");
    reader->pos += (size_t)(p - begin);
    *ret = value;
    return 0;
}

/* ---- values */

/* At `"`.  Escapes are resolved in place: the result is never longer. */
static int take_quoted(struct reader *reader, struct span *ret)
{
    char *begin = reader->buffer + reader->pos + 1;
    char *end = reader->buffer + reader->eol;
    char *quote = memchr(begin, '"', (size_t)(end - begin));
    if (quote && !memchr(begin, '\\', (size_t)(quote - begin))) {
        *ret = (struct span){begin, (size_t)(quote - begin)};
        reader->pos = (size_t)(quote + 1 - reader->buffer);
        return 0;
    }
    char *out = begin, *p = begin;
    for (; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        *out++ = *p;
    }
    if (p >= end)
        return reader_fail(reader, "the server sent a quoted string without end");
    *ret = (struct span){begin, (size_t)(out - begin)};
    reader->pos = (size_t)(p + 1 - reader->buffer);
    return 0;
}

/* At `{`, the last thing on the line: `{123}` or `{123+}`. */
static int begin_literal(struct reader *reader, uint64_t *ret_size)
{
    uint64_t size = 0;
    reader->pos++;
    int r = reader_number(reader, INT64_MAX, &size);
    if (r < 0)
        return r;
    reader_take(reader, '+');
    if (!reader_take(reader, '}') || !reader_at_end(reader))
        return reader_fail(reader, "the server sent a broken literal");
    leave_line(reader);
    reader->literal = size;
    *ret_size = size;
    return 0;
}

int reader_value(struct reader *reader, struct reader_value *ret)
{
    *ret = (struct reader_value){.type = READER_ATOM};
    char c = reader_peek(reader);
    if (c == '~' && reader->buffer[reader->pos + 1] == '{') {
        reader->pos++;
        c = '{';
    }
    if (c == '{') {
        ret->type = READER_LITERAL;
        return begin_literal(reader, &ret->size);
    }
    if (c == '"') {
        ret->type = READER_QUOTED;
        int r = take_quoted(reader, &ret->text);
        ret->size = ret->text.len;
        return r;
    }
    ret->text = reader_word(reader, "");
    ret->size = ret->text.len;
    if (ret->size == 0)
        return reader_fail(reader, "the server left out a value");
    if (span_is(ret->text, "NIL")) {
        ret->type = READER_NIL;
        ret->text.len = 0;
        ret->size = 0;
    }
    return 0;
}

int reader_literal(struct reader *reader, struct span *ret)
{
    if (reader->literal == 0) {
        *ret = (struct span){"", 0};
        return 0;
    }
    if (reader->pos == reader->end) {
        int r = fill(reader);
        if (r < 0)
            return r;
    }
    size_t n = reader->end - reader->pos;
    if (n > reader->literal)
        n = (size_t)reader->literal;
    *ret = (struct span){reader->buffer + reader->pos, n};
    reader->pos += n;
    reader->literal -= n;
    return 0;
}

int reader_line_rest(struct reader *reader)
{
    return reader_line(reader);
}

/* A literal that nobody wants, and the line behind it. */
static int skip_literal(struct reader *reader)
{
    struct span piece;
    if (reader->literal > (uint64_t)1 << 31)
        return reader_fail(reader, "the server sent a literal that is too large");
    do {
        int r = reader_literal(reader, &piece);
        if (r < 0)
            return r;
    } while (piece.len > 0);
    return reader_line_rest(reader);
}

int reader_string(struct reader *reader, struct str *out, bool *ret_nil)
{
    struct reader_value value;
    int r = reader_value(reader, &value);
    if (r < 0)
        return r;
    str_clear(out);
    if (value.size > out->max)
        return reader_fail(reader, "the server sent a string that is too long");
    str_append(out, value.text.data ? value.text.data : "", value.text.len);
    if (value.type == READER_LITERAL) {
        struct span piece;
        do {
            r = reader_literal(reader, &piece);
            if (r < 0)
                return r;
            str_append(out, piece.data, piece.len);
        } while (piece.len > 0);
        r = reader_line_rest(reader);
        if (r < 0)
            return r;
    }
    if (str_error(out) < 0)
        return reader->fail(reader->ctx, ENOMEM, "out of memory");
    if (out->len > 0 && memchr(out->data, '\0', out->len))
        return reader_fail(reader, "the server sent a NUL in a string");
    if (ret_nil)
        *ret_nil = value.type == READER_NIL;
    return 0;
}

/* Drops one octet, string or literal.  An octet that belongs nowhere is dropped, too. */
static int skip_token(struct reader *reader)
{
    struct span quoted;
    uint64_t size;
    char c = reader_peek(reader);
    if (c == '"')
        return take_quoted(reader, &quoted);
    if (c == '{') {
        int r = begin_literal(reader, &size);
        return r < 0 ? r : skip_literal(reader);
    }
    reader->pos++;
    return 0;
}

/* Whether `{` here begins a literal, and is not just an odd octet of an atom. */
static bool at_literal(const struct reader *reader)
{
    const char *p = reader->buffer + reader->pos;
    if (*p != '{' || !is_digit(p[1]))
        return false;
    for (p++; is_digit(*p); p++)
        ;
    if (*p == '+')
        p++;
    return *p == '}' && p + 1 == reader->buffer + reader->eol;
}

int reader_skip_value(struct reader *reader)
{
    unsigned depth = 0;
    do {
        char c = reader_peek(reader);
        int r = 0;
        if (reader_at_end(reader))
            return reader_fail(reader, "the server sent half a response");
        if (c == '(') {
            if (++depth > READER_NESTING_MAX)
                return reader_fail(reader, "the server sent lists nested too deeply");
            reader->pos++;
        } else if (c == ')') {
            if (depth == 0)
                return reader_fail(reader, "the server left out a value");
            depth--;
            reader->pos++;
        } else if (c == '"' || at_literal(reader)) {
            r = skip_token(reader);
        } else if (c == '~') {
            reader->pos++;
            if (at_literal(reader))
                r = skip_token(reader);
            else
                reader_word(reader, "");
        } else if (ends_word((unsigned char)c)) {
            reader->pos++;
            if (depth == 0)
                return reader_fail(reader, "the server left out a value");
        } else {
            reader_word(reader, "");
        }
        if (r < 0)
            return r;
    } while (depth > 0);
    return 0;
}

int reader_skip_section(struct reader *reader)
{
    while (!reader_at_end(reader)) {
        if (reader_take(reader, ']'))
            return 0;
        int r = 0;
        if (reader_peek(reader) == '"' || at_literal(reader))
            r = skip_token(reader);
        else
            reader->pos++;
        if (r < 0)
            return r;
    }
    return reader_fail(reader, "the server sent a section without end");
}

int reader_skip_rest(struct reader *reader)
{
    for (;;) {
        /* Only a literal at the end of the line makes the response go on. */
        struct span rest = reader_rest(reader);
        const char *brace = rest.len ? memrchr(rest.data, '{', rest.len) : NULL;
        if (!brace)
            return 0;
        reader->pos += (size_t)(brace - rest.data);
        if (!at_literal(reader))
            return 0;
        int r = skip_token(reader);
        if (r < 0)
            return r;
    }
}

/* ---- octet by octet */

int reader_stream_peek(struct reader *reader, size_t n, struct span *ret)
{
    leave_line(reader);
    for (;;) {
        size_t have = reader->end - reader->pos;
        if (have > n)
            have = n;
        const char *begin = reader->buffer + reader->pos;
        const char *lf = have ? memchr(begin, '\n', have) : NULL;
        if (lf || have == n) {
            *ret = (struct span){begin, lf ? (size_t)(lf - begin) : have};
            return 0;
        }
        int r = fill(reader);
        if (r < 0)
            return r;
    }
}

int reader_stream_look(struct reader *reader)
{
    if (reader->pos == reader->end) {
        int r = fill(reader);
        if (r < 0)
            return r;
    }
    unsigned char c = (unsigned char)reader->buffer[reader->pos];
    return c == '\r' ? '\n' : c;
}

int reader_stream_end(struct reader *reader)
{
    int c = reader_stream_look(reader);
    if (c < 0)
        return c;
    if (c != '\n')
        return reader_fail(reader, "the server sent a broken number set");
    if (reader->buffer[reader->pos] == '\r')
        reader->pos++;
    c = reader_stream_look(reader);
    if (c < 0)
        return c;
    if (reader->buffer[reader->pos] != '\n')
        return reader_fail(reader, "the server sent a carriage return alone");
    reader->pos++;
    return 0;
}
