#include "unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <glib.h>

#include "slug.h"

static bool is_variation_selector(uint32_t c)
{
    return (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef) ||
           (c >= 0x180b && c <= 0x180d) || c == 0x180f;
}

static enum unicode_class expected_class(uint32_t c)
{
    if (is_variation_selector(c))
        return UNICODE_REMOVE;
    switch (g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_PRIVATE_USE:
    case G_UNICODE_SURROGATE:
    case G_UNICODE_UNASSIGNED:
        return UNICODE_REMOVE;
    case G_UNICODE_CONNECT_PUNCTUATION:
    case G_UNICODE_DASH_PUNCTUATION:
    case G_UNICODE_CLOSE_PUNCTUATION:
    case G_UNICODE_FINAL_PUNCTUATION:
    case G_UNICODE_INITIAL_PUNCTUATION:
    case G_UNICODE_OTHER_PUNCTUATION:
    case G_UNICODE_OPEN_PUNCTUATION:
    case G_UNICODE_CURRENCY_SYMBOL:
    case G_UNICODE_MATH_SYMBOL:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
    case G_UNICODE_SPACE_SEPARATOR:
        return UNICODE_REPLACE;
    default:
        return UNICODE_KEEP;
    }
}

/* Our table and GLib's agree on every character that both know. */
static void test_classes(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0x110000; c++)
        if (g_unichar_type(c) != G_UNICODE_UNASSIGNED && unicode_class(c) != expected_class(c))
            fail_msg("U+%04X: %d", c, unicode_class(c));
    assert_int_equal(unicode_class(0x1fae8), UNICODE_KEEP); /* an emoji of Unicode 15 */
    assert_int_equal(unicode_class(0x0378), UNICODE_REMOVE);
    assert_int_equal(unicode_class(0x10ffff), UNICODE_REMOVE);
}

static void test_utf8(void **state)
{
    (void)state;
    for (uint32_t c = 1; c < 0x110000; c++) {
        char text[4];
        uint32_t back = 0;
        size_t n = utf8_encode(c, text);
        bool surrogate = c >= 0xd800 && c <= 0xdfff;
        if (utf8_decode(text, n, &back) != (surrogate ? 0 : n) || (!surrogate && back != c) ||
            utf8_decode(text, n - 1, &back) != 0 || utf8_valid(text, n) != !surrogate ||
            utf8_valid(text, n) != g_utf8_validate(text, (gssize)n, NULL))
            fail_msg("U+%04X", c);
    }
    /* All beginnings of three bytes, against GLib. */
    for (uint32_t i = 0; i < 1u << 24; i += 3) {
        const char text[3] = {(char)(i >> 16 | 1), (char)(i >> 8 | 1), (char)(i | 1)};
        if (utf8_valid(text, 3) != g_utf8_validate(text, 3, NULL))
            fail_msg("%06x", i);
    }
}

static void test_cut(void **state)
{
    (void)state;
    assert_int_equal(utf8_cut("aé日😀", 10, 10), 10);
    assert_int_equal(utf8_cut("aé日😀", 10, 9), 6);
    assert_int_equal(utf8_cut("aé日😀", 10, 6), 6);
    assert_int_equal(utf8_cut("aé日😀", 10, 5), 3);
    assert_int_equal(utf8_cut("aé日😀", 10, 2), 1);
    assert_int_equal(utf8_cut("aé日😀", 10, 0), 0);
}

/* slug_make's short cut around NFC gives what the long way gives: the long way is forced by a
 * character that is removed afterwards. */
static void test_nfc_short_cut(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0x20000; c++) {
        char text[16], once[17], twice[17];
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        size_t n = utf8_encode(c, text);
        ssize_t a = slug_make(text, n, false, 16, once);
        n += utf8_encode(0x200b, text + n);
        ssize_t b = slug_make(text, n, false, 16, twice);
        if (a != b || strcmp(once, twice) != 0)
            fail_msg("U+%04X", c);
    }
}

static void test_slug(void **state)
{
    static const struct {
        const char *text;
        size_t limit;
        const char *slug;
    } table[] = {
        {"", 10, ""},
        {"abc", 10, "abc"},
        {"abc", 3, "abc"},
        {"abcd", 3, "abc"},
        {"a b", 2, "a"},
        {"ab c", 3, "ab"},
        {"--..--a--..--", 20, "a-.."},
        {"a--b__c//d", 20, "a-b-c-d"},
        {"a \t\r\n b", 20, "a-b"},
        {"a\001b\x7f\x1b[0m", 20, "ab-0m"},
        {"A-Za-z0-9.+@,=", 20, "A-Za-z0-9.+@,="},
        {"!\"#$%&'()*/:;<>?[\\]^_`{|}~", 40, ""},
        {"a – b", 20, "a-b"},
        {"a\u200b\u202eb", 20, "ab"},
        {"a \u200b b", 20, "a-b"},
        {"e\u0301\u0323", 20, "ẹ́"},
        {"e\u200d\u0301", 20, "e\u0301"}, /* NFC comes before the removal */
        {"日本語", 8, "日本"},
        {"日 本", 6, "日"},
        {"日 本", 7, "日-本"},
        {"€5 × 3", 20, "5-3"},
        {"❤️", 20, "❤"},
        {"👍🏽", 20, "👍🏽"},
        {"٣", 20, "٣"},
        {"\u00a0a\u3000b\u2028c", 20, "a-b-c"},
        {"\ue000a\ufffe", 20, "a"},
        {"\u1100\u1161", 20, "가"},
        {"\u212b", 20, "Å"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char out[64];
        ssize_t n = slug_make(table[i].text, strlen(table[i].text), false, table[i].limit, out);
        assert_string_equal(out, table[i].slug);
        assert_int_equal(n, strlen(table[i].slug));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes), cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_cut),     cmocka_unit_test(test_nfc_short_cut),
        cmocka_unit_test(test_slug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
