#include "query.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define TODAY ((int64_t)1774915200) /* 2026-03-31 00:00 */

/* The program with strings in < >. */
static int program(const char *text, size_t len, struct str *out, struct errtext *err,
                   bool *ret_utf8)
{
    CLEANUP_QUERY struct query query = {0};
    int r = query_parse(text, len, TODAY + 3600, &query, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < query.n; i++) {
        if (query.pieces[i].string)
            str_append_char(out, '<');
        str_append(out, query.pieces[i].data, query.pieces[i].len);
        if (query.pieces[i].string)
            str_append_char(out, '>');
    }
    *ret_utf8 = query.utf8;
    return str_error(out);
}

static void test_programs(void **state)
{
    static const struct {
        const char *query, *program;
    } table[] = {
        {"word", "TEXT <word>"},
        {"  two \t\r\n words ", "TEXT <two> TEXT <words>"},
        {"two and words", "TEXT <two> TEXT <words>"},
        {"\"two words\"", "TEXT <two words>"},
        {"\"a \\\"b\\\" \\\\ \\c\"", "TEXT <a \"b\" \\ \\c>"},
        {"\"or\" \"not\" \"from:x\" \"-x\" \"unread\"",
         "TEXT <or> TEXT <not> TEXT <from:x> TEXT <-x> TEXT <unread>"},
        {"back\\slash a-b a- - -- it's 10:30 <x@y> {5} * % +",
         "TEXT <back\\slash> TEXT <a-b> TEXT <a-> TEXT <-> NOT TEXT <-> TEXT <it's> TEXT <10:30> "
         "TEXT <<x@y>> TEXT <{5}> TEXT <*> TEXT <%> TEXT <+>"},
        {"from:bob To:\"Al Ice\" CC:c bcc:d subject:e body:f text:g",
         "FROM <bob> TO <Al Ice> CC <c> BCC <d> SUBJECT <e> BODY <f> TEXT <g>"},
        {"subject:re:x subject:\"a:b\"", "SUBJECT <re:x> SUBJECT <a:b>"},
        {"a or b", "OR TEXT <a> TEXT <b>"},
        {"a or b or c", "OR OR TEXT <a> TEXT <b> TEXT <c>"},
        {"a b or c d", "OR (TEXT <a> TEXT <b>) (TEXT <c> TEXT <d>)"},
        {"a (b OR c) d", "TEXT <a> OR TEXT <b> TEXT <c> TEXT <d>"},
        {"a(b)c", "TEXT <a> TEXT <b> TEXT <c>"},
        {"not a b", "NOT TEXT <a> TEXT <b>"},
        {"-a -\"b c\" -from:d -(e f)",
         "NOT TEXT <a> NOT TEXT <b c> NOT FROM <d> NOT (TEXT <e> TEXT <f>)"},
        {"not (a or b)", "NOT OR TEXT <a> TEXT <b>"},
        {"not not a", "TEXT <a>"},
        {"not not not a", "NOT TEXT <a>"},
        {"-(not a)", "TEXT <a>"},
        {"((a))", "TEXT <a>"},
        {"since:2026-01-31 before:2024-02-29 on:0999-12-01",
         "SINCE 31-Jan-2026 BEFORE 29-Feb-2024 ON 1-Dec-0999"},
        {"on:today on:yesterday", "ON 31-Mar-2026 ON 30-Mar-2026"},
        {"since:0d since:7d since:2w", "SINCE 31-Mar-2026 SINCE 24-Mar-2026 SINCE 17-Mar-2026"},
        {"since:1m since:4m since:1Y since:25m",
         "SINCE 28-Feb-2026 SINCE 30-Nov-2025 SINCE 31-Mar-2025 SINCE 29-Feb-2024"},
        {"since:9999y", "SINCE 31-Jan-0001"},
        {"larger:100k smaller:5M larger:0 smaller:4294967295",
         "LARGER 102400 SMALLER 5242880 LARGER 0 SMALLER 4294967295"},
        {"keyword:work keyword:$label1 keyword:a:b", "KEYWORD work KEYWORD $label1 KEYWORD a:b"},
        {"is:unread is:seen is:READ is:unseen is:flagged is:unflagged",
         "UNSEEN SEEN SEEN UNSEEN FLAGGED UNFLAGGED"},
        {"is:answered is:replied is:unanswered is:draft is:deleted is:undeleted",
         "ANSWERED ANSWERED UNANSWERED DRAFT DELETED UNDELETED"},
        {"is:forwarded -is:junk", "KEYWORD $Forwarded NOT KEYWORD $Junk"},
        {"unread flagged Unseen unanswered", "UNSEEN FLAGGED UNSEEN UNANSWERED"},
        {"read seen draft deleted unreadable",
         "TEXT <read> TEXT <seen> TEXT <draft> TEXT <deleted> TEXT <unreadable>"},
        {"text:unread", "TEXT <unread>"},
        {"Gr\xc3\xbc\xc3\x9f"
         "e",
         "TEXT <Gr\xc3\xbc\xc3\x9f"
         "e>"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_STR struct str out = STR_INIT(10000);
        struct errtext err = {""};
        bool utf8;
        int r = program(table[i].query, strlen(table[i].query), &out, &err, &utf8);
        if (r < 0 || strcmp(out.data, table[i].program) != 0)
            fail_msg("%s: %d %s: %s", table[i].query, r, err.text, r < 0 ? "" : out.data);
        assert_int_equal(utf8, strpbrk(table[i].query, "\xc3") != NULL);
    }
}

static void test_errors(void **state)
{
    static const struct {
        const char *query, *error;
    } table[] = {
        {"", "the query is empty"},
        {" \t\n ", "the query is empty"},
        {"form:bob", "character 1 of the query: \"form:\" is no field"},
        {"a \xc3\xbc http://x", "character 5 of the query: \"http:\" is no field"},
        {"from:", "character 1 of the query: \"from:\" is followed by nothing"},
        {"x from: bob", "character 3 of the query: \"from:\" is followed by nothing"},
        {"from:(a)", "character 1 of the query: \"from:\" is followed by nothing"},
        {"from:\"\"", "character 1 of the query: \"from:\" is followed by nothing"},
        {"\"\"", "character 1 of the query: there is nothing between"},
        {"a \"b", "character 3 of the query: the quote is never closed"},
        {"\"b\\\"", "character 1 of the query: the quote is never closed"},
        {"\"b\"c", "character 4 of the query: a blank is missing"},
        {"a\"b\"", "character 2 of the query: a quote within a word"},
        {"\"a\nb\"", "character 3 of the query: a line cannot end"},
        {"\"a\\\rb\"", "character 4 of the query: a line cannot end"},
        {"(a", "character 1 of the query: the parenthesis is never closed"},
        {"a)", "character 2 of the query: there is no parenthesis to close"},
        {"()", "character 2 of the query: something is missing"},
        {"a or", "character 5 of the query: something is missing at the end"},
        {"or a", "character 1 of the query: something is missing before it"},
        {"a or or b", "character 6 of the query: something is missing before it"},
        {"a and", "character 6 of the query: something is missing at the end"},
        {"not", "character 4 of the query: something is missing at the end"},
        {"not or", "character 5 of the query: something is missing before it"},
        {"since:2026-02-29", "character 7 of the query: \"2026-02-29\" is no date"},
        {"since:2026-13-01", "character 7 of the query: \"2026-13-01\" is no date"},
        {"since:2026-1-1", "character 7 of the query: \"2026-1-1\" is no date"},
        {"since:d", "character 7 of the query: \"d\" is no date"},
        {"since:1h", "character 7 of the query: \"1h\" is no date"},
        {"since:10000d", "character 7 of the query: \"10000d\" is no date"},
        {"larger:x", "character 8 of the query: \"x\" is no size"},
        {"larger:-1", "character 8 of the query: \"-1\" is no size"},
        {"larger:4G", "character 8 of the query: \"4G\" is too large"},
        {"keyword:a*", "character 9 of the query: \"a*\" is no keyword"},
        {"keyword:\\Seen", "character 9 of the query: \"\\Seen\" is no keyword"},
        {"keyword:\"a b\"", "character 9 of the query: \"\"a b\"\" is no keyword"},
        {"keyword:\xc3\xbc", "character 9 of the query: \"\xc3\xbc\" is no keyword"},
        {"is:great", "character 4 of the query: \"great\" is no such flag"},
        {"a\x01", "character 2 of the query: a control character"},
        {"a\x7f", "character 2 of the query: a control character"},
        {"a \xff", "character 3 of the query: this is no UTF-8"},
        {"\"\xc3\"", "character 2 of the query: this is no UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_STR struct str out = STR_INIT(10000);
        struct errtext err = {""};
        bool utf8;
        int r = program(table[i].query, strlen(table[i].query), &out, &err, &utf8);
        if (r != -EINVAL || strncmp(err.text, table[i].error, strlen(table[i].error)) != 0)
            fail_msg("%s: %d %s: %s", table[i].query, r, err.text, out.data ? out.data : "");
    }
}

static void test_nul(void **state)
{
    CLEANUP_STR struct str out = STR_INIT(100);
    struct errtext err;
    bool utf8;
    (void)state;
    assert_int_equal(program("a\0b", 3, &out, &err, &utf8), -EINVAL);
}

/* Long, deep and many: up to the caps, and an error above them. */
static void test_caps(void **state)
{
    static const struct {
        const char *head, *piece, *tail;
        unsigned n;
        int r;
    } table[] = {
        {"", "abcd", "", 1000, 0},      {"", "abcd", "e", 1000, -EINVAL},
        {"", "a ", "", 100, 0},         {"", "a ", "", 101, -EINVAL},
        {"a ", "or a ", "", 99, 0},     {"", "-(a b) ", "", 50, 0},
        {"", "(", "a", 21, -EINVAL},    {"", "not ", "a", 19, 0},
        {"", "not ", "a", 20, -EINVAL}, {"", "-", "a", 20, -EINVAL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_STR struct str text = STR_INIT(10000), out = STR_INIT(100000);
        struct errtext err = {""};
        bool utf8;
        str_append_text(&text, table[i].head);
        for (unsigned k = 0; k < table[i].n; k++)
            str_append_text(&text, table[i].piece);
        str_append_text(&text, table[i].tail);
        int r = program(text.data, text.len, &out, &err, &utf8);
        if (r != table[i].r)
            fail_msg("%zu: %d %s", i, r, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
