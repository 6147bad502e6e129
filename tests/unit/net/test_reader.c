/* The tokens themselves, apart from any response. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "reader.h"

struct source {
    const char *data;
    size_t left, step;
    const char *failure;
};

static ssize_t fill(void *ctx, void *data, size_t n)
{
    struct source *source = ctx;
    if (source->left == 0)
        return -ECONNRESET;
    n = n < source->left ? n : source->left;
    n = n < source->step ? n : source->step;
    memcpy(data, source->data, n);
    source->data += n;
    source->left -= n;
    return (ssize_t)n;
}

static int failed(void *ctx, int code, const char *text)
{
    struct source *source = ctx;
    source->failure = text;
    return -code;
}

static void start(struct reader *reader, struct source *source, const char *text, size_t step)
{
    *source = (struct source){.data = text, .left = strlen(text), .step = step};
    assert_int_equal(reader_init(reader), 0);
    reader->ctx = source;
    reader->fill = fill;
    reader->fail = failed;
}

static void test_lines(void **state)
{
    struct reader reader;
    struct source source;
    (void)state;
    for (size_t step = 1; step < 20; step++) {
        start(&reader, &source, "one\r\n\r\ntwo\n\rx\r\r\nrest", step);
        static const char *const want[] = {"one", "", "two", "\rx\r"};
        for (size_t i = 0; i < ARRAY_LEN(want); i++) {
            assert_int_equal(reader_line(&reader), 0);
            assert_int_equal(reader_rest(&reader).len, strlen(want[i]));
            assert_string_equal(reader_rest(&reader).data, want[i]);
        }
        assert_int_equal(reader_line(&reader), -ECONNRESET);
        reader_release(&reader);
    }
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t max, value;
        int error;
    } table[] = {
        {"0", 0, 0, 0},
        {"1", 0, 0, -EPROTO},
        {"00012x", 12, 12, 0},
        {"4294967295", UINT32_MAX, UINT32_MAX, 0},
        {"4294967296", UINT32_MAX, 0, -EPROTO},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, 0},
        {"18446744073709551616", UINT64_MAX, 0, -EPROTO},
        {"99999999999999999999999", UINT64_MAX, 0, -EPROTO},
        {"", 9, 0, -EPROTO},
        {"-1", 9, 0, -EPROTO},
        {"+1", 9, 0, -EPROTO},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct reader reader;
        struct source source;
        uint64_t value = 77;
        CLEANUP_FREE char *line = str_printf("%s\r\n", table[i].text);
        start(&reader, &source, line, 1000);
        assert_int_equal(reader_line(&reader), 0);
        assert_int_equal(reader_number(&reader, table[i].max, &value), table[i].error);
        assert_true(value == (table[i].error ? 77 : table[i].value));
        reader_release(&reader);
    }
}

static void test_strings(void **state)
{
    static const struct {
        const char *text, *value;
        bool nil;
        int error;
    } table[] = {
        {"atom\r\n", "atom", false, 0},
        {"nil\r\n", "", true, 0},
        {"\"NIL\"\r\n", "NIL", false, 0},
        {"\"\"\r\n", "", false, 0},
        {"\"a\\\\\\\"b\"\r\n", "a\\\"b", false, 0},
        {"\"a\\\r\n", "", false, -EPROTO},
        {"{3}\r\na\r\n\r\n", "a\r\n", false, 0},
        {"{3+}\r\nabc\r\n", "abc", false, 0},
        {"~{0}\r\n\r\n", "", false, 0},
        {"{3} \r\nabc\r\n", "", false, -EPROTO},
        {"{3\r\nabc\r\n", "", false, -EPROTO},
        {"{}\r\nabc\r\n", "", false, -EPROTO},
        {"{101}\r\nabc", "", false, -EPROTO},
        {"{100}\r\nabc", "", false, -ECONNRESET},
        {"\r\n", "", false, -EPROTO},
        {"(\r\n", "", false, -EPROTO},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        for (size_t step = 1; step < 8; step++) {
            struct reader reader;
            struct source source;
            CLEANUP_STR struct str out = STR_INIT(100);
            bool nil = false;
            start(&reader, &source, table[i].text, step);
            assert_int_equal(reader_line(&reader), 0);
            assert_int_equal(reader_string(&reader, &out, &nil), table[i].error);
            if (!table[i].error) {
                assert_string_equal(out.len ? out.data : "", table[i].value);
                assert_int_equal(nil, table[i].nil);
                assert_true(reader_at_end(&reader));
            }
            reader_release(&reader);
        }
    }
}

/* Lines of many lengths, one behind the other, cross the end of the buffer everywhere. */
static void test_wrap(void **state)
{
    CLEANUP_STR struct str text = STR_INIT(16 << 20);
    struct reader reader;
    struct source source;
    (void)state;
    for (size_t n = 0; n < 3000; n++) {
        for (size_t i = 0; i < n % 1009; i++)
            str_append_char(&text, 'x');
        str_append_text(&text, "\r\n");
    }
    start(&reader, &source, text.data, 5000);
    for (size_t n = 0; n < 3000; n++) {
        assert_int_equal(reader_line(&reader), 0);
        assert_int_equal(reader_rest(&reader).len, n % 1009);
    }
    assert_int_equal(reader_buffered(&reader), 0);
    reader_release(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
