/* UID SEARCH: what is sent, where the pipeline waits, and whose answers count. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "feed.h"

#define UE "\xc3\xbc"

static void parse(const char *text, struct query *ret)
{
    struct errtext err = {""};
    if (query_parse(text, strlen(text), 0, ret, &err) < 0)
        fail_msg("%s: %s", text, err.text);
}

static int send_query(struct feed *feed, const char *text, struct imap_result *result)
{
    CLEANUP_QUERY struct query query = {0};
    parse(text, &query);
    return imap_send_search(&feed->im, &query, result);
}

/* What a socket would take now, which is thereby written. */
static void assert_written(struct feed *feed, const char *text)
{
    struct imap *im = &feed->im;
    size_t limit = gates_limit(im);
    assert_true(im->sent <= limit && limit <= im->out.len);
    assert_int_equal(limit - im->sent, strlen(text));
    assert_memory_equal(im->out.data + im->sent, text, limit - im->sent);
    im->sent = limit;
    if (im->sent == im->out.len) {
        str_clear(&im->out);
        im->sent = 0;
    }
}

static void answer(struct feed *feed, const char *input)
{
    feed->input = input;
    feed->len = strlen(input);
    feed->pos = 0;
    for (size_t i = 0; i < feed->len; i++)
        if (input[i] == '\n')
            assert_int_equal(response_read(&feed->im), 0);
}

static const char *log_of(const struct feed *feed)
{
    return feed->log.len ? feed->log.data : "";
}

/* ---- what is sent */

static void test_wire(void **state)
{
    static const struct {
        uint32_t caps;
        const char *query, *line;
    } table[] = {
        {0, "a", "UID SEARCH TEXT \"a\""},
        {IMAP_CAP_ESEARCH, "a", "UID SEARCH RETURN (ALL) TEXT \"a\""},
        {0, "from:a\\b subject:\"c\\\"d\\\\\" -{5}",
         "UID SEARCH FROM \"a\\\\b\" SUBJECT \"c\\\"d\\\\\" NOT TEXT \"{5}\""},
        {IMAP_CAP_LITERAL_PLUS, UE " or x",
         "UID SEARCH CHARSET UTF-8 OR TEXT {2+}\r\n" UE " TEXT \"x\""},
        {IMAP_CAP_LITERAL_MINUS | IMAP_CAP_ESEARCH, "is:unread from:" UE,
         "UID SEARCH RETURN (ALL) CHARSET UTF-8 UNSEEN FROM {2+}\r\n" UE},
        {IMAP_CAP_LITERAL_PLUS, "\"a\tb\"", "UID SEARCH TEXT {3+}\r\na\tb"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_STR struct str expected = STR_INIT(1000);
        struct feed feed;
        struct imap_result result;
        feed_init(&feed, "", 0, 0, table[i].caps);
        assert_int_equal(send_query(&feed, table[i].query, &result), 0);
        str_printf_append(&expected, "A1 %s\r\n", table[i].line);
        assert_written(&feed, expected.data);
        feed_release(&feed);
    }
}

/* A word too long to be quoted everywhere, and a line too long for any server. */
static void test_long(void **state)
{
    char text[QUERY_TEXT_MAX + 1];
    struct feed feed;
    struct imap_result result;
    (void)state;
    memset(text, 'x', sizeof(text));
    text[1001] = '\0';
    feed_init(&feed, "", 0, 0, IMAP_CAP_LITERAL_MINUS);
    assert_int_equal(send_query(&feed, text, &result), 0);
    const char head[] = "A1 UID SEARCH TEXT {1001+}\r\nxxx";
    assert_memory_equal(feed.im.out.data, head, sizeof(head) - 1);
    size_t len = feed.im.out.len;
    for (size_t i = 0; i < QUERY_TEXT_MAX; i++)
        text[i] = i % 1000 == 999 ? ' ' : '\\';
    text[QUERY_TEXT_MAX] = '\0';
    assert_int_equal(send_query(&feed, text, &result), -EINVAL);
    assert_int_equal(feed.im.out.len, len);
    feed_release(&feed);
}

/* What no query can hold is not sent either. */
static void test_injection(void **state)
{
    static const char *const strings[] = {"a\r\nb", "a\nb", "\r"};
    struct feed feed;
    struct imap_result result;
    (void)state;
    feed_init(&feed, "", 0, 0, IMAP_CAP_LITERAL_PLUS);
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        struct query_piece pieces[] = {{"TEXT ", 5, false}, {strings[i], strlen(strings[i]), true}};
        struct query query = {.pieces = pieces, .n = 2};
        assert_int_equal(imap_send_search(&feed.im, &query, &result), -EINVAL);
        pieces[1].string = false;
        assert_int_equal(imap_send_search(&feed.im, &query, &result), -EINVAL);
    }
    struct query_piece nul = {"a\0b", 3, true};
    struct query query = {.pieces = &nul, .n = 1};
    assert_int_equal(imap_send_search(&feed.im, &query, &result), -EINVAL);
    assert_int_equal(feed.im.out.len, 0);
    assert_null(feed.im.first);
    feed_release(&feed);
}

/* ---- gates */

static void test_gates(void **state)
{
    struct feed feed;
    struct imap_result search, opened, second;
    (void)state;
    feed_init(&feed, "", 0, 1, 0);
    assert_int_equal(send_query(&feed, UE " from:" UE "x y", &search), 0);
    assert_int_equal(imap_send_select(&feed.im, "b", true, &opened), 0);
    assert_int_equal(send_query(&feed, "to:" UE, &second), 0);
    assert_written(&feed, "A1 UID SEARCH CHARSET UTF-8 TEXT {2}\r\n");
    answer(&feed, "* 5 EXISTS\r\n+ \r\n");
    assert_written(&feed, UE " FROM {3}\r\n");
    answer(&feed, "+ go on\r\n");
    assert_written(&feed, UE "x TEXT \"y\"\r\nA2 EXAMINE \"b\"\r\n"
                             "A3 UID SEARCH CHARSET UTF-8 TO {2}\r\n");
    answer(&feed, "* SEARCH 3 4\r\nA1 OK done\r\nA2 OK open\r\n+ OK\r\n");
    assert_written(&feed, UE "\r\n");
    answer(&feed, "+ what?\r\n* SEARCH 7\r\nA3 OK done\r\n");
    assert_true(search.done && opened.done && second.done && second.status == 0);
    assert_string_equal(log_of(&feed), "exists 5; uids 3:4; uids 7:7; ");
    assert_null(feed.im.gates);
    feed_release(&feed);
}

/* NO or BAD in place of `+`: nothing more of that command is sent, and all that follows is. */
static void test_refused_literals(void **state)
{
    static const struct {
        const char *line;
        int status;
        const char *code;
    } table[] = {
        {"A1 NO [BADCHARSET (US-ASCII)] only this\r\n", -ENOTSUP, "BADCHARSET"},
        {"A1 BAD no literals\r\n", -EPROTO, ""},
        {"A1 NO [TOOBIG] too big\r\n", -EIO, "TOOBIG"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct feed feed;
        struct imap_result first, second, noop;
        feed_init(&feed, "", 0, 0, 0);
        assert_int_equal(send_query(&feed, UE " " UE " x", &first), 0);
        assert_int_equal(send_query(&feed, "z " UE, &second), 0);
        assert_int_equal(imap_send_noop(&feed.im, &noop), 0);
        assert_written(&feed, "A1 UID SEARCH CHARSET UTF-8 TEXT {2}\r\n");
        answer(&feed, table[i].line);
        assert_int_equal(first.status, table[i].status);
        assert_string_equal(first.code, table[i].code);
        assert_written(&feed, "A2 UID SEARCH CHARSET UTF-8 TEXT \"z\" TEXT {2}\r\n");
        answer(&feed, "+ \r\n");
        assert_written(&feed, UE "\r\nA3 NOOP\r\n");
        answer(&feed, "A2 OK\r\nA3 OK\r\n");
        assert_true(second.done && noop.done);
        feed_release(&feed);
    }
}

/* The second literal of a command is refused; the pipeline ends with it. */
static void test_refused_in_the_middle(void **state)
{
    struct feed feed;
    struct imap_result result;
    (void)state;
    feed_init(&feed, "", 0, 0, 0);
    assert_int_equal(send_query(&feed, UE " " UE "x", &result), 0);
    assert_written(&feed, "A1 UID SEARCH CHARSET UTF-8 TEXT {2}\r\n");
    answer(&feed, "+ \r\n");
    assert_written(&feed, UE " TEXT {3}\r\n");
    answer(&feed, "A1 NO no\r\n");
    assert_int_equal(result.status, -EIO);
    assert_int_equal(feed.im.sent, feed.im.out.len);
    assert_null(feed.im.gates);
    feed_release(&feed);
}

static void test_answer_before_the_command(void **state)
{
    static const char early[] = "A1 NO\r\n";
    struct feed feed;
    struct imap_result result;
    (void)state;
    feed_init(&feed, early, sizeof(early) - 1, 0, 0);
    assert_int_equal(send_query(&feed, UE, &result), 0);
    assert_int_equal(feed_wait(&feed, &result), -EPROTO);
    assert_int_equal(imap_error(&feed.im), -EPROTO);
    feed_release(&feed);
}

/* `+` before all of the line is out opens nothing. */
static void test_plus_too_early(void **state)
{
    struct feed feed;
    struct imap_result result;
    (void)state;
    feed_init(&feed, "", 0, 0, 0);
    assert_int_equal(send_query(&feed, UE, &result), 0);
    answer(&feed, "+ \r\n");
    assert_written(&feed, "A1 UID SEARCH CHARSET UTF-8 TEXT {2}\r\n");
    assert_written(&feed, "");
    answer(&feed, "+ \r\n");
    assert_written(&feed, UE "\r\n");
    feed_release(&feed);
}

/* The connection ends at a gate. */
static void test_cut_at_a_gate(void **state)
{
    struct feed feed;
    struct imap_result result;
    (void)state;
    feed_init(&feed, "", 0, 0, 0);
    assert_int_equal(send_query(&feed, UE, &result), 0);
    assert_int_equal(feed_wait(&feed, &result), -ECONNRESET);
    assert_null(feed.im.gates);
    assert_int_equal(send_query(&feed, UE, &result), -ECONNRESET);
    assert_true(result.done);
    feed_release(&feed);
}

/* ---- answers */

static void test_whose(void **state)
{
    static const struct {
        const char *input, *log;
        int status; /* of the last */
    } table[] = {
        {"* ESEARCH (TAG \"A1\") UID ALL 1:2\r\nA1 OK\r\nA2 OK\r\n"
         "* ESEARCH (TAG \"A3\") UID ALL 5\r\nA3 OK\r\n",
         "uids 1:2; uids 5:5; ", 0},
        {"* ESEARCH (tag A1) UID ALL 1\r\nA1 OK\r\nA2 OK\r\n* ESEARCH UID ALL 5\r\nA3 OK\r\n",
         "uids 1:1; uids 5:5; ", 0},
        {"* ESEARCH (TAG \"A1\") UID\r\nA1 OK\r\nA2 OK\r\nA3 OK\r\n", "", 0},
        {"* SEARCH 1\r\n* SEARCH 2\r\nA1 OK\r\nA2 OK\r\n* SEARCH\r\nA3 OK\r\n",
         "uids 1:1; uids 2:2; ", 0},
        /* of a mailbox that is being left: nobody's */
        {"A1 OK\r\n* SEARCH 1 2\r\nA2 OK\r\n* SEARCH 3\r\nA3 OK\r\n", "uids 3:3; ", 0},
        {"A1 OK\r\n* ESEARCH (TAG \"A1\") UID ALL 1\r\nA2 OK\r\nA3 OK\r\n", "", 0},
        /* of another than the one worked at: it would be counted for the wrong mailbox */
        {"* ESEARCH (TAG \"A3\") UID ALL 1:2\r\n", "", -EPROTO},
        {"A1 OK\r\nA2 OK\r\n* ESEARCH (TAG \"A1\") UID ALL 1:2\r\n", "", -EPROTO},
        {"* ESEARCH (TAG \"B1\") UID ALL 1:2\r\n", "", -EPROTO},
        {"* ESEARCH (TAG \"A1", "", -ECONNRESET},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct feed feed;
        struct imap_result first, opened, last;
        feed_init(&feed, table[i].input, strlen(table[i].input), 1, IMAP_CAP_ESEARCH);
        assert_int_equal(send_query(&feed, "a", &first), 0);
        assert_int_equal(imap_send_select(&feed.im, "b", true, &opened), 0);
        assert_int_equal(send_query(&feed, "a", &last), 0);
        assert_int_equal(feed_wait(&feed, &last), table[i].status);
        assert_string_equal(log_of(&feed), table[i].log);
        feed_release(&feed);
    }
}

/* Many numbers are handed on as they come: no line of them is ever kept. */
static void test_many(void **state)
{
    CLEANUP_STR struct str input = STR_INIT(16 << 20);
    struct feed feed;
    struct imap_result result;
    (void)state;
    str_append_text(&input, "* 1000000 EXISTS\r\n* SEARCH");
    for (unsigned uid = 1; uid <= 1000000; uid++)
        str_printf_append(&input, " %u", uid);
    str_append_text(&input, "\r\nA1 OK\r\n");
    feed_init(&feed, input.data, input.len, 1000, 0);
    assert_int_equal(send_query(&feed, "a", &result), 0);
    assert_int_equal(feed_wait(&feed, &result), 0);
    assert_string_equal(log_of(&feed), "exists 1000000; uids 1:1000000; ");
    feed_release(&feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_refused_literals),
        cmocka_unit_test(test_refused_in_the_middle),
        cmocka_unit_test(test_answer_before_the_command),
        cmocka_unit_test(test_plus_too_early),
        cmocka_unit_test(test_cut_at_a_gate),
        cmocka_unit_test(test_whose),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
