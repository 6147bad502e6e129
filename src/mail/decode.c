#include "decode.h"

#include <errno.h>
#include <string.h>

#include <gmime/gmime.h>

#include "unicode.h"

/* DESIGN.  The words are found and unpacked here, because GMime's decoder does not join padded
 * base64 words, takes the locale's character set for raw bytes, and needs 0.4 s for 64 KiB of
 * `=?a?q?x`.  GMime knows the aliases of character sets and keeps converters open. */

/* Bytes of a charset's name; no real one is longer. */
#define CHARSET_MAX 40
/* Converters one value may open; a Subject that wants more is not mail.  Opening one can cost
 * 30 us, and 64 KiB have room for thousands. */
#define CONVERTERS_MAX 64

struct encoded_word {
    const char *charset, *payload;
    size_t charset_len, payload_len; /* charset_len without RFC 2231's *language */
    size_t len;                      /* of the whole word */
    bool base64;
};

/* Bytes of one character set collected from adjacent words. */
struct run {
    struct str bytes;
    char charset[CHARSET_MAX + 1]; /* lower case; "" if it cannot be one */
    bool open;
    uint32_t base64_bits; /* the end of a group that was cut in the middle, else 0 */
    unsigned base64_count;
    unsigned converters; /* opened for this value */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool find_word(const char *text, size_t len, struct encoded_word *ret)
{
    if (len < 6 || text[0] != '=' || text[1] != '?')
        return false;
    size_t i = 2;
    while (i < len && i < 2 + 2 * CHARSET_MAX && text[i] != '?' && !is_blank(text[i]))
        i++;
    if (len - i < 3 || text[i] != '?' || text[i + 2] != '?')
        return false;
    char encoding = text[i + 1];
    if (!strchr("BbQq", encoding) || encoding == '\0')
        return false;
    const char *star = memchr(text + 2, '*', i - 2);
    size_t start = i + 3, end = start;
    for (; end + 1 < len && !(text[end] == '?' && text[end + 1] == '='); end++)
        /* Another word begins: this one was never closed.  (`=?=` is a bad end, not a word.) */
        if (text[end] == '=' && text[end + 1] == '?' && !(end + 2 < len && text[end + 2] == '='))
            return false;
    if (end + 1 >= len)
        return false;
    *ret = (struct encoded_word){
        .charset = text + 2,
        .charset_len = star ? (size_t)(star - text) - 2 : i - 2,
        .payload = text + start,
        .payload_len = end - start,
        .len = end + 2,
        .base64 = encoding == 'B' || encoding == 'b',
    };
    return true;
}

size_t decode_word_length(const char *text, size_t len)
{
    struct encoded_word word;
    return find_word(text, len, &word) ? word.len : 0;
}

/* ---- bytes to UTF-8 */

static uint32_t windows_1252(unsigned char byte)
{
    static const uint16_t high[32] = {
        0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178};
    return byte >= 0x80 && byte <= 0x9f ? high[byte - 0x80] : byte;
}

static int append_raw(const char *text, size_t len, struct str *out)
{
    size_t start = 0, n;
    for (size_t i = 0; i < len; i += n) {
        uint32_t c;
        n = utf8_decode(text + i, len - i, &c);
        if (n > 0 && c > 0)
            continue;
        char utf8[4];
        str_append(out, text + start, i - start);
        str_append(out, utf8, utf8_encode(n ? 1 : windows_1252((unsigned char)text[i]), utf8));
        n = 1;
        start = i + 1;
    }
    return str_append(out, text + start, len - start);
}

static int append_converted(iconv_t converter, const char *text, size_t len, struct str *out)
{
    char buffer[1024], *in = (char *)text;
    int r = 0;
    bool flushed = false;
    while (r == 0 && !flushed) {
        char *to = buffer;
        size_t room = sizeof(buffer);
        flushed = len == 0;
        size_t n = iconv(converter, len ? &in : NULL, &len, &to, &room);
        int code = n == (size_t)-1 ? errno : 0;
        r = append_raw(buffer, (size_t)(to - buffer), out);
        if (code == 0 || code == E2BIG || flushed)
            continue;
        if (r == 0)
            r = str_append_char(out, '?');
        in++;
        len--;
    }
    return r;
}

/* Names that say nothing; GMime would take the locale's character set for x-unknown. */
static bool is_utf8_name(const char *charset)
{
    static const char *const names[] = {
        "",      "utf-8",   "utf8",         "unicode-1-1-utf-8", "us-ascii",
        "ascii", "unknown", "unknown-8bit", "x-unknown",         "default",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(charset, names[i]) == 0)
            return true;
    return false;
}

static iconv_t open_converter(struct run *run)
{
    iconv_t converter = (iconv_t)-1;
    if (is_utf8_name(run->charset) || run->converters++ >= CONVERTERS_MAX)
        return converter;
    converter = g_mime_iconv_open("UTF-8", run->charset);
    if (converter == (iconv_t)-1 && strncmp(run->charset, "x-", 2) == 0)
        converter = g_mime_iconv_open("UTF-8", run->charset + 2); /* x-sjis and friends */
    return converter;
}

static int run_close(struct run *run, struct str *out)
{
    if (!run->open)
        return 0;
    run->open = false;
    run->base64_bits = run->base64_count = 0;
    const char *bytes = run->bytes.len ? run->bytes.data : "";
    iconv_t converter = open_converter(run);
    if (converter == (iconv_t)-1)
        return append_raw(bytes, run->bytes.len, out);
    int r = append_converted(converter, bytes, run->bytes.len, out);
    g_mime_iconv_close(converter);
    return r;
}

/* ---- words to bytes */

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Padding ends a group.  Bits left without it are those of a group that goes on in the next
 * word, unless all are 0: then the padding was left out. */
static void unpack_base64(const struct encoded_word *word, struct run *run)
{
    uint32_t bits = run->base64_bits;
    unsigned count = run->base64_count;
    for (size_t i = 0; i < word->payload_len; i++) {
        int value = base64_value(word->payload[i]);
        if (word->payload[i] == '=')
            bits = count = 0;
        if (value < 0)
            continue;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            str_append_char(&run->bytes, (char)(bits >> count));
            bits &= (1u << count) - 1;
        }
    }
    run->base64_bits = bits;
    run->base64_count = bits ? count : 0;
}

static void unpack_q(const struct encoded_word *word, struct run *run)
{
    const char *p = word->payload, *end = p + word->payload_len;
    run->base64_bits = run->base64_count = 0;
    while (p < end) {
        char c = *p++;
        if (c == '=' && end - p >= 2 && hex_value(p[0]) >= 0 && hex_value(p[1]) >= 0) {
            c = (char)(hex_value(p[0]) << 4 | hex_value(p[1]));
            p += 2;
        } else if (c == '_') {
            c = ' ';
        }
        str_append_char(&run->bytes, c);
    }
}

/* A name for iconv: nothing that it would take for options (`//IGNORE`) or a path. */
static void normalize_charset(const struct encoded_word *word, char out[CHARSET_MAX + 1])
{
    out[0] = '\0';
    if (word->charset_len > CHARSET_MAX)
        return;
    for (size_t i = 0; i < word->charset_len; i++) {
        char c = g_ascii_tolower(word->charset[i]);
        if (!g_ascii_isalnum(c) && !strchr("-_.:+", c)) {
            out[0] = '\0';
            return;
        }
        out[i] = c;
    }
    out[word->charset_len] = '\0';
}

static int run_add(struct run *run, const struct encoded_word *word, struct str *out)
{
    char charset[CHARSET_MAX + 1];
    normalize_charset(word, charset);
    if (run->open && strcmp(charset, run->charset) != 0) {
        int r = run_close(run, out);
        if (r < 0)
            return r;
    }
    if (!run->open) {
        str_clear(&run->bytes);
        memcpy(run->charset, charset, sizeof(charset));
        run->open = true;
    }
    if (word->base64)
        unpack_base64(word, run);
    else
        unpack_q(word, run);
    return str_error(&run->bytes);
}

static bool only_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p == end;
}

static void run_release(struct run *run)
{
    str_release(&run->bytes);
}

int decode_text(const char *text, size_t len, struct str *out)
{
    CLEANUP(run_release) struct run run = {.bytes = STR_INIT(DECODE_MAX)};
    const char *end = text + len, *plain = text, *p = text;
    int r = 0;
    while (r == 0 && p < end) {
        struct encoded_word word;
        if (!find_word(p, (size_t)(end - p), &word)) {
            const char *next = memchr(p + 1, '=', (size_t)(end - p - 1));
            p = next ? next : end;
            continue;
        }
        /* Blanks between two encoded words are not text. */
        if (!run.open || !only_blanks(plain, p)) {
            r = run_close(&run, out);
            if (r == 0)
                r = append_raw(plain, (size_t)(p - plain), out);
        }
        if (r == 0)
            r = run_add(&run, &word, out);
        p += word.len;
        plain = p;
    }
    if (r == 0)
        r = run_close(&run, out);
    return r < 0 ? r : append_raw(plain, (size_t)(end - plain), out);
}
