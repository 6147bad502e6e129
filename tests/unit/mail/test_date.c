#include "date.h"

#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define BAD INT64_MIN

static void test_internal(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* BAD: -EINVAL */
        int zone;
        const char *back; /* NULL: the same */
    } table[] = {
        {"22-Nov-2026 09:31:00 +0000", 1795339860, 0, NULL},
        {"22-Nov-2026 10:31:00 +0100", 1795339860, 60, NULL},
        {"22-Nov-2026 04:01:00 -0530", 1795339860, -330, NULL},
        {" 7-Jul-1996 02:44:25 -0700", 836732665, -420, "07-Jul-1996 02:44:25 -0700"},
        {"01-jan-1970 00:00:00 +0000", 0, 0, "01-Jan-1970 00:00:00 +0000"},
        {"01-JAN-1970 00:00:00 -0000", 0, 0, "01-Jan-1970 00:00:00 +0000"},
        {"31-Dec-1969 23:59:59 +0000", -1, 0, NULL},
        {"29-Feb-2000 12:00:00 +0000", 951825600, 0, NULL},
        {"29-Feb-2024 23:59:60 +0000", 1709251200, 0, "01-Mar-2024 00:00:00 +0000"},
        {"31-Dec-9999 23:59:59 +0000", 253402300799, 0, NULL},
        {"01-Jan-0000 00:00:00 +0000", -62167219200, 0, NULL},
        {"29-Feb-2026 12:00:00 +0000", BAD, 0, NULL},
        {"29-Feb-1900 12:00:00 +0000", BAD, 0, NULL},
        {"31-Apr-2026 12:00:00 +0000", BAD, 0, NULL},
        {"00-Nov-2026 12:00:00 +0000", BAD, 0, NULL},
        {"32-Jan-2026 12:00:00 +0000", BAD, 0, NULL},
        {"22-Nov-2026 24:00:00 +0000", BAD, 0, NULL},
        {"22-Nov-2026 12:60:00 +0000", BAD, 0, NULL},
        {"22-Nov-2026 12:00:61 +0000", BAD, 0, NULL},
        {"22-Nov-2026 12:00:00 +2400", BAD, 0, NULL},
        {"22-Nov-2026 12:00:00 +0060", BAD, 0, NULL},
        {"22-Nov-2026 12:00:00  0000", BAD, 0, NULL},
        {"22-Nov-2026 12:00:00 +00000", BAD, 0, NULL},
        {"22-Nov-2026 12:00:00 +000", BAD, 0, NULL},
        {"22-Nix-2026 12:00:00 +0000", BAD, 0, NULL},
        {"22-Nov-2026T12:00:00 +0000", BAD, 0, NULL},
        {"22 Nov 2026 12:00:00 +0000", BAD, 0, NULL},
        {"-1-Nov-2026 12:00:00 +0000", BAD, 0, NULL},
        {"22-Nov-2026 -1:00:00 +0000", BAD, 0, NULL},
        {"22-Nov-2026 12:00:00 +-100", BAD, 0, NULL},
        {"22-Nov- 026 12:00:00 +0000", BAD, 0, NULL},
        {"", BAD, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int64_t seconds = BAD;
        int zone = 9999;
        char back[DATE_INTERNAL_LEN + 1];
        int r = date_parse_internal(table[i].text, strlen(table[i].text), &seconds, &zone);
        if (table[i].seconds == BAD) {
            assert_int_equal(r, -EINVAL);
            assert_true(seconds == BAD && zone == 9999);
            continue;
        }
        assert_int_equal(r, 0);
        assert_true(seconds == table[i].seconds);
        assert_int_equal(zone, table[i].zone);
        date_format_internal(seconds, zone, back);
        assert_string_equal(back, table[i].back ? table[i].back : table[i].text);
    }
}

static void test_format_extremes(void **state)
{
    static const struct {
        int64_t seconds;
        int zone;
        const char *text;
    } table[] = {
        {INT64_MAX, 0, "31-Dec-9999 23:59:59 +0000"},
        {INT64_MIN, 0, "01-Jan-0000 00:00:00 +0000"},
        {INT64_MAX, INT32_MAX, "31-Dec-9999 23:59:59 +2359"},
        {INT64_MIN, INT32_MIN, "01-Jan-0000 00:00:00 -2359"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char text[DATE_INTERNAL_LEN + 1];
        date_format_internal(table[i].seconds, table[i].zone, text);
        assert_string_equal(text, table[i].text);
    }
}

/* Every day of the calendar, against the C library. */
static void test_split(void **state)
{
    (void)state;
    for (int64_t day = -719528; day <= 2932896; day++) {
        time_t t = day * 86400 + (day & 0xffff);
        struct tm tm;
        struct date_parts d;
        gmtime_r(&t, &tm);
        date_split(t, &d);
        if (d.year != tm.tm_year + 1900 || d.month != tm.tm_mon + 1 || d.day != tm.tm_mday ||
            d.hour != tm.tm_hour || d.minute != tm.tm_min || d.second != tm.tm_sec)
            fail_msg("day %lld", (long long)day);
        if (day % 997 == 0) {
            char text[DATE_INTERNAL_LEN + 1];
            int64_t back;
            int zone = (int)(day % 1440);
            date_format_internal(t, zone, text);
            assert_int_equal(date_parse_internal(text, DATE_INTERNAL_LEN, &back, &zone), 0);
            if (day > -719000 && day < 2932000)
                assert_true(back == t);
        }
    }
}

static const struct {
    const char *value;
    int64_t seconds;
} header_dates[] = {
    {"Sun, 22 Nov 2026 10:30:00 +0100", 1795339800},
    {"22 Nov 2026 10:30:00 +0100", 1795339800},
    {"Sun, 22 Nov 2026 10:30 +0100", 1795339800},
    {"sun, 22 nov 2026 10:30:00 +0100", 1795339800},
    {"SUNDAY, 22 NOVEMBER 2026 10:30:00 +0100", 1795339800},
    {"Sun,22 Nov 2026 10:30:00 +0100", 1795339800},
    {"Sun 22 Nov 2026 10:30:00 +0100", 1795339800},
    {"Sun., 22 Nov. 2026 10:30:00 +0100", 1795339800},
    {"(x) Sun (y) , (z(z)\\)) 22 (a) Nov (b) 2026 (c) 10 (d) : 30 : 00 (e) +0100 (CET)",
     1795339800},
    {"Sun, 22 Nov 2026 10:30:00 +0100 (CET", 1795339800},
    {"Sun, 22 Nov 2026 10:30:00 +0100 CET", 1795339800},
    {"Sun, 22 Nov 2026 10:30:00 +01:00", 1795339800},
    {"Sun, 22 Nov 2026 10:30:00.250 +0100", 1795339800},
    {"Sunday, 22-Nov-26 09:30:00 GMT", 1795339800},
    {"22 Nov 26 04:30 EST", 1795339800},
    {"22 Nov 26 05:30 EDT", 1795339800},
    {"22 Nov 26 03:30 CST", 1795339800},
    {"22 Nov 26 04:30 CDT", 1795339800},
    {"22 Nov 26 02:30 MST", 1795339800},
    {"22 Nov 26 03:30 MDT", 1795339800},
    {"22 Nov 26 01:30 PST", 1795339800},
    {"22 Nov 26 02:30 pdt", 1795339800},
    {"22 Nov 26 09:30 UT", 1795339800},
    {"22 Nov 26 09:30 UTC", 1795339800},
    {"22 Nov 26 09:30 Z", 1795339800},
    {"22 Nov 26 09:30 A", 1795339800},    /* military letters count as -0000 */
    {"22 Nov 26 09:30 XYZT", 1795339800}, /* and so does what is unknown */
    {"22 Nov 26 09:30", 1795339800},
    {"22 Nov 26 10:30 GMT+0100", 1795339800},
    {"22 Nov 2026 09:30:00 -0000", 1795339800},
    {"Sun Nov 22 09:30:00 2026", 1795339800},
    {"Sun Nov 22 04:30:00 EST 2026", 1795339800},
    {"Nov 22 10:30:00 +0100 2026", 1795339800},
    {"1 Jan 1970 00:00:00 +0000", 0},
    {"1 Jan 70 00:00:00 +0000", 0},
    {"1 Jan 070 00:00:00 +0000", 0},
    {"1 Jan 100 00:00:00 +0000", 946684800},
    {"1 Jan 49 00:00:00 +0000", 2493072000},
    {"1 Jan 50 00:00:00 +0000", -631152000},
    {"Thu, 1 Jan 1903 00:00:00 +0000", -2114380800},
    {"Sat, 31 Dec 2016 23:59:60 +0000", 1483228800},
    {"29 Feb 2024 00:00:00 +0000", 1709164800},
    {"", BAD},
    {"hello", BAD},
    {"Sun", BAD},
    {"Sun,", BAD},
    {"5", BAD},
    {"2026", BAD},
    {"22 Nov", BAD},
    {"22 Nov 2026", BAD},
    {"Sun, 22 Nov 2026", BAD},
    {"22 Nov 2026 10", BAD},
    {"22 Nov 2026 10:", BAD},
    {"22 Nov 2026 10:3", BAD},
    {"22 Nov 2026 10:30:0", BAD},
    {"22 Nov 2026 24:00:00 +0000", BAD},
    {"22 Nov 2026 10:60:00 +0000", BAD},
    {"22 Nov 2026 10:30:61 +0000", BAD},
    {"31 Feb 2026 10:30:00 +0000", BAD},
    {"29 Feb 2026 10:30:00 +0000", BAD},
    {"0 Nov 2026 10:30:00 +0000", BAD},
    {"99 Nov 2026 10:30:00 +0000", BAD},
    {"22 Foo 2026 10:30:00 +0000", BAD},
    {"22 11 2026 10:30:00 +0000", BAD},
    {"22 Nov 6 10:30:00 +0000", BAD},
    {"22 Nov 12026 10:30:00 +0000", BAD},
    {"22 Nov 99999999999999999999 10:30:00 +0000", BAD},
    {"22222222222222222222 Nov 2026 10:30:00 +0000", BAD},
    {"22 Nov 2026 10:30:00 +9999", BAD},
    {"22 Nov 2026 10:30:00 +01", BAD},
    {"22 Nov 2026 10:30:00 +01000", BAD},
    {"22 Nov 2026 10:30:00 +0100 5", BAD},
    {"22 Nov 2026 10:30:00 +0100 <x>", BAD},
    {"2026-11-22 10:30:00 +0100", BAD},
    {"11/22/2026 10:30", BAD},
    {"(22 Nov 2026 10:30:00 +0100", BAD},
    {"Nov 22 10:30:00", BAD},
    {"\xff\xfe", BAD},
};

static void test_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(header_dates); i++) {
        int64_t seconds = BAD;
        int r = date_parse_header(header_dates[i].value, &seconds);
        if (r != (header_dates[i].seconds == BAD ? -EINVAL : 0) ||
            seconds != header_dates[i].seconds)
            fail_msg("%s: %d, %lld", header_dates[i].value, r, (long long)seconds);
    }
}

/* The same again where the C library would read and count otherwise. */
static void test_elsewhere(void **state)
{
    (void)state;
    setenv("TZ", "America/St_Johns", 1);
    tzset();
    setlocale(LC_ALL, "de_DE.UTF-8"); /* may not be there: then only the zone differs */
    test_header(state);
    test_internal(state);
    setlocale(LC_ALL, "C");
    unsetenv("TZ");
    tzset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_internal),  cmocka_unit_test(test_format_extremes),
        cmocka_unit_test(test_split),     cmocka_unit_test(test_header),
        cmocka_unit_test(test_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
