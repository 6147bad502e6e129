/* ENABLE, QRESYNC, CONDSTORE: what is sent, what is believed, and whose data it is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "feed.h"

#define QRESYNC (IMAP_CAP_ENABLE | IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE)

static const char *log_of(const struct feed *feed)
{
    return feed->log.len ? feed->log.data : "";
}

/* The text of the commands so far, without what was seen before. */
static void assert_sent(struct feed *feed, const char *text)
{
    assert_string_equal(feed->im.out.len ? feed->im.out.data : "", text);
    str_clear(&feed->im.out);
}

/* ---- ENABLE */

static void test_enable(void **state)
{
    static const struct {
        bool qresync;
        const char *input;
        int status;
        uint32_t enabled;
    } table[] = {
        {true, "* ENABLED QRESYNC\r\nA1 OK\r\n", 0, IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE},
        {true, "*  enabled  x-foo  qresync condstore \r\nA1 OK\r\n", 0,
         IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE},
        {true, "* ENABLED CONDSTORE\r\nA1 OK\r\n", 0, IMAP_CAP_CONDSTORE},
        {false, "* ENABLED CONDSTORE\r\nA1 OK\r\n", 0, IMAP_CAP_CONDSTORE},
        {true, "* ENABLED\r\nA1 OK enabled\r\n", 0, 0},
        {true, "A1 OK enabled\r\n", 0, 0},
        {true, "* ENABLED QRESYNCX X=QRESYNC\r\nA1 OK\r\n", 0, 0},
        {true, "* ENABLED QRESYNC\r\nA1 NO not now\r\n", -EIO, 0},
        {true, "A1 BAD what?\r\n", -EPROTO, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct feed feed;
        struct imap_result result;
        feed_init(&feed, table[i].input, strlen(table[i].input), 1, QRESYNC);
        assert_int_equal(imap_send_enable(&feed.im, table[i].qresync, &result), 0);
        assert_sent(&feed, table[i].qresync ? "A1 ENABLE QRESYNC\r\n" : "A1 ENABLE CONDSTORE\r\n");
        assert_int_equal(imap_enabled(&feed.im), 0);
        assert_int_equal(feed_wait(&feed, &result), table[i].status);
        assert_int_equal(imap_enabled(&feed.im), table[i].enabled);
        feed_release(&feed);
    }
}

/* ENABLED that nobody asked for; what is not offered; too late. */
static void test_enable_refused(void **state)
{
    static const char input[] = "* ENABLED QRESYNC\r\nA1 OK\r\nA2 OK\r\n";
    struct feed feed;
    struct imap_result result;
    (void)state;
    feed_init(&feed, input, sizeof(input) - 1, 0, IMAP_CAP_CONDSTORE | IMAP_CAP_ENABLE);
    struct imap *im = &feed.im;
    assert_int_equal(imap_send_noop(im, &result), 0);
    assert_int_equal(feed_wait(&feed, &result), 0);
    assert_int_equal(imap_enabled(im), 0);
    assert_int_equal(imap_send_enable(im, true, &result), -ENOTSUP);
    im->caps.bits = IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE;
    assert_int_equal(imap_send_enable(im, true, &result), -ENOTSUP);
    assert_int_equal(imap_send_enable(im, false, &result), -ENOTSUP);
    im->caps.bits = QRESYNC;
    assert_int_equal(imap_send_select(im, "INBOX", true, &result), 0);
    assert_int_equal(imap_send_enable(im, true, &result), -EINVAL);
    feed_release(&feed);
}

/* ---- what is sent */

static void test_wire(void **state)
{
    struct feed feed;
    struct imap_result result;
    (void)state;
    feed_init(&feed, "", 0, 0, QRESYNC);
    struct imap *im = &feed.im;
    assert_int_equal(imap_send_select_since(im, "a", true, 0, 0, &result), 0);
    assert_sent(&feed, "A1 EXAMINE \"a\" (CONDSTORE)\r\n");
    assert_int_equal(imap_send_select_since(im, "a", true, 7, 9, &result), -ENOTSUP);
    assert_int_equal(imap_send_fetch_since(im, "1:*", IMAP_ITEM_UID, 9, true, &result), -ENOTSUP);
    im->enabled = IMAP_CAP_CONDSTORE;
    assert_int_equal(imap_send_select_since(im, "a", true, 7, 9, &result), -ENOTSUP);
    im->enabled = IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE;
    assert_int_equal(imap_send_select_since(im, "a", true, 0, 0, &result), 0);
    assert_sent(&feed, "A2 EXAMINE \"a\"\r\n");
    assert_int_equal(
        imap_send_select_since(im, "a b", false, UINT32_MAX, (uint64_t)INT64_MAX, &result), 0);
    assert_sent(&feed, "A3 SELECT \"a b\" (QRESYNC (4294967295 9223372036854775807))\r\n");
    assert_int_equal(imap_send_select_since(im, "a", true, 7, 0, &result), -EINVAL);
    assert_int_equal(imap_send_select_since(im, "a", true, 0, 7, &result), -EINVAL);
    assert_int_equal(imap_send_select_since(im, "a", true, 7, (uint64_t)INT64_MAX + 1, &result),
                     -EINVAL);
    assert_int_equal(imap_send_select_since(im, "a\r\nx", true, 7, 9, &result), -EINVAL);
    assert_int_equal(
        imap_send_fetch_since(im, "1:*", IMAP_ITEM_UID | IMAP_ITEM_FLAGS, 9, true, &result), 0);
    assert_sent(&feed, "A4 UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 9 VANISHED)\r\n");
    assert_int_equal(imap_send_fetch_since(im, "3,5:7", IMAP_ITEM_MODSEQ, 1, false, &result), 0);
    assert_sent(&feed, "A5 UID FETCH 3,5:7 (MODSEQ) (CHANGEDSINCE 1)\r\n");
    assert_int_equal(imap_send_fetch_since(im, "1", IMAP_ITEM_UID, 0, false, &result), -EINVAL);
    assert_int_equal(
        imap_send_fetch_since(im, "1", IMAP_ITEM_UID, (uint64_t)INT64_MAX + 1, false, &result),
        -EINVAL);
    assert_int_equal(imap_send_status(im, "a", &result), 0);
    assert_sent(&feed, "A6 STATUS \"a\" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)\r\n");
    im->caps.bits = IMAP_CAP_ENABLE; /* as when CONDSTORE has been hidden */
    assert_int_equal(imap_send_status(im, "a", &result), 0);
    assert_sent(&feed, "A7 STATUS \"a\" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\r\n");
    assert_int_equal(imap_send_fetch_since(im, "1", IMAP_ITEM_UID, 9, false, &result), -ENOTSUP);
    im->enabled = 0;
    assert_int_equal(imap_send_select_since(im, "a", true, 0, 0, &result), 0);
    assert_sent(&feed, "A8 EXAMINE \"a\"\r\n");
    assert_int_equal(imap_send_notify(im, &result), -ENOTSUP);
    im->caps.bits = IMAP_CAP_NOTIFY;
    assert_int_equal(imap_send_notify(im, &result), 0);
    assert_sent(&feed, "A9 NOTIFY SET (PERSONAL (MessageNew MessageExpunge FlagChange MailboxName "
                       "SubscriptionChange))\r\n");
    feed_release(&feed);
}

/* ---- selecting with QRESYNC */

static void select_with(struct feed *feed, const char *input, size_t step, int status)
{
    struct imap_result result;
    feed_init(feed, input, strlen(input), step, QRESYNC | IMAP_CAP_UNSELECT);
    feed->im.enabled = IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE;
    assert_int_equal(imap_send_select_since(&feed->im, "a", true, 99, 5, &result), 0);
    assert_int_equal(feed_wait(feed, &result), status);
}

static void test_select(void **state)
{
    static const char input[] =
        "* OK [CLOSED] x\r\n* 17 EXISTS\r\n* OK [UIDVALIDITY 99] x\r\n* OK [UIDNEXT 50] x\r\n"
        "* OK [HIGHESTMODSEQ 90]\r\n* VANISHED (EARLIER) 1:3,7\r\n* vanished (earlier) 20:21\r\n"
        "* 4 FETCH (UID 9 FLAGS (\\Seen) MODSEQ (80))\r\n* VANISHED (EARLIER) 4\r\n"
        "A1 OK [READ-ONLY] done\r\n";
    static const size_t steps[] = {0, 1, 7};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct feed feed;
        select_with(&feed, input, steps[i], 0);
        assert_string_equal(log_of(&feed),
                            "exists 17; vanished 1:3 earlier; vanished 7:7 earlier; vanished 20:21 "
                            "earlier; fetch 4 uid 9 flags 1 [] modseq 80; vanished 4:4 earlier; ");
        const struct imap_mailbox *box = imap_selected(&feed.im);
        assert_true(box->exists == 17 && box->uidnext == 50 && box->highestmodseq == 90);
        feed_release(&feed);
    }
}

static void test_select_modseq(void **state)
{
    static const struct {
        const char *input;
        uint64_t highest;
        int status;
    } table[] = {
        {"* OK [HIGHESTMODSEQ 7]\r\nA1 OK x\r\n", 7, 0},
        {"* OK [HIGHESTMODSEQ 7]\r\nA1 OK [HIGHESTMODSEQ 8] x\r\n", 8, 0},
        {"* OK [HIGHESTMODSEQ 7] x\r\n* OK [HIGHESTMODSEQ 6] x\r\nA1 OK x\r\n", 7, 0},
        {"* OK [HIGHESTMODSEQ 9223372036854775807] x\r\nA1 OK x\r\n", INT64_MAX, 0},
        {"* OK [HIGHESTMODSEQ 0] x\r\nA1 OK x\r\n", 0, 0},
        {"* OK [HIGHESTMODSEQ]\r\nA1 OK x\r\n", 0, 0},
        {"* OK [HIGHESTMODSEQ x]\r\nA1 OK x\r\n", 0, 0},
        {"* OK [NOMODSEQ] x\r\nA1 OK x\r\n", 0, 0},
        {"* OK [HIGHESTMODSEQ 7]\r\n* OK [NOMODSEQ]\r\nA1 OK x\r\n", 0, 0},
        {"* NO [HIGHESTMODSEQ 7] x\r\nA1 OK x\r\n", 0, 0},
        {"* 1 EXISTS\r\nA1 OK x\r\n", 0, 0},
        {"* OK [HIGHESTMODSEQ 9223372036854775808] x\r\n", 0, -EPROTO},
        {"* VANISHED (EARLIER)\r\n", 0, -EPROTO},
        {"* VANISHED\r\n", 0, -EPROTO},
        {"* VANISHED (EARLIER) ()\r\n", 0, -EPROTO},
        {"* VANISHED (EARLIER) 0:5\r\n", 0, -EPROTO},
        {"* VANISHED (EARLIER) 1:4294967296\r\n", 0, -EPROTO},
        {"* VANISHED (EARLIER) 1:*\r\n", 0, -EPROTO},
        {"* VANISHED (EARLIER) 1,,2\r\n", 0, -EPROTO},
        {"* VANISHED (EARLIER 1:5\r\n", 0, -EPROTO},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct feed feed;
        select_with(&feed, table[i].input, i % 3, table[i].status);
        const struct imap_mailbox *box = imap_selected(&feed.im);
        assert_int_equal(box ? box->highestmodseq : 0, table[i].highest);
        feed_release(&feed);
    }
}

/* Later codes, tagged and untagged: only forward. */
static void test_modseq_grows(void **state)
{
    static const struct {
        const char *line;
        uint64_t highest;
    } table[] = {
        {"A2 OK [HIGHESTMODSEQ 100] expunged\r\n", 100},
        {"* OK [HIGHESTMODSEQ 101] x\r\nA3 OK noop\r\n", 101},
        {"* OK [HIGHESTMODSEQ 50] x\r\nA4 OK [HIGHESTMODSEQ 0] noop\r\n", 101},
        {"* BAD [HIGHESTMODSEQ 500] x\r\nA5 NO [HIGHESTMODSEQ 500] x\r\n", 101},
        {"* OK [NOMODSEQ] x\r\nA6 OK x\r\n", 0},
    };
    CLEANUP_STR struct str input = STR_INIT(4096);
    struct feed feed;
    (void)state;
    str_append_text(&input, "* OK [HIGHESTMODSEQ 90] x\r\nA1 OK x\r\n");
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        str_append_text(&input, table[i].line);
    select_with(&feed, input.data, 3, 0);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct imap_result result;
        assert_int_equal(imap_send_noop(&feed.im, &result), 0);
        feed_wait(&feed, &result);
        assert_true(result.done);
        assert_int_equal(imap_selected(&feed.im)->highestmodseq, table[i].highest);
    }
    feed_release(&feed);
}

struct counted {
    size_t ranges;
    uint32_t next; /* expected: every other UID */
};

static void count_vanished(void *ctx, uint32_t first, uint32_t last, bool earlier)
{
    struct counted *seen = ctx;
    assert_true(earlier && first == seen->next && last == first);
    seen->ranges++;
    seen->next += 2;
}

/* A line of more than 1 MB: every range arrives, and nothing of it is kept. */
static void test_long_vanished(void **state)
{
    static const size_t steps[] = {0, 1, 1000};
    CLEANUP_STR struct str input = STR_INIT(4 << 20);
    (void)state;
    str_append_text(&input, "* 5 EXISTS\r\n* VANISHED (EARLIER) 1");
    for (unsigned i = 1; i < 160000; i++)
        str_printf_append(&input, ",%u", 1 + 2 * i);
    str_append_text(&input, "\r\nA1 OK [HIGHESTMODSEQ 9] x\r\n");
    assert_true(str_error(&input) == 0 && input.len > 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct feed feed;
        struct counted counted = {.next = 1};
        struct imap_events events = {.ctx = &counted, .vanished = count_vanished};
        struct imap_result result;
        feed_init(&feed, input.data, input.len, steps[i], QRESYNC);
        feed.im.enabled = IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE;
        imap_set_events(&feed.im, &events);
        assert_int_equal(imap_send_select_since(&feed.im, "a", true, 99, 5, &result), 0);
        assert_int_equal(feed_wait(&feed, &result), 0);
        assert_int_equal(counted.ranges, 160000);
        assert_int_equal(imap_selected(&feed.im)->exists, 5);
        assert_int_equal(imap_selected(&feed.im)->highestmodseq, 9);
        feed_release(&feed);
    }
}

/* ---- whose data it is */

/* What comes of the old mailbox while it is being left is not handed on as the new one's. */
static void test_leaving(void **state)
{
    static const struct {
        const char *what;
        uint32_t caps, enabled;
        const char *input; /* to select b, when a is selected */
        const char *log;
        uint32_t exists;
    } table[] = {
        {"UNSELECT", IMAP_CAP_UNSELECT, 0,
         "* VANISHED 3\r\n* 9 EXPUNGE\r\n* 9 EXISTS\r\n* 2 FETCH (UID 2 FLAGS () BODY[] "
         "{1}\r\nx)\r\n"
         "A2 OK unselected\r\n* 4 EXISTS\r\n* VANISHED (EARLIER) 8\r\nA3 OK\r\n",
         "exists 4; vanished 8:8 earlier; ", 4},
        {"CLOSED", 0, IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE,
         "* VANISHED 3\r\n* 9 EXISTS\r\n* 2 FETCH (UID 2 FLAGS ())\r\n* OK [HIGHESTMODSEQ 999]\r\n"
         "* OK [CLOSED] x\r\n* 4 EXISTS\r\n* VANISHED (EARLIER) 8\r\n* OK [HIGHESTMODSEQ 5]\r\nA2 "
         "OK\r\n",
         "exists 4; vanished 8:8 earlier; ", 4},
        {"CLOSED left out", 0, IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE,
         "* 4 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n* VANISHED (EARLIER) 8\r\nA2 OK\r\n",
         "vanished 8:8 earlier; ", 4},
        {"nothing tells", 0, 0,
         "* 2 EXPUNGE\r\n* 2 FETCH (UID 2 FLAGS ())\r\n* 4 EXISTS\r\n* 1 FETCH (UID 8 FLAGS "
         "())\r\nA2 OK\r\n",
         "exists 4; fetch 1 uid 8 flags 0 []; ", 4},
        {"refused", IMAP_CAP_UNSELECT, 0, "* VANISHED 3\r\nA2 OK\r\nA3 NO\r\n* 4 EXISTS\r\n", "",
         0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct feed feed;
        struct imap_result result;
        CLEANUP_FREE char *input = str_printf("* 20 EXISTS\r\nA1 OK\r\n%s", table[i].input);
        feed_init(&feed, input, strlen(input), i % 3, table[i].caps);
        feed.im.enabled = table[i].enabled;
        assert_int_equal(imap_send_select(&feed.im, "a", true, &result), 0);
        assert_int_equal(feed_wait(&feed, &result), 0);
        assert_string_equal(log_of(&feed), "exists 20; ");
        str_clear(&feed.log);
        assert_int_equal(imap_send_select(&feed.im, "b", true, &result), 0);
        int r = feed_wait(&feed, &result);
        const struct imap_mailbox *box = imap_selected(&feed.im);
        if (strcmp(log_of(&feed), table[i].log) != 0 ||
            (box ? box->exists : 0) != table[i].exists || r != (table[i].exists ? 0 : -EIO) ||
            (box && box->highestmodseq > 5))
            fail_msg("%s: %d\n  got  %s\n  want %s", table[i].what, r, log_of(&feed), table[i].log);
        feed_release(&feed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enable),        cmocka_unit_test(test_enable_refused),
        cmocka_unit_test(test_wire),          cmocka_unit_test(test_select),
        cmocka_unit_test(test_select_modseq), cmocka_unit_test(test_modseq_grows),
        cmocka_unit_test(test_long_vanished), cmocka_unit_test(test_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
