/* Texts, response codes and capability lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "conn.h"

static struct span span(const char *text)
{
    return (struct span){text, strlen(text)};
}

static void test_split(void **state)
{
    static const struct {
        const char *from, *code, *args, *text;
    } table[] = {
        {" hello", "", "", "hello"},
        {"[ALERT] hello", "ALERT", "", "hello"},
        {"[UIDNEXT  5]", "UIDNEXT", "5", ""},
        {"[X \"a]b\" c] t", "X", "\"a]b\" c", "t"},
        {"[X \"a\\\"]b\"] t", "X", "\"a\\\"]b\"", "t"},
        {"[open", "", "", "[open"},
        {"[] x", "", "", "x"},
        {"", "", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct span code, args, text;
        split_text(span(table[i].from), &code, &args, &text);
        assert_true(code.len == strlen(table[i].code) && span_is(code, table[i].code));
        assert_true(args.len == strlen(table[i].args) && span_is(args, table[i].args));
        assert_true(text.len == strlen(table[i].text) && span_is(text, table[i].text));
    }
}

static void test_clean(void **state)
{
    static const struct {
        const char *from, *want;
    } table[] = {
        {"abc", "abc"},
        {"a\033[0m\177\t", "a?[0m??"},
        {"\302\205x", "?x"},
        {"\303\266\303\266\303\266\303\266", "\303\266\303\266\303\266"}, /* cut between letters */
        {"12345678", "1234567"},
        {"a\342\200\256b", "a?b"}, /* right-to-left override */
        {"a\342\200\213b", "a?b"}, /* zero-width space */
        {"a\377b", "a?b"},         /* no UTF-8 */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char out[8];
        clean_text(span(table[i].from), out, sizeof(out));
        assert_string_equal(out, table[i].want);
    }
}

static void test_caps(void **state)
{
    struct caps caps = {.bits = IMAP_CAP_IDLE, .login_disabled = true};
    char names[100];
    (void)state;
    caps_parse(&caps,
               span("IMAP4rev1  starttls auth=PLAIN AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS "
                    "qresync X-FOO UIDPLUSX LITERAL-] LOGINDISABLED IDLE"));
    assert_true(caps.known && caps.starttls && !caps.login_disabled);
    assert_int_equal(caps.bits, IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE | IMAP_CAP_LITERAL_MINUS);
    assert_int_equal(caps.mechanisms, MECH_PLAIN | MECH_SCRAM_SHA_256);
    mechanism_names(caps.mechanisms, names, sizeof(names));
    assert_string_equal(names, "scram-sha-256 plain");
    mechanism_names(caps.mechanisms, names, 16);
    assert_string_equal(names, "scram-sha-256");
    mechanism_names(0, names, sizeof(names));
    assert_string_equal(names, "nothing");
    assert_int_equal(mechanism_by_name(span("CRAM-MD5")), MECH_CRAM_MD5);
    assert_int_equal(mechanism_by_name(span("")), 0);
    assert_string_equal(mechanism_name(MECH_XOAUTH2), "xoauth2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
