#include "header.h"

#include <errno.h>
#include <string.h>

enum { FIELD_MESSAGE_ID, FIELD_DATE, FIELD_FROM, FIELD_SUBJECT, FIELD_COUNT };

static const char *const field_names[FIELD_COUNT] = {"message-id", "date", "from", "subject"};

/* A field's body in the block, with its folds; start is NULL when missing. */
struct span {
    const char *start;
    size_t len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* By hand: strncasecmp would follow the locale. */
static bool same_name(const char *text, size_t len, const char *lower)
{
    if (strlen(lower) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        if (c != lower[i])
            return false;
    }
    return true;
}

/* The end of the line that begins at p, behind its LF. */
static const char *line_end(const char *p, const char *end)
{
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    return lf ? lf + 1 : end;
}

static bool is_empty_line(const char *p, const char *end)
{
    return *p == '\n' || (*p == '\r' && p + 1 < end && p[1] == '\n');
}

/* Which of our fields the line is, and where its body begins; -1 for any other line. */
static int match_field(const char *line, const char *end, const char **ret_body)
{
    const size_t longest = sizeof("message-id") + 8; /* blanks before the colon are obsolete */
    size_t len = (size_t)(end - line);
    const char *colon = memchr(line, ':', len < longest ? len : longest);
    if (!colon)
        return -1;
    size_t n = (size_t)(colon - line);
    while (n > 0 && is_blank(line[n - 1]))
        n--;
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (same_name(line, n, field_names[i])) {
            *ret_body = colon + 1;
            return i;
        }
    }
    return -1;
}

static void find_fields(const char *block, size_t len, struct span spans[FIELD_COUNT])
{
    const char *end = block + len;
    for (const char *p = block; p < end && !is_empty_line(p, end);) {
        const char *line = p, *body;
        p = line_end(p, end);
        while (p < end && is_blank(*p))
            p = line_end(p, end);
        int field = match_field(line, p, &body);
        if (field >= 0 && !spans[field].start)
            spans[field] = (struct span){body, (size_t)(p - body)};
    }
}

/* Writes the unfolded value and its NUL to out, which has room for len + 1 bytes or, if that is
 * less, HEADER_VALUE_MAX + 1; returns the bytes used. */
static size_t unfold(const char *text, size_t len, char *out)
{
    size_t n = 0;
    bool blank = false;
    for (size_t i = 0; i < len && n < HEADER_VALUE_MAX; i++) {
        char c = text[i];
        if (is_blank(c) || c == '\r' || c == '\n' || c == '\0') {
            blank = n > 0;
            continue;
        }
        if (blank) {
            out[n++] = ' ';
            blank = false;
            if (n == HEADER_VALUE_MAX)
                break;
        }
        out[n++] = c;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
    return n + 1;
}

int mail_header_parse(const char *block, size_t len, struct mail_header *ret)
{
    struct span spans[FIELD_COUNT] = {0};
    if (len > 0)
        find_fields(block, len, spans);
    size_t size = 0;
    for (int i = 0; i < FIELD_COUNT; i++)
        size += (spans[i].len < HEADER_VALUE_MAX ? spans[i].len : HEADER_VALUE_MAX) + 1;
    char *memory = malloc(size);
    if (!memory)
        return -ENOMEM;
    char *values[FIELD_COUNT], *p = memory;
    for (int i = 0; i < FIELD_COUNT; i++) {
        values[i] = p;
        p += unfold(spans[i].start, spans[i].len, p);
    }
    *ret = (struct mail_header){
        .message_id = values[FIELD_MESSAGE_ID],
        .date = values[FIELD_DATE],
        .from = values[FIELD_FROM],
        .subject = values[FIELD_SUBJECT],
        .memory = memory,
    };
    return 0;
}

void mail_header_release(struct mail_header *header)
{
    free(header->memory);
    *header = (struct mail_header){0};
}
