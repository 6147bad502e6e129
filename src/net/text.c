#include "conn.h"

#include <errno.h>
#include <string.h>

#include "unicode.h"

int status_of_code(const char *code)
{
    static const struct {
        const char *code;
        int status;
    } table[] = {
        {"NONEXISTENT", -ENOENT},
        {"NOPERM", -EACCES},
        {"AUTHORIZATIONFAILED", -EACCES},
        {"OVERQUOTA", -EDQUOT},
        {"UNAVAILABLE", -EAGAIN},
        {"INUSE", -EAGAIN},
        {"LIMIT", -EAGAIN},
        {"AUTHENTICATIONFAILED", -EKEYEXPIRED},
        {"EXPIRED", -EKEYEXPIRED},
        {"CANNOT", -EINVAL},
        {"BADCHARSET", -ENOTSUP},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strcmp(code, table[i].code) == 0)
            return table[i].status;
    return -EIO;
}

/* Control characters (C1, too), bidi and zero-width marks, and what is no UTF-8 become `?`: the
 * text goes to terminals and logs. */
void clean_text(struct span from, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < from.len;) {
        uint32_t c;
        size_t n = utf8_decode(from.data + i, from.len - i, &c);
        bool plain = n == 1 ? c >= ' ' && c != 0x7f : n > 1 && unicode_class(c) != UNICODE_REMOVE;
        size_t need = plain ? n : 1;
        if (len + need > size - 1)
            break;
        if (plain)
            memcpy(out + len, from.data + i, n);
        else
            out[len] = '?';
        len += need;
        i += n ? n : 1;
    }
    out[len] = '\0';
}

/* The `]` that ends a response code; one inside a quoted string does not. */
static const char *code_end(const char *p, const char *end)
{
    bool quoted = false;
    for (; p < end; p++) {
        if (quoted && *p == '\\' && p + 1 < end)
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (*p == ']' && !quoted)
            return p;
    }
    return NULL;
}

void split_text(struct span from, struct span *ret_code, struct span *ret_args,
                struct span *ret_text)
{
    const char *p = from.data, *end = from.data + from.len;
    *ret_code = *ret_args = (struct span){"", 0};
    while (p < end && *p == ' ')
        p++;
    const char *close = p < end && *p == '[' ? code_end(p + 1, end) : NULL;
    if (close) {
        const char *begin = p + 1;
        for (p = begin; p < close && *p != ' '; p++)
            ;
        *ret_code = (struct span){begin, (size_t)(p - begin)};
        while (p < close && *p == ' ')
            p++;
        *ret_args = (struct span){p, (size_t)(close - p)};
        p = close + 1;
    }
    while (p < end && *p == ' ')
        p++;
    *ret_text = (struct span){p, (size_t)(end - p)};
}

/* Microsoft writes `Suggested Backoff Time: 299961 milliseconds` into its text. */
static uint64_t parse_backoff(struct span text)
{
    static const char words[] = "Suggested Backoff Time:";
    const char *p = text.len ? memmem(text.data, text.len, words, sizeof(words) - 1) : NULL;
    const char *end = text.data + text.len;
    uint64_t value = 0;
    if (!p)
        return 0;
    for (p += sizeof(words) - 1; p < end && *p == ' '; p++)
        ;
    for (; p < end && *p >= '0' && *p <= '9' && value < 1000000000; p++)
        value = value * 10 + (unsigned)(*p - '0');
    return value;
}

void failure_fill(struct imap_failure *failure, struct span code, struct span text, bool shown)
{
    *failure = (struct imap_failure){.backoff_ms = parse_backoff(text)};
    clean_text(code, failure->code, sizeof(failure->code));
    for (char *c = failure->code; *c; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    if (shown)
        clean_text(text, failure->text, sizeof(failure->text));
}
