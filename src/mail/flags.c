#include "flags.h"

#include <errno.h>
#include <string.h>

#include <glib.h>

static const struct {
    const char *name;
    unsigned bit;
} system_flags[] = {
    {"\\Seen", FLAG_SEEN},       {"\\Answered", FLAG_ANSWERED}, {"\\Flagged", FLAG_FLAGGED},
    {"\\Deleted", FLAG_DELETED}, {"\\Draft", FLAG_DRAFT},       {"\\Recent", FLAG_RECENT},
};

static const char forwarded[] = "$Forwarded";

static bool same_atom(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && g_ascii_strncasecmp(a, b, a_len) == 0;
}

unsigned flag_bit(const char *atom, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(system_flags); i++)
        if (same_atom(atom, len, system_flags[i].name, strlen(system_flags[i].name)))
            return system_flags[i].bit;
    return 0;
}

/* The next keyword at *cursor, NULL behind the last. */
static const char *next_keyword(const char **cursor, size_t *ret_len)
{
    const char *atom = *cursor + strspn(*cursor, " ");
    *ret_len = strcspn(atom, " ");
    *cursor = atom + *ret_len;
    return *ret_len ? atom : NULL;
}

static bool has_keyword(const char *keywords, const char *atom, size_t len)
{
    const char *other;
    for (size_t n; (other = next_keyword(&keywords, &n));)
        if (same_atom(other, n, atom, len))
            return true;
    return false;
}

/* What would break a list apart or reach a terminal: no atom has it (RFC 9051, ATOM-CHAR). */
static bool is_listable(const char *atom, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)atom[i] <= ' ' || atom[i] == 0x7f)
            return false;
    return len > 0;
}

int flags_add(unsigned *flags, struct str *keywords, const char *atom, size_t len)
{
    if (!is_listable(atom, len))
        return -EINVAL;
    unsigned bit = flag_bit(atom, len);
    if (bit) {
        *flags |= bit;
        return 0;
    }
    size_t blank = keywords->len > 0;
    if (len > KEYWORDS_MAX || keywords->len + blank + len > KEYWORDS_MAX)
        return 0;
    if (blank && has_keyword(keywords->data, atom, len))
        return 0;
    int r = str_reserve(keywords, blank + len);
    if (r < 0)
        return r;
    if (blank)
        str_append_char(keywords, ' ');
    return str_append(keywords, atom, len);
}

int flags_format(unsigned flags, const char *keywords, struct str *out)
{
    const char *blank = "";
    for (size_t i = 0; i < ARRAY_LEN(system_flags); i++) {
        if (!(flags & system_flags[i].bit & ~(unsigned)FLAG_RECENT))
            continue;
        str_append_text(out, blank);
        str_append_text(out, system_flags[i].name);
        blank = " ";
    }
    if (*keywords) {
        str_append_text(out, blank);
        str_append_text(out, keywords);
    }
    return str_error(out);
}

static void append_tag(struct str *out, size_t start, const char *tag, size_t len)
{
    if (out->len > start)
        str_append_char(out, ',');
    for (size_t i = 0; i < len; i++) {
        if (tag[i] == ',')
            str_append_text(out, "%2C");
        else
            str_append_char(out, tag[i]);
    }
}

static void append_fixed_tag(struct str *out, size_t start, const char *tag)
{
    append_tag(out, start, tag, strlen(tag));
}

int flags_format_tags(unsigned flags, const char *keywords, struct str *out)
{
    size_t start = out->len;
    if (!(flags & FLAG_SEEN))
        append_fixed_tag(out, start, "unread");
    if (flags & FLAG_FLAGGED)
        append_fixed_tag(out, start, "flagged");
    if (flags & FLAG_ANSWERED)
        append_fixed_tag(out, start, "replied");
    if (has_keyword(keywords, forwarded, strlen(forwarded)))
        append_fixed_tag(out, start, "passed");
    if (flags & FLAG_DRAFT)
        append_fixed_tag(out, start, "draft");
    const char *atom;
    for (size_t n; (atom = next_keyword(&keywords, &n));)
        if (!same_atom(atom, n, forwarded, strlen(forwarded)))
            append_tag(out, start, atom, n);
    return str_error(out);
}
