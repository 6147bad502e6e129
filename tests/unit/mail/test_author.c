#include "author.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Without the blanks around, which mean nothing. */
static void assert_trimmed(const char *from, const struct str *s, const char *expected)
{
    const char *text = s->len ? s->data : "";
    size_t n = s->len, lead = strspn(text, " ");
    while (n > lead && text[n - 1] == ' ')
        n--;
    if (n - lead != strlen(expected) || memcmp(text + lead, expected, n - lead) != 0)
        fail_msg("%s: \"%s\" is not \"%s\"", from, text, expected);
}

static void test_from(void **state)
{
    static const struct {
        const char *from, *display, *local;
    } table[] = {
        {"Alice Example <alice@x>", "Alice Example", "alice"},
        {"alice@x", "", "alice"},
        {"<alice@x>", "", "alice"},
        {"\"Alice\" <alice@x>", "Alice", "alice"},
        {"\"\" <a@b>", "", "a"},
        {"\" \" <a@b>", "", "a"},
        {"Alice<a@b>", "Alice", "a"},
        {"\"O'Neil, Sam\" <o@x>", "O'Neil, Sam", "o"},
        {"Sam O'Neil, Jr. <o@x>", "Sam O'Neil, Jr.", "o"},
        {"John Q. Public <j@x>", "John Q. Public", "j"},
        {"\"A\" B \"C\" <a@b>", "A B C", "a"},
        {"\"a\\\"b\\\\c\" <a@b>", "a\"b\\c", "a"},
        {"a@b <c@d>", "a@b", "c"},
        {"\"a@b\" <c@d>", "a@b", "c"},
        {"Alice [Team] <a@b>", "Alice [Team]", "a"},
        {"First <1@x>, Second <2@x>", "First", "1"},
        {"1@x, 2@x", "", "1"},
        {", , a@b", "", "a"},
        {"Alice, bob@x", "", "Alice"},
        {"\"a, b\"@x, c@d", "", "a, b"},
        {"\"a@b\"@c", "", "a@b"},
        {"<\"a b\"@c>", "", "a b"},
        {"<@r1,@r2:a@b>", "", "a"},
        {"<@r1>", "", ""},
        {"<>", "", ""},
        {"Alice <>", "Alice", ""},
        {"Alice <root>", "Alice", "root"},
        {"<a@b", "", "a"},
        {"Alice <a@b", "Alice", "a"},
        {"a.b.@x", "", "a.b."},
        /* comments */
        {"a@b (Alice)", "Alice", "a"},
        {"a@b (Alice (x) \\) E)", "Alice (x) ) E", "a"},
        {"(x) a@b", "x", "a"},
        {"a(x)@b", "x", "a"},
        {"Alice (work) Example <a@b>", "Alice (work) Example", "a"},
        {"(Alice) <a@b>", "(Alice)", "a"},
        {"<a@b> (Alice)", "Alice", "a"},
        {"Bob <a@b> (Alice)", "Bob", "a"},
        {"<a(x)@b>", "", "a"},
        {"MAILER-DAEMON (Mail Delivery System)", "Mail Delivery System", "MAILER-DAEMON"},
        {"\"(x)\" <a@b>", "(x)", "a"},
        /* groups */
        {"Undisclosed: ;", "Undisclosed", ""},
        {"Friends: a@b, c@d;", "Friends", ""},
        {"\"My friends\":;", "My friends", ""},
        {":;", "", ""},
        {": a@b;", "", ""},
        {"; a@b", "", "a"},
        /* encoded words are one piece */
        {"=?utf-8?q?a,b:c<d>?= <a@b>", "=?utf-8?q?a,b:c<d>?=", "a"},
        {"=?utf-8?q?\"a?= <a@b>", "=?utf-8?q?\"a?=", "a"},
        {"\"=?utf-8?q?x?=\" <a@b>", "=?utf-8?q?x?=", "a"},
        {"=?utf-8?q?x <a@b>", "=?utf-8?q?x", "a"},
        {"=?utf-8?q?x?=@b", "", "=?utf-8?q?x?="},
        /* broken */
        {"", "", ""},
        {"Alice Example", "", "Alice Example"},
        {"foo at example.com", "", "foo at example.com"},
        {"\"Alice <a@b>", "\"Alice", "a"},
        {"Alice \"Bob", "", "Alice \"Bob"},
        {"\"\\\" <a@b>", "\"\\\"", "a"},
        {"Alice (x <a@b>", "Alice (x", "a"},
        {"\"", "", "\""},
        {"(", "", "("},
        {"((", "", "(("},
        {"@", "", ""},
        {"@b", "", ""},
        {",", "", ""},
        {"\"\\", "", "\"\\"},
        {"A <B> <a@b>", "A", "B"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        size_t len = strlen(table[i].from);
        struct author author = {.display = STR_INIT(len), .local = STR_INIT(len)};
        assert_int_equal(author_parse(table[i].from, &author), 0);
        assert_trimmed(table[i].from, &author.display, table[i].display);
        assert_trimmed(table[i].from, &author.local, table[i].local);
        str_release(&author.display);
        str_release(&author.local);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_from)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
