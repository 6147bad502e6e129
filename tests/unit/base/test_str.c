/* tests of src/base/str.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "str.h"

static void test_appends(void **state)
{
    (void)state;
    CLEANUP_STR struct str s = STR_INIT(1000);
    assert_null(s.data);
    assert_int_equal(str_append(&s, "a\0b", 3), 0);
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.data, "a\0b", 4);
    str_clear(&s);
    assert_string_equal(s.data, "");
    assert_int_equal(str_append_text(&s, "one"), 0);
    assert_int_equal(str_append_char(&s, ' '), 0);
    assert_int_equal(str_printf_append(&s, "%d %s", 2, "three"), 0);
    assert_string_equal(s.data, "one 2 three");
    assert_int_equal(s.len, strlen("one 2 three"));
    assert_int_equal(str_error(&s), 0);
}

static void test_cap(void **state)
{
    (void)state;
    static const struct {
        size_t cap, n;
        int want;
    } rows[] = {
        {0, 0, 0}, {0, 1, -EMSGSIZE}, {10, 10, 0}, {10, 11, -EMSGSIZE}, {10, SIZE_MAX, -EMSGSIZE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_STR struct str s = STR_INIT(rows[i].cap);
        assert_int_equal(str_reserve(&s, rows[i].n), rows[i].want);
        assert_int_equal(str_error(&s), rows[i].want);
        assert_int_equal(s.len, 0);
    }
}

static void test_error_sticks(void **state)
{
    (void)state;
    CLEANUP_STR struct str s = STR_INIT(5);
    assert_int_equal(str_append_text(&s, "abc"), 0);
    assert_int_equal(str_printf_append(&s, "%s", "def"), -EMSGSIZE);
    assert_int_equal(str_append_char(&s, 'x'), -EMSGSIZE);
    assert_int_equal(str_append(&s, "", 0), -EMSGSIZE);
    assert_string_equal(s.data, "abc");
    assert_null(str_steal(&s));
    str_clear(&s);
    assert_int_equal(str_append_text(&s, "12345"), 0);
    assert_string_equal(s.data, "12345");
}

static void test_steal(void **state)
{
    (void)state;
    struct str s;
    str_init(&s, 10);
    CLEANUP_FREE char *empty = str_steal(&s);
    assert_string_equal(empty, "");
    assert_int_equal(str_append_text(&s, "text"), 0);
    CLEANUP_FREE char *text = str_steal(&s);
    assert_string_equal(text, "text");
    assert_null(s.data);
    assert_int_equal(s.max, 10);
    str_release(&s);
}

static void test_grows(void **state)
{
    (void)state;
    CLEANUP_STR struct str s = STR_INIT(100000);
    for (unsigned i = 0; i < 20000; i++)
        assert_int_equal(str_printf_append(&s, "%u,", i % 10000), 0);
    assert_int_equal(s.len, 2 * (10 * 2 + 90 * 3 + 900 * 4 + 9000 * 5));
    assert_memory_equal(s.data, "0,1,2,", 6);
    assert_string_equal(s.data + s.len - 10, "9998,9999,");
    assert_int_equal(str_reserve(&s, 1000), 0);
    assert_true(s.alloc > s.len + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),      cmocka_unit_test(test_cap),
        cmocka_unit_test(test_error_sticks), cmocka_unit_test(test_steal),
        cmocka_unit_test(test_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
