/* tests of src/core/words.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "str.h"
#include "words.h"

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *want; /* words with | behind each; NULL: -EINVAL */
    } rows[] = {
        {"pass show mail", "pass|show|mail|"},
        {"  a\t b \n c  ", "a|b|c|"},
        {"a", "a|"},
        {"''", "|"},
        {"a '' \"\" b", "a|||b|"},
        {"'a b' \"c d\"", "a b|c d|"},
        {"a'b'\"c\"d", "abcd|"},
        {"a\\ b\\\\c\\'\\\"", "a b\\c'\"|"},
        {"'\\' \"\\\"\"", "\\|\"|"},
        {"\"\\$HOME \\`x\\` \\n \\\\\"", "$HOME `x` \\n \\|"},
        {"'it'\\''s'", "it's|"},
        {"$HOME `id` $(id) ~ * ; # < > &", "$HOME|`id`|$(id)|~|*|;|#|<|>|&|"},
        {"a\\\nb \\\n c \"d\\\ne\"", "ab|c|de|"},
        {"\"a\nb\"", "a\nb|"},
        {"sh -c 'echo \"$X\" | head -1'", "sh|-c|echo \"$X\" | head -1|"},
        {"caf\xc3\xa9 \xff", "caf\xc3\xa9|\xff|"},
        {"", NULL},
        {"  \t\n", NULL},
        {"\\\n", NULL},
        {"a 'b", NULL},
        {"a \"b", NULL},
        {"a \"b\\\"", NULL},
        {"a\\", NULL},
        {"'", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char **words = NULL;
        size_t n = 4711;
        int r = words_split(rows[i].line, &words, &n);
        if (!rows[i].want) {
            assert_int_equal(r, -EINVAL);
            assert_null(words);
            assert_int_equal(n, 4711);
            continue;
        }
        assert_int_equal(r, 0);
        CLEANUP_STR struct str got = STR_INIT(1000);
        for (size_t k = 0; k < n; k++)
            str_printf_append(&got, "%s|", words[k]);
        assert_null(words[n]);
        if (strcmp(got.data, rows[i].want) != 0)
            fail_msg("row %zu: %s", i, got.data);
    }
}

static void test_many(void **state)
{
    (void)state;
    CLEANUP_STR struct str line = STR_INIT(10000);
    for (size_t i = 0; i < WORDS_MAX; i++)
        str_append_text(&line, "w ");
    CLEANUP_FREE char **words = NULL;
    size_t n = 0;
    assert_int_equal(words_split(line.data, &words, &n), 0);
    assert_int_equal(n, WORDS_MAX);
    assert_string_equal(words[WORDS_MAX - 1], "w");
    str_append_text(&line, "w");
    char **none = NULL;
    assert_int_equal(words_split(line.data, &none, NULL), -E2BIG);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_split), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
