#include "mboxname.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <glib.h>

#include "mutf7.h"
#include "unicode.h"

/* DESIGN.  Why the mapping is injective.  A shown name falls into one of these, told apart by
 * looking at it:
 *   decoded   holds no `%26`, and no `%XX` but those of `/`, a leading `.`, `%` before two hex
 *             digits, and whole invisible characters; so no `%25` at its end;
 *   raw       holds `%26` or a `%XX` no decoded name has, or else the mark, `%25` at its end;
 *   empty     is `%25`;
 *   cut       ends in `~` and eight hex digits near the longest length; a name that would look
 *             so by itself is cut as well;
 *   alias     has a letter or digit as %XX, which the others never have, or `%25%25` at its end.
 * Within each, unescaping gives back what was shown.  mboxname_raw relies on nothing of this: it
 * guesses and takes what mboxname_show turns into exactly the given name. */

#define ESCAPED_MAX  ((size_t)1 << 20)
#define MARK         "%25"
#define ALIAS_MARK   "%25%25"
#define CUT_TAIL     9   /* ~ and eight hex digits */
#define CUT_SHORTEST 240 /* a cut leaves at least so many bytes, tail included */

/* ---- escaping */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void append_escaped(struct str *out, const char *bytes, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        char text[3] = {'%', digits[byte >> 4], digits[byte & 15]};
        str_append(out, text, sizeof(text));
    }
}

/* Control, bidi and zero-width characters, line separators and fillers that show nothing.  The
 * list is fixed, as names must not depend on a library's Unicode. */
static bool is_invisible(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},
        {0x0600, 0x0605},   {0x061c, 0x061c},   {0x06dd, 0x06dd},   {0x070f, 0x070f},
        {0x0890, 0x0891},   {0x08e2, 0x08e2},   {0x115f, 0x1160},   {0x17b4, 0x17b5},
        {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},
        {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
        {0xfff0, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f},
        {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (c <= ranges[i].last)
            return c >= ranges[i].first;
    return false;
}

static bool is_hex_pair(const char *p, const char *end)
{
    return end - p >= 2 && hex_value(p[0]) >= 0 && hex_value(p[1]) >= 0;
}

/* A decoded name (UTF-8), or with `raw` the bytes as LIST gave them: of these only printable
 * ASCII stands for itself, as é would be taken for `&AOk-`. */
static void escape(const char *text, size_t len, bool raw, struct str *out)
{
    const char *end = text + len;
    size_t n;
    for (const char *p = text; p < end; p += n) {
        uint32_t c = (unsigned char)*p;
        n = raw ? 1 : utf8_decode(p, (size_t)(end - p), &c);
        if (c == '/' || (c == '.' && p == text) || (raw && (c == '&' || c >= 0x7f)) ||
            is_invisible(c))
            append_escaped(out, p, n);
        else if (c == '%' && is_hex_pair(p + 1, end))
            append_escaped(out, p, n);
        else
            str_append(out, p, n);
    }
}

/* %XX to bytes; any other `%` is itself. */
static void unescape(const char *name, size_t len, struct str *out)
{
    const char *end = name + len;
    for (const char *p = name; p < end; p++) {
        if (*p == '%' && is_hex_pair(p + 1, end)) {
            str_append_char(out, (char)(hex_value(p[1]) << 4 | hex_value(p[2])));
            p += 2;
        } else {
            str_append_char(out, *p);
        }
    }
}

/* ---- over-long names */

static bool looks_cut(const char *name, size_t len)
{
    if (len < CUT_SHORTEST || name[len - CUT_TAIL] != '~')
        return false;
    for (size_t i = len - CUT_TAIL + 1; i < len; i++)
        if (hex_value(name[i]) < 0 || (name[i] >= 'A' && name[i] <= 'F'))
            return false;
    return true;
}

/* Never inside a character or a %XX. */
static size_t cut_point(const char *name, size_t len)
{
    size_t n = utf8_cut(name, len, MBOXNAME_MAX - CUT_TAIL);
    for (size_t back = 1; back <= 2 && back <= n; back++)
        if (name[n - back] == '%' && is_hex_pair(name + n - back + 1, name + len))
            return n - back;
    return n;
}

/* Appends the name, cut where it must be; `key` is what the name stands for. */
static int append_fitting(const struct str *name, const char *key, size_t key_len, struct str *out)
{
    if (str_error(name))
        return str_error(name);
    if (name->len <= MBOXNAME_MAX && !looks_cut(name->data, name->len))
        return str_append(out, name->data, name->len);
    char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)key, key_len);
    if (!sum)
        return -ENOMEM;
    str_append(out, name->data, cut_point(name->data, name->len));
    str_append_char(out, '~');
    int r = str_append(out, sum, CUT_TAIL - 1);
    g_free(sum);
    return r;
}

/* ---- the three functions */

/* Whether a raw name, escaped, could also be a decoded one. */
static int needs_mark(const char *raw, size_t len, const struct str *shown, bool *ret)
{
    *ret = false;
    if (memchr(raw, '&', len) || !utf8_valid(raw, len))
        return 0;
    CLEANUP_STR struct str other = STR_INIT(ESCAPED_MAX);
    escape(raw, len, false, &other);
    *ret = other.len == shown->len && memcmp(other.data, shown->data, other.len) == 0;
    return str_error(&other);
}

int mboxname_show(const char *raw, size_t len, struct str *out)
{
    if (len == 0)
        return str_append_text(out, MARK);
    CLEANUP_STR struct str text = STR_INIT(ESCAPED_MAX), name = STR_INIT(ESCAPED_MAX);
    int r = mutf7_decode(raw, len, &text);
    if (r == 0) {
        escape(text.data, text.len, false, &name);
    } else if (r == -EINVAL) {
        bool mark;
        escape(raw, len, true, &name);
        r = needs_mark(raw, len, &name, &mark);
        if (r == 0 && mark)
            str_append_text(&name, MARK);
    }
    return r < 0 ? r : append_fitting(&name, raw, len, out);
}

/* A byte that no shown name has as %XX; its place, or len. */
static size_t find_plain(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '%' && is_hex_pair(name + i + 1, name + len))
            i += 2;
        else if (g_ascii_isalnum(name[i]))
            return i;
    }
    return len;
}

int mboxname_escape_first(const char *name, struct str *out)
{
    CLEANUP_STR struct str alias = STR_INIT(ESCAPED_MAX);
    size_t len = strcspn(name, "/"), plain = find_plain(name, len);
    str_append(&alias, name, plain);
    if (plain < len) {
        append_escaped(&alias, name + plain, 1);
        str_append(&alias, name + plain + 1, len - plain - 1);
    } else {
        str_append_text(&alias, ALIAS_MARK);
    }
    int r = append_fitting(&alias, alias.data, alias.len, out);
    return r < 0 ? r : str_append_text(out, name + len);
}

/* 1 if `raw` is what `name` stands for, as itself or as an alias, else 0. */
static int is_shown_as(const struct str *raw, const char *name)
{
    CLEANUP_STR struct str shown = STR_INIT(ESCAPED_MAX), alias = STR_INIT(ESCAPED_MAX);
    if (str_error(raw))
        return str_error(raw) == -ENOMEM ? -ENOMEM : 0;
    int r = mboxname_show(raw->len ? raw->data : "", raw->len, &shown);
    if (r == 0 && looks_cut(shown.data, shown.len))
        return 0;
    if (r == 0 && strcmp(shown.data, name) == 0)
        return 1;
    if (r == 0)
        r = mboxname_escape_first(shown.data, &alias);
    return r < 0 ? r : strcmp(alias.data, name) == 0;
}

/* The two things that the first len bytes of the name can stand for.  1: *raw is it. */
static int guess(const char *name, size_t len, struct str *raw)
{
    CLEANUP_STR struct str bytes = STR_INIT(ESCAPED_MAX);
    unescape(name, len, &bytes);
    str_clear(raw);
    int r = str_append(&bytes, "", 0);
    if (r == 0)
        r = mutf7_encode(bytes.data, bytes.len, raw);
    if (r == 0)
        r = is_shown_as(raw, name);
    if (r == 1 || r == -ENOMEM)
        return r;
    str_clear(raw);
    r = str_append(raw, bytes.data, bytes.len);
    return r < 0 ? r : is_shown_as(raw, name);
}

static bool ends_with(const char *name, size_t len, const char *tail)
{
    size_t n = strlen(tail);
    return len >= n && memcmp(name + len - n, tail, n) == 0;
}

int mboxname_raw(const char *name, char delimiter, struct str *out)
{
    CLEANUP_STR struct str raw = STR_INIT(ESCAPED_MAX);
    size_t len = strlen(name);
    if (len == 0 || len > MBOXNAME_MAX)
        return -EINVAL;
    int r = guess(name, len, &raw);
    if (r == 0 && ends_with(name, len, MARK))
        r = guess(name, len - strlen(MARK), &raw);
    if (r == 0 && ends_with(name, len, ALIAS_MARK))
        r = guess(name, len - strlen(ALIAS_MARK), &raw);
    if (r == 0 && ends_with(name, len, MARK ALIAS_MARK))
        r = guess(name, len - strlen(MARK ALIAS_MARK), &raw);
    if (r < 0)
        return r;
    if (r == 0 || (delimiter && memchr(raw.data, delimiter, raw.len)))
        return -EINVAL;
    return str_append(out, raw.data, raw.len);
}
