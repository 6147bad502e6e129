#include "plain.h"

#include <string.h>

#include "unicode.h"

static bool is_plain(uint32_t c)
{
    return c < 0x80 ? c >= ' ' && c != 0x7f : unicode_class(c) != UNICODE_REMOVE;
}

char *plain_copy(const char *text, char *out, size_t size)
{
    size_t left = text ? strlen(text) : 0, n = 0;
    while (left > 0) {
        uint32_t c;
        size_t len = utf8_decode(text, left, &c);
        bool plain = len > 0 && is_plain(c);
        size_t need = plain ? len : 1;
        if (n + need >= size)
            break;
        if (plain)
            memcpy(out + n, text, len);
        else
            out[n] = '?';
        n += need;
        text += len ? len : 1;
        left -= len ? len : 1;
    }
    out[n] = '\0';
    return out;
}

/* East Asian scripts and emoji; a table of all would be more than a column is worth. */
static bool is_wide(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
           (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
           (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd);
}

size_t plain_width(const char *text)
{
    size_t left = strlen(text), width = 0;
    while (left > 0) {
        uint32_t c = 0;
        size_t len = utf8_decode(text, left, &c);
        width += len > 0 && is_wide(c) ? 2 : 1;
        text += len ? len : 1;
        left -= len ? len : 1;
    }
    return width;
}
