#include "slug.h"

#include <errno.h>
#include <string.h>

#include <glib.h>

#include "str.h"
#include "unicode.h"

/* A part while it is written. */
struct slug {
    char *out;
    size_t len, limit;
    bool gap, full; /* gap: a `-` is due before the next character */
};

static enum unicode_class class_of(uint32_t c)
{
    if (c >= 0x80)
        return unicode_class(c);
    if (c == '\t' || c == '\r' || c == '\n')
        return UNICODE_REPLACE;
    if (c < ' ' || c == 0x7f)
        return UNICODE_REMOVE;
    bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return alnum || c == '.' || c == '+' || c == '@' || c == ',' || c == '=' ? UNICODE_KEEP
                                                                             : UNICODE_REPLACE;
}

/* The `-` of a gap is only written with what follows it, so none is ever leading or trailing,
 * not even after the cut. */
static void slug_add(struct slug *s, uint32_t c, const char *utf8, size_t n)
{
    enum unicode_class class = class_of(c);
    if (class == UNICODE_REMOVE)
        return;
    if (class == UNICODE_REPLACE) {
        s->gap = s->len > 0;
        return;
    }
    if (c == '.' && s->len == 0)
        return;
    if (s->len + s->gap + n > s->limit) {
        s->full = true;
        return;
    }
    if (s->gap)
        s->out[s->len++] = '-';
    s->gap = false;
    memcpy(s->out + s->len, utf8, n);
    s->len += n;
}

/* Whether a character is its own NFC next to any other such character: a starter that no
 * composition begins before.  Not all there are, but most text that is not Latin. */
static bool is_stable(uint32_t c)
{
    return c < 0x300 || (c >= 0x400 && c <= 0x482) || (c >= 0x48a && c <= 0x52f) ||
           (c >= 0x2010 && c <= 0x2027) || (c >= 0x3041 && c <= 0x3096) ||
           (c >= 0x30a1 && c <= 0x30fe) || (c >= 0x4e00 && c <= 0x9fff) ||
           (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xff01 && c <= 0xff60) ||
           (c >= 0x1f300 && c <= 0x1faff);
}

static bool is_nfc(const char *text, size_t len)
{
    uint32_t c;
    for (size_t i = 0; i < len; i += utf8_decode(text + i, len - i, &c))
        if (utf8_decode(text + i, len - i, &c) == 0 || !is_stable(c))
            return false;
    return true;
}

/* Copies the text without what exceeds SLUG_MARKS_MAX in a run of combining marks. */
static int limit_marks(const char *text, size_t len, struct str *out)
{
    size_t marks = 0, n;
    for (size_t i = 0; i < len; i += n) {
        uint32_t c;
        n = utf8_decode(text + i, len - i, &c);
        if (n == 0)
            break;
        marks = g_unichar_combining_class(c) ? marks + 1 : 0;
        if (marks <= SLUG_MARKS_MAX)
            str_append(out, text + i, n);
    }
    return str_error(out);
}

static void slug_text(struct slug *s, const char *text, size_t len)
{
    size_t n;
    for (size_t i = 0; i < len && !s->full; i += n) {
        uint32_t c;
        n = utf8_decode(text + i, len - i, &c);
        if (n == 0)
            break;
        slug_add(s, c, text + i, n);
    }
}

ssize_t slug_make(const char *text, size_t len, bool is_ascii, size_t limit, char *out)
{
    struct slug s = {.out = out, .limit = limit};
    if (is_ascii || is_nfc(text, len)) {
        slug_text(&s, text, len);
    } else {
        CLEANUP_STR struct str limited = STR_INIT(len);
        int r = limit_marks(text, len, &limited);
        if (r < 0)
            return r;
        char *nfc = g_utf8_normalize(limited.data, (gssize)limited.len, G_NORMALIZE_NFC);
        if (!nfc)
            return -ENOMEM;
        slug_text(&s, nfc, strlen(nfc));
        g_free(nfc);
    }
    out[s.len] = '\0';
    return (ssize_t)s.len;
}
