#include "mutf7.h"

#include <errno.h>
#include <string.h>

#include "unicode.h"

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_printable(uint32_t c)
{
    return c >= ' ' && c <= '~';
}

/* UTF-16 units as base64, six bits at a time. */
struct shift {
    uint32_t bits;
    unsigned count;
    bool open;
};

static void shift_close(struct shift *s, struct str *out)
{
    if (!s->open)
        return;
    if (s->count > 0)
        str_append_char(out, base64_digits[s->bits << (6 - s->count) & 63]);
    str_append_char(out, '-');
    *s = (struct shift){0};
}

static void shift_unit(struct shift *s, uint32_t unit, struct str *out)
{
    if (!s->open)
        str_append_char(out, '&');
    s->open = true;
    s->bits = s->bits << 16 | unit;
    s->count += 16;
    while (s->count >= 6) {
        s->count -= 6;
        str_append_char(out, base64_digits[s->bits >> s->count & 63]);
    }
    s->bits &= (1u << s->count) - 1;
}

int mutf7_encode(const char *text, size_t len, struct str *out)
{
    struct shift shift = {0};
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t c;
        n = utf8_decode(text + i, len - i, &c);
        if (n == 0)
            return -EINVAL;
        if (is_printable(c)) {
            shift_close(&shift, out);
            str_append_char(out, (char)c);
            if (c == '&')
                str_append_char(out, '-');
        } else if (c < 0x10000) {
            shift_unit(&shift, c, out);
        } else {
            shift_unit(&shift, 0xd800 + ((c - 0x10000) >> 10), out);
            shift_unit(&shift, 0xdc00 + ((c - 0x10000) & 0x3ff), out);
        }
    }
    shift_close(&shift, out);
    return str_append(out, "", 0);
}

/* What stands between `&` and `-`.  Lax about what the caller's second look finds. */
static int decode_shift(const char *digits, size_t len, struct str *out)
{
    uint32_t bits = 0, high = 0;
    unsigned count = 0;
    for (size_t i = 0; i < len; i++) {
        const char *digit = memchr(base64_digits, digits[i], 64);
        if (!digit)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)(digit - base64_digits);
        count += 6;
        if (count < 16)
            continue;
        count -= 16;
        uint32_t c = bits >> count & 0xffff;
        bits &= (1u << count) - 1;
        if ((c >= 0xdc00 && c <= 0xdfff) != (high != 0) || c == 0)
            return -EINVAL;
        if (c >= 0xd800 && c <= 0xdbff) {
            high = c;
            continue;
        }
        if (high)
            c = 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00);
        high = 0;
        char utf8[4];
        str_append(out, utf8, utf8_encode(c, utf8));
    }
    return high ? -EINVAL : 0;
}

static int decode_lax(const char *raw, size_t len, struct str *out)
{
    for (const char *p = raw, *end = raw + len; p < end; p++) {
        if (!is_printable((unsigned char)*p))
            return -EINVAL;
        if (*p != '&') {
            str_append_char(out, *p);
            continue;
        }
        const char *close = memchr(p, '-', (size_t)(end - p));
        if (!close)
            return -EINVAL;
        if (close == p + 1)
            str_append_char(out, '&');
        else if (decode_shift(p + 1, (size_t)(close - p) - 1, out) < 0)
            return -EINVAL;
        p = close;
    }
    return str_append(out, "", 0);
}

int mutf7_decode(const char *raw, size_t len, struct str *out)
{
    size_t start = out->len;
    int r = decode_lax(raw, len, out);
    if (r < 0)
        return r;
    CLEANUP_STR struct str again = STR_INIT(len);
    r = mutf7_encode(out->data + start, out->len - start, &again);
    if (r == -ENOMEM)
        return r;
    return r == 0 && again.len == len && memcmp(again.data, raw, len) == 0 ? 0 : -EINVAL;
}
