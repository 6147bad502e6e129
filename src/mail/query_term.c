#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "date.h"
#include "query.h"

#define DAY 86400

static const struct query_field fields[] = {
    {"from", QUERY_STRING, "FROM "},
    {"to", QUERY_STRING, "TO "},
    {"cc", QUERY_STRING, "CC "},
    {"bcc", QUERY_STRING, "BCC "},
    {"subject", QUERY_STRING, "SUBJECT "},
    {"body", QUERY_STRING, "BODY "},
    {"text", QUERY_STRING, "TEXT "},
    {"since", QUERY_DATE, "SINCE "},
    {"before", QUERY_DATE, "BEFORE "},
    {"on", QUERY_DATE, "ON "},
    {"larger", QUERY_SIZE, "LARGER "},
    {"smaller", QUERY_SIZE, "SMALLER "},
    {"keyword", QUERY_KEYWORD, "KEYWORD "},
    {"is", QUERY_FLAG, ""},
};

static const struct {
    const char *name, *key;
    bool alone; /* means nothing else: needs no `is:` */
} flags[] = {
    {"unread", "UNSEEN", true},
    {"unseen", "UNSEEN", true},
    {"flagged", "FLAGGED", true},
    {"unflagged", "UNFLAGGED", true},
    {"unanswered", "UNANSWERED", true},
    {"undeleted", "UNDELETED", true},
    {"read", "SEEN", false},
    {"seen", "SEEN", false},
    {"answered", "ANSWERED", false},
    {"replied", "ANSWERED", false},
    {"draft", "DRAFT", false},
    {"deleted", "DELETED", false},
    {"forwarded", "KEYWORD $Forwarded", false},
    {"junk", "KEYWORD $Junk", false},
};

static bool same(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && strncasecmp(name, text, len) == 0;
}

const struct query_field *query_field(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (same(fields[i].name, name, len))
            return &fields[i];
    return NULL;
}

const char *query_flag_word(const char *word, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (flags[i].alone && same(flags[i].name, word, len))
            return flags[i].key;
    return NULL;
}

/* ---- dates */

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* `digits` decimal digits and nothing else; -1 for others. */
static int number(const char *text, size_t digits)
{
    int value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* 2026-01-31 */
static bool take_day(const char *text, size_t len, struct date_parts *ret)
{
    if (len != 10 || text[4] != '-' || text[7] != '-')
        return false;
    ret->year = number(text, 4);
    ret->month = number(text + 5, 2);
    ret->day = number(text + 8, 2);
    return ret->year >= 1 && ret->month >= 1 && ret->month <= 12 && ret->day >= 1 &&
           ret->day <= month_days(ret->year, ret->month);
}

/* 7d, 2w, 3m, 1y; a day that a month does not have becomes its last. */
static bool take_age(const char *text, size_t len, int64_t today, struct date_parts *ret)
{
    if (len < 2 || len > 5)
        return false;
    int n = number(text, len - 1), months;
    if (n < 0)
        return false;
    switch (text[len - 1] | 0x20) {
    case 'd':
        date_split(today - (int64_t)n * DAY, ret);
        return true;
    case 'w':
        date_split(today - (int64_t)n * 7 * DAY, ret);
        return true;
    case 'm':
        months = n;
        break;
    case 'y':
        months = n * 12;
        break;
    default:
        return false;
    }
    date_split(today, ret);
    months = ret->year * 12 + ret->month - 1 - months;
    if (months < 12) /* before the year 1 there was no mail */
        months = 12;
    ret->year = months / 12;
    ret->month = months % 12 + 1;
    if (ret->day > month_days(ret->year, ret->month))
        ret->day = month_days(ret->year, ret->month);
    return true;
}

static const char *append_date(const char *value, size_t len, int64_t today, struct str *key)
{
    static const char names[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct date_parts day;
    if (same("today", value, len))
        date_split(today, &day);
    else if (same("yesterday", value, len))
        date_split(today - DAY, &day);
    else if (!take_day(value, len, &day) && !take_age(value, len, today, &day))
        return "no date; write 2026-01-31, today, yesterday, or an age as 7d, 2w, 3m, 1y";
    str_printf_append(key, "%d-%s-%04d", day.day, names[day.month - 1], day.year);
    return NULL;
}

/* ---- the others */

static const char *append_size(const char *value, size_t len, struct str *key)
{
    char text[24];
    uint64_t bytes;
    if (len >= sizeof(text))
        return "no size; write bytes, or 100k, 5M, 1G";
    memcpy(text, value, len);
    text[len] = '\0';
    if (parse_bytes(text, &bytes) < 0)
        return "no size; write bytes, or 100k, 5M, 1G";
    if (bytes > UINT32_MAX)
        return "too large; a server counts up to 4294967295 bytes";
    str_printf_append(key, "%llu", (unsigned long long)bytes);
    return NULL;
}

/* RFC 3501 9: flag-keyword is an atom. */
static const char *append_keyword(const char *value, size_t len, struct str *key)
{
    for (size_t i = 0; i < len; i++)
        if (value[i] <= ' ' || value[i] > '~' || strchr("(){%*\"\\]", value[i]))
            return "no keyword; that is a word of ASCII without ( ) { % * \" \\ ]";
    str_append(key, value, len);
    return NULL;
}

static const char *append_flag(const char *value, size_t len, struct str *key)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (same(flags[i].name, value, len)) {
            str_append_text(key, flags[i].key);
            return NULL;
        }
    }
    return "no such flag; there are read, unread, flagged, unflagged, answered, unanswered, draft, "
           "deleted, undeleted, forwarded, junk";
}

const char *query_term(const struct query_field *field, const char *value, size_t len,
                       int64_t today, struct str *key)
{
    str_append_text(key, field->key);
    switch (field->value) {
    case QUERY_DATE:
        return append_date(value, len, today, key);
    case QUERY_SIZE:
        return append_size(value, len, key);
    case QUERY_KEYWORD:
        return append_keyword(value, len, key);
    case QUERY_FLAG:
        return append_flag(value, len, key);
    case QUERY_STRING:
        break;
    }
    return NULL;
}
