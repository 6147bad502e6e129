#include "header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_blocks(void **state)
{
#define BLOCK(s) s, sizeof(s) - 1
    static const struct {
        const char *block;
        size_t len;
        const char *message_id, *date, *from, *subject;
    } table[] = {
        {BLOCK("Message-ID: <1@x>\r\nDate: d\r\nFrom: f\r\nSubject: s\r\n\r\n"), "<1@x>", "d", "f",
         "s"},
        {BLOCK("subject:s\nFROM :f\nmessage-id\t:<i>\nDaTe:d"), "<i>", "d", "f", "s"},
        {BLOCK(""), "", "", "", ""},
        {BLOCK("\r\n"), "", "", "", ""},
        {BLOCK("\r\nSubject: body\r\n"), "", "", "", ""},
        {BLOCK("\nSubject: body\n"), "", "", "", ""},
        {BLOCK("Subject: s\r\n\r\nFrom: body\r\n"), "", "", "", "s"},
        {BLOCK("Subject: one\r\n\ttwo\r\n  three\r\nFrom: f\r\n"), "", "", "f", "one two three"},
        {BLOCK("Subject:\r\n one\r\n"), "", "", "", "one"},
        {BLOCK("Subject: one\r\n \r\n two\r\n"), "", "", "", "one two"},
        {BLOCK("Subject: one\r\n \r\n"), "", "", "", "one"},
        {BLOCK("Subject:  a \t  b  \r\n"), "", "", "", "a b"},
        {BLOCK("Subject: a\0b\rc\r\r\nFrom: \0\r\n"), "", "", "", "a b c"},
        {BLOCK("Subject: first\r\nSubject: second\r\n"), "", "", "", "first"},
        {BLOCK("Subject:\r\nSubject: second\r\n"), "", "", "", ""},
        {BLOCK("X-Subject: x\r\nSubjects: y\r\nSubjec: z\r\n"), "", "", "", ""},
        {BLOCK("garbage without colon\r\n more\r\nSubject: s\r\n"), "", "", "", "s"},
        {BLOCK(" Subject: a fold of nothing\r\nSubject: s\r\n"), "", "", "", "s"},
        {BLOCK("From someone Sun Nov 22 09:30:00 2026\nSubject: s\n"), "", "", "", "s"},
        {BLOCK("Subject: a: b: c\r\n"), "", "", "", "a: b: c"},
        {BLOCK(": x\r\n:\r\nSubject: s\r\n"), "", "", "", "s"},
        {BLOCK("Subject: Gr\xfc\xdf\xc3\xa9\r\n"), "", "", "", "Gr\xfc\xdf\xc3\xa9"},
        {BLOCK("Subject: =?utf-8?q?a?=\r\n =?utf-8?q?b?="), "", "", "",
         "=?utf-8?q?a?= =?utf-8?q?b?="},
        {BLOCK("Subject: s\r"), "", "", "", "s"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        /* A copy of the exact size lets the sanitizer see a step beyond. */
        char *block = malloc(table[i].len + !table[i].len);
        CLEANUP_HEADER struct mail_header header = {0};
        memcpy(block, table[i].block, table[i].len);
        assert_int_equal(mail_header_parse(block, table[i].len, &header), 0);
        free(block);
        assert_string_equal(header.message_id, table[i].message_id);
        assert_string_equal(header.date, table[i].date);
        assert_string_equal(header.from, table[i].from);
        assert_string_equal(header.subject, table[i].subject);
    }
}

static void test_null_block(void **state)
{
    CLEANUP_HEADER struct mail_header header = {0};
    (void)state;
    assert_int_equal(mail_header_parse(NULL, 0, &header), 0);
    assert_string_equal(header.subject, "");
}

static void test_cap(void **state)
{
    static const size_t lengths[] = {HEADER_VALUE_MAX - 1, HEADER_VALUE_MAX, HEADER_VALUE_MAX + 1,
                                     HEADER_VALUE_MAX * 3};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        size_t n = 9 + lengths[i];
        char *block = malloc(n + 9);
        CLEANUP_HEADER struct mail_header header = {0};
        memset(block, 'x', n);
        memcpy(block, "Subject: ", 9);
        memcpy(block + n, "\nFrom: f\n", 9);
        assert_int_equal(mail_header_parse(block, n + 9, &header), 0);
        assert_int_equal(strlen(header.subject),
                         lengths[i] < HEADER_VALUE_MAX ? lengths[i] : HEADER_VALUE_MAX);
        assert_string_equal(header.from, "f");
        free(block);
    }
}

/* A blank at the cap is trimmed, too. */
static void test_cap_blank(void **state)
{
    size_t n = HEADER_VALUE_MAX + 100;
    char *block = malloc(n);
    CLEANUP_HEADER struct mail_header header = {0};
    (void)state;
    memset(block, 'x', n);
    memcpy(block, "Subject:", 8);
    block[8 + HEADER_VALUE_MAX - 1] = ' ';
    assert_int_equal(mail_header_parse(block, n, &header), 0);
    assert_int_equal(strlen(header.subject), HEADER_VALUE_MAX - 1);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_null_block),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_cap_blank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
