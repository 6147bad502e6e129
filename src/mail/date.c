#include "date.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* DESIGN.  All by hand: strptime and mktime follow locale and zone, and GMime's reader takes
 * "Sun, 22 Nov 2026", "11/22/2026 10:30" and years by another century rule than RFC 5322, and
 * did so differently in its versions, while a name must be the same everywhere. */

struct civil {
    int64_t year;
    int month, day, hour, minute, second; /* month 1 to 12 */
};

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "SunMonTueWedThuFriSat";

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_alpha(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Index of a three-letter name in a table of them, by its first three letters; -1 if none. */
static int find_name(const char *table, const char *text, size_t len)
{
    for (int i = 0; len >= 3 && table[i * 3]; i++)
        if (lower(text[0]) == lower(table[i * 3]) && lower(text[1]) == lower(table[i * 3 + 1]) &&
            lower(text[2]) == lower(table[i * 3 + 2]))
            return i;
    return -1;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to a day of the Gregorian calendar, years 0 to 9999.  The year is taken
 * to begin in March, so that the leap day is its last. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t m = month > 2 ? month - 3 : month + 9;
    int64_t era = (y + 400) / 400 - 1;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * m + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int civil_to_seconds(const struct civil *c, int zone, int64_t *ret_seconds)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (c->year < 0 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
        c->day > month_days[c->month - 1] + (c->month == 2 && is_leap(c->year)) || c->hour > 23 ||
        c->minute > 59 || c->second > 60)
        return -EINVAL;
    int64_t days = days_from_civil(c->year, c->month, c->day);
    *ret_seconds = days * 86400 + c->hour * 3600 + c->minute * 60 + c->second - (int64_t)zone * 60;
    return 0;
}

/* The first and the last second of the years 0 to 9999. */
#define FIRST_SECOND INT64_C(-62167219200)
#define LAST_SECOND  INT64_C(253402300799)

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

void date_split(int64_t seconds, struct date_parts *ret)
{
    int64_t since = clamp(seconds, FIRST_SECOND, LAST_SECOND) - FIRST_SECOND;
    int64_t days = since / 86400 - 60, rest = since % 86400; /* since 0000-03-01 */
    int64_t era = (days + 146097) / 146097 - 1;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t m = (5 * of_year + 2) / 153;
    ret->day = (int)(of_year - (153 * m + 2) / 5 + 1);
    ret->month = (int)(m < 10 ? m + 3 : m - 9);
    ret->year = (int)(year + era * 400 + (ret->month <= 2));
    ret->hour = (int)(rest / 3600);
    ret->minute = (int)(rest / 60 % 60);
    ret->second = (int)(rest % 60);
}

/* ---- INTERNALDATE */

/* Exactly n digits at p; -1 if they are not. */
static int fixed_digits(const char *p, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (!is_digit(p[i]))
            return -1;
        value = value * 10 + (p[i] - '0');
    }
    return value;
}

/* `+hhmm` at p to minutes east. */
static int parse_zone(const char *p, int *ret_zone)
{
    int hours = fixed_digits(p + 1, 2), minutes = hours < 0 ? -1 : fixed_digits(p + 3, 2);
    if ((p[0] != '+' && p[0] != '-') || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return -EINVAL;
    *ret_zone = (hours * 60 + minutes) * (p[0] == '-' ? -1 : 1);
    return 0;
}

int date_parse_internal(const char *text, size_t len, int64_t *ret_seconds, int *ret_zone)
{
    if (len != DATE_INTERNAL_LEN || text[2] != '-' || text[6] != '-' || text[11] != ' ' ||
        text[14] != ':' || text[17] != ':' || text[20] != ' ')
        return -EINVAL;
    struct civil c = {
        .year = fixed_digits(text + 7, 4),
        .month = find_name(month_names, text + 3, 3) + 1,
        .day = text[0] == ' ' ? fixed_digits(text + 1, 1) : fixed_digits(text, 2),
        .hour = fixed_digits(text + 12, 2),
        .minute = fixed_digits(text + 15, 2),
        .second = fixed_digits(text + 18, 2),
    };
    int64_t seconds;
    int zone;
    if (c.hour < 0 || c.minute < 0 || c.second < 0 || parse_zone(text + 21, &zone) < 0 ||
        civil_to_seconds(&c, zone, &seconds) < 0)
        return -EINVAL;
    *ret_seconds = seconds;
    *ret_zone = zone;
    return 0;
}

void date_format_internal(int64_t seconds, int zone, char out[DATE_INTERNAL_LEN + 1])
{
    zone = (int)clamp(zone, -(23 * 60 + 59), 23 * 60 + 59);
    unsigned east = (unsigned)(zone < 0 ? -zone : zone);
    struct date_parts d;
    date_split(clamp(seconds, FIRST_SECOND, LAST_SECOND) + (int64_t)zone * 60, &d);
    /* The remainders change nothing; they show the compiler that the text fits. */
    snprintf(out, DATE_INTERNAL_LEN + 1, "%02u-%.3s-%04u %02u:%02u:%02u %c%02u%02u",
             (unsigned)d.day % 100, month_names + (d.month - 1) * 3, (unsigned)d.year % 10000,
             (unsigned)d.hour % 100, (unsigned)d.minute % 100, (unsigned)d.second % 100,
             zone < 0 ? '-' : '+', east / 60 % 100, east % 60);
}

/* ---- the Date header */

/* Skips blanks and comments, which nest and may quote.  An open comment reaches to the end. */
static void skip_blanks(const char **p)
{
    unsigned depth = 0;
    for (; **p; (*p)++) {
        if (**p == '(')
            depth++;
        else if (**p == ')' && depth > 0)
            depth--;
        else if (**p == '\\' && depth > 0 && (*p)[1])
            (*p)++;
        else if (depth == 0 && **p != ' ' && **p != '\t')
            return;
    }
}

static size_t alpha_span(const char *p)
{
    size_t n = 0;
    while (is_alpha(p[n]))
        n++;
    return n;
}

/* A number of min to max digits and the blanks behind it. */
static int take_number(const char **p, size_t min, size_t max, int *ret_value, size_t *ret_digits)
{
    size_t n = 0;
    int value = 0;
    for (; is_digit((*p)[n]); n++) {
        if (n == max)
            return -EINVAL;
        value = value * 10 + ((*p)[n] - '0');
    }
    if (n < min)
        return -EINVAL;
    *p += n;
    skip_blanks(p);
    *ret_value = value;
    if (ret_digits)
        *ret_digits = n;
    return 0;
}

static void take_separator(const char **p, char separator)
{
    if (**p == separator) {
        (*p)++;
        skip_blanks(p);
    }
}

/* A name out of a table and the blanks behind it; returns its index. */
static int take_name(const char **p, const char *table)
{
    size_t n = alpha_span(*p);
    int index = find_name(table, *p, n);
    if (index >= 0) {
        *p += n;
        take_separator(p, '.');
        skip_blanks(p);
    }
    return index;
}

/* RFC 5322 4.3: 00 to 49 are 20xx, 50 to 99 and three digits are added to 1900. */
static int take_year(const char **p, int64_t *ret_year)
{
    int year;
    size_t digits;
    if (take_number(p, 2, 4, &year, &digits) < 0)
        return -EINVAL;
    if (digits == 2 && year < 50)
        year += 2000;
    else if (digits < 4)
        year += 1900;
    *ret_year = year;
    return 0;
}

static int take_time(const char **p, struct civil *c)
{
    if (take_number(p, 1, 2, &c->hour, NULL) < 0 || **p != ':')
        return -EINVAL;
    take_separator(p, ':');
    if (take_number(p, 2, 2, &c->minute, NULL) < 0)
        return -EINVAL;
    if (**p != ':')
        return 0;
    take_separator(p, ':');
    if (take_number(p, 2, 2, &c->second, NULL) < 0)
        return -EINVAL;
    if (**p == '.') { /* fractions occur */
        (*p)++;
        *p += strspn(*p, "0123456789");
        skip_blanks(p);
    }
    return 0;
}

/* `+0100`, or `+01:00`. */
static int take_numeric_zone(const char **p, int *ret_zone)
{
    char compact[6] = {0};
    size_t used = 1;
    compact[0] = **p;
    for (size_t i = 1; i < 5; i++) {
        if (i == 3 && (*p)[used] == ':')
            used++;
        compact[i] = (*p)[used];
        if (!is_digit(compact[i]))
            return -EINVAL;
        used++;
    }
    if (is_digit((*p)[used]) || parse_zone(compact, ret_zone) < 0)
        return -EINVAL;
    *p += used;
    skip_blanks(p);
    return 0;
}

/* Obsolete zones (RFC 5322 4.3).  Military letters and unknown names count as UTC there. */
static int take_zone(const char **p, int *ret_zone)
{
    static const struct {
        char name[4];
        int hours;
    } zones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
                 {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
    *ret_zone = 0;
    size_t n = alpha_span(*p);
    for (size_t i = 0; n == 3 && i < ARRAY_LEN(zones); i++)
        if (find_name(zones[i].name, *p, n) == 0)
            *ret_zone = zones[i].hours * 60;
    *p += n;
    skip_blanks(p);
    return **p == '+' || **p == '-' ? take_numeric_zone(p, ret_zone) : 0;
}

/* `22 Nov 2026 10:30:00 +0100`; blanks or `-` between day, month and year. */
static int take_day_first(const char **p, struct civil *c, int *ret_zone)
{
    if (take_number(p, 1, 2, &c->day, NULL) < 0)
        return -EINVAL;
    take_separator(p, '-');
    c->month = take_name(p, month_names) + 1;
    if (c->month == 0)
        return -EINVAL;
    take_separator(p, '-');
    if (take_year(p, &c->year) < 0 || take_time(p, c) < 0)
        return -EINVAL;
    return take_zone(p, ret_zone);
}

/* `Nov 22 10:30:00 [zone] 2026`, as asctime writes it: it occurs in old archives. */
static int take_month_first(const char **p, struct civil *c, int *ret_zone)
{
    c->month = take_name(p, month_names) + 1;
    if (c->month == 0 || take_number(p, 1, 2, &c->day, NULL) < 0 || take_time(p, c) < 0 ||
        take_zone(p, ret_zone) < 0)
        return -EINVAL;
    return is_digit(**p) && is_digit((*p)[1]) && is_digit((*p)[2]) ? take_year(p, &c->year)
                                                                   : -EINVAL;
}

/* A zone's name without parentheses may follow its offset; anything else is nonsense. */
static bool only_words_left(const char *p)
{
    for (; *p; skip_blanks(&p)) {
        size_t n = alpha_span(p);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

int date_parse_header(const char *value, int64_t *ret_seconds)
{
    const char *p = value;
    struct civil c = {0};
    int zone = 0;
    skip_blanks(&p);
    if (take_name(&p, day_names) >= 0)
        take_separator(&p, ',');
    int r = is_digit(*p) ? take_day_first(&p, &c, &zone) : take_month_first(&p, &c, &zone);
    if (r < 0 || !only_words_left(p))
        return -EINVAL;
    return civil_to_seconds(&c, zone, ret_seconds);
}
