/* Responses as servers send them, well-formed, quirky and hostile, whole and octet by octet. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "feed.h"

enum sent { NOOP, LIST, SEARCH, SELECT, EXAMINE, FETCH };

struct item {
    const char *what;
    enum sent sent;    /* the command A1 */
    const char *input; /* without its tagged OK when `error` is set */
    const char *log;   /* events expected */
    int error;         /* of the connection */
};

/* clang-format off */
static const struct item items[] = {
    {"plain fetch", FETCH,
     "* 1 FETCH (UID 7 FLAGS (\\Seen work) INTERNALDATE \"01-Jan-2024 00:00:00 +0100\" RFC822.SIZE 123)\r\n",
     "fetch 1 uid 7 flags 1 [work] date 1704063600 60 size 123; ", 0},
    {"lower case, blanks, leading blank in the date", FETCH,
     "*  1  fetch  ( uid 7  flags (\\SEEN  \\recent) internaldate \" 1-jan-2024 00:00:00 +0000\")\r\n",
     "fetch 1 uid 7 flags 1 [] date 1704067200 0; ", 0},
    {"UID behind the body", FETCH,
     "* 2 FETCH (BODY[] {5}\r\nab\r\nc UID 9)\r\n", "begin 0 5 <ab\r\ncfetch 2 uid 9 body 5; ", 0},
    {"body with status words and NUL-free octets", FETCH,
     "* 2 FETCH (UID 9 BODY[] {14}\r\nA1 OK done\r\n\xff\xfe)\r\n",
     "begin 9 14 <A1 OK done\r\n\xff\xfe" "fetch 2 uid 9 body 14; ", 0},
    {"body quoted, with escapes", FETCH,
     "* 2 FETCH (UID 9 BODY[] \"a \\\"b\\\\\")\r\n", "begin 9 5 <a \"b\\fetch 2 uid 9 body 5; ", 0},
    {"body NIL", FETCH, "* 2 FETCH (UID 9 BODY[] NIL)\r\n", "begin 9 0 <fetch 2 uid 9 body 0; ", 0},
    {"body empty", FETCH, "* 2 FETCH (UID 9 BODY[] {0}\r\n)\r\n", "begin 9 0 <fetch 2 uid 9 body 0; ", 0},
    {"literal8", FETCH, "* 2 FETCH (UID 9 BODY[] ~{3}\r\nabc)\r\n", "begin 9 3 <abcfetch 2 uid 9 body 3; ", 0},
    {"origin 0", FETCH, "* 2 FETCH (UID 9 BODY[]<0> {3}\r\nabc)\r\n", "begin 9 3 <abcfetch 2 uid 9 body 3; ", 0},
    {"origin 5 is not the message", FETCH, "* 2 FETCH (UID 9 BODY[]<5> {3}\r\nabc)\r\n", "fetch 2 uid 9; ", 0},
    {"header", FETCH,
     "* 2 FETCH (UID 9 BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)] {13}\r\nSubject: x\r\n\r)\r\n",
     "fetch 2 uid 9 header 13 [Subject: x\r\n\r]; ", 0},
    {"header: quoted and re-ordered names, other case", FETCH,
     "* 2 FETCH (BODY[header.fields (\"Subject\" From \"x]y\")] \"A: b\" UID 9)\r\n",
     "fetch 2 uid 9 header 4 [A: b]; ", 0},
    {"header: a name as literal", FETCH,
     "* 2 FETCH (BODY[HEADER.FIELDS ({4}\r\nDate)] {2}\r\n\r\n UID 9)\r\n",
     "fetch 2 uid 9 header 2 [\r\n]; ", 0},
    {"header NIL", FETCH, "* 2 FETCH (UID 9 BODY[HEADER.FIELDS (X)] NIL)\r\n",
     "fetch 2 uid 9 header 0 []; ", 0},
    {"other sections are skipped", FETCH,
     "* 2 FETCH (UID 9 BODY[HEADER.FIELDS.NOT (X)] {3}\r\nabc BODY[1.2.MIME] \"x\" BINARY[] {1}\r\ny BODY[TEXT] NIL)\r\n",
     "fetch 2 uid 9; ", 0},
    {"unknown items", FETCH,
     "* 2 FETCH (X-GM-LABELS (\\Inbox \"foo (bar\" {3}\r\na)b (x ({2}\r\n)) y))) X-N 5 X-S \"a\\\"b\" UID 9 X-L {2}\r\nzz EMAILID (M1))\r\n",
     "fetch 2 uid 9; ", 0},
    {"odd flags", FETCH,
     "* 2 FETCH (UID 9 FLAGS (\\Answered $Forwarded Junk] {x} %a \\*))\r\n",
     "fetch 2 uid 9 flags 2 [$Forwarded Junk] {x} %a \\*]; ", 0},
    {"flags NIL", FETCH, "* 2 FETCH (UID 9 FLAGS NIL)\r\n", "fetch 2 uid 9; ", 0},
    {"flags without UID", NOOP, "* 5 FETCH (FLAGS (\\Deleted))\r\n", "fetch 5 flags 8 []; ", 0},
    {"modseq", FETCH, "* 5 FETCH (MODSEQ (9223372036854775807) UID 4294967295)\r\n",
     "fetch 5 uid 4294967295 modseq 9223372036854775807; ", 0},
    {"broken date", FETCH, "* 5 FETCH (UID 1 INTERNALDATE \"yesterday\")\r\n", "fetch 5 uid 1; ", 0},
    {"date NIL", FETCH, "* 5 FETCH (UID 1 INTERNALDATE NIL)\r\n", "fetch 5 uid 1; ", 0},
    {"63 bit size", FETCH, "* 5 FETCH (UID 1 RFC822.SIZE 9223372036854775807)\r\n",
     "fetch 5 uid 1 size 9223372036854775807; ", 0},

    {"UID 0", FETCH, "* 5 FETCH (UID 0)\r\n", "", -EPROTO},
    {"UID too large", FETCH, "* 5 FETCH (UID 4294967296)\r\n", "", -EPROTO},
    {"UID that wraps 64 bits", FETCH, "* 5 FETCH (UID 18446744073709551617)\r\n", "", -EPROTO},
    {"negative UID", FETCH, "* 5 FETCH (UID -1)\r\n", "", -EPROTO},
    {"size too large", FETCH, "* 5 FETCH (RFC822.SIZE 9223372036854775808)\r\n", "", -EPROTO},
    {"sequence number 0", FETCH, "* 0 FETCH (UID 1)\r\n", "", -EPROTO},
    {"sequence number too large", FETCH, "* 4294967296 FETCH (UID 1)\r\n", "", -EPROTO},
    {"body of 4 GB", FETCH, "* 5 FETCH (BODY[] {4294967295}\r\n", "", -EPROTO},
    {"header of 4 GB", FETCH, "* 5 FETCH (BODY[HEADER.FIELDS (X)] {4294967295}\r\n", "", -EPROTO},
    {"unknown item of 4 GB", FETCH, "* 5 FETCH (X {4294967295}\r\n", "", -EPROTO},
    {"unknown response of 4 GB", FETCH, "* X {4294967295}\r\n", "", -EPROTO},
    {"literal size too large", FETCH, "* 5 FETCH (BODY[] {99999999999999999999}\r\n", "", -EPROTO},
    {"two bodies", FETCH, "* 5 FETCH (BODY[] {1}\r\na BODY[] {1}\r\nb)\r\n", "begin 0 1 <a", -EPROTO},
    {"fetch without end", FETCH, "* 5 FETCH (UID 1\r\n", "", -EPROTO},
    {"fetch without list", FETCH, "* 5 FETCH UID 1\r\n", "", -EPROTO},
    {"flags without end", FETCH, "* 5 FETCH (FLAGS (\\Seen\r\n", "", -EPROTO},
    {"quoted without end", FETCH, "* 5 FETCH (X \"abc\r\n", "", -EPROTO},
    {"item without value", FETCH, "* 5 FETCH (X)\r\n", "", -EPROTO},
    {"section without end", FETCH, "* 5 FETCH (BODY[HEADER\r\n", "", -EPROTO},
    {"a NUL in the line", FETCH, "* 5 FETCH (UID 1\1 X)\r\n", "", -EPROTO},

    {"several EXISTS, RECENT, FLAGS", NOOP,
     "* 3 EXISTS\r\n* 1 RECENT\r\n* FLAGS (\\Seen)\r\n*  4  EXISTS\r\n", "exists 3; exists 4; ", 0},
    {"bare LF", NOOP, "* 3 EXISTS\n", "exists 3; ", 0},
    {"expunge", SELECT, "* 3 EXISTS\r\n* 3 EXPUNGE\r\n", "exists 3; expunge 3; ", 0},
    {"expunge of nothing", NOOP, "* 1 EXPUNGE\r\n", "", -EPROTO},
    {"unknown responses", NOOP,
     "* FOO bar {5}\r\na\r\nbc baz {2}\r\nxx\r\n* 5 FOO (((\r\n* X-BAR \"{3}\"\r\n* ENABLED CONDSTORE\r\n* OK {3}\r\n* 2 EXISTS\r\n",
     "exists 2; ", 0},
    {"unknown codes", NOOP, "* OK [FOO (a \"]\" b)] hi\r\n* NO [ALERT] x\r\n* BAD\r\n* OK [PERMANENTFLAGS (()] x\r\n", "", 0},
    {"continuation for nobody", NOOP, "+ go on\r\n", "", 0},
    {"capabilities with NULs", NOOP, "* CAPABILITY IDLE \1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\r\n", "", 0},
    {"garbage", NOOP, "HTTP/1.1 400 Bad Request\r\n", "", -EPROTO},
    {"empty line", NOOP, "\r\n", "", -EPROTO},
    {"foreign tag", NOOP, "A2 OK done\r\n", "", -EPROTO},
    {"tag that wraps", NOOP, "A4294967297 OK done\r\n", "", -EPROTO},
    {"neither OK, NO nor BAD", NOOP, "A1 MAYBE\r\n", "", -EPROTO},
    {"bye", NOOP, "* BYE too many connections\r\n", "", -ECONNRESET},
    {"end of file", NOOP, "* 3 EXISTS\r\n* 4 EXI", "exists 3; ", -ECONNRESET},

    {"list", LIST,
     "* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Items\"\r\n* LIST (\\Noselect) NIL foo\r\n* LIST () \"\\\\\" \"a\\\"b\\\\c\"\r\n",
     "list Sent Items / 80; list foo 0 1; list a\"b\\c \\ 0; ", 0},
    {"list with literal, child information and LSUB between", LIST,
     "* LIST (\\nonexistent) \".\" {7}\r\na \"b\r\n{ (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n* LSUB () \".\" x\r\n* LIST () \".\" [Gmail]&-x\r\n* LIST () \".\" NIL\r\n",
     "list a \"b\r\n{ . 1; list [Gmail]&-x . 0; list NIL . 0; ", 0},
    {"list that nobody asked for", NOOP, "* LIST () \".\" x\r\n", "", 0},
    {"list with NUL in the name", LIST, "* LIST () \".\" {3}\r\na\1b\r\n", "", -EPROTO},
    {"list with long delimiter", LIST, "* LIST () \"//\" x\r\n", "", -EPROTO},
    {"list with endless name", LIST, "* LIST () \"/\" {100000}\r\n", "", -EPROTO},
    {"list half", LIST, "* LIST (\\Sent\r\n", "", -EPROTO},

    {"status", NOOP,
     "* STATUS INBOX (MESSAGES 3 UIDNEXT 4294967295 UIDVALIDITY 0 UNSEEN 1 HIGHESTMODSEQ 77)\r\n",
     "status INBOX 1f 3 4294967295 0 1 77; ", 0},
    {"status with unknown items", NOOP,
     "* STATUS \"a b\" (X (1 (2)) MESSAGES 3  MAILBOXID (F1) SIZE 5 UNSEEN NIL)\r\n",
     "status a b 1 3 0 0 0 0; ", 0},
    {"status of a literal", NOOP, "* STATUS {3}\r\na b (MESSAGES 1 )\r\n", "status a b 1 1 0 0 0 0; ", 0},
    {"status out of range", NOOP, "* STATUS x (UIDVALIDITY 4294967296)\r\n", "", -EPROTO},

    {"quota", NOOP, "* QUOTAROOT INBOX \"\" u\r\n* QUOTA \"\" (STORAGE 10 512 MESSAGE 1 2)\r\n* QUOTA u ()\r\n",
     "quota 10240 524288; ", 0},
    {"quota that overflows", NOOP, "* QUOTA x (STORAGE 9223372036854775807 1)\r\n", "", -EPROTO},
    {"namespace", NOOP, "* NAMESPACE ((\"INBOX.\" \".\")(\"x\" \"/\")) NIL ((\"p\" \".\"))\r\n", "namespace [INBOX.] .; ", 0},
    {"namespace NIL", NOOP, "* NAMESPACE NIL NIL NIL\r\n", "", 0},

    {"search", SEARCH, "* SEARCH 1 2 3 9 8 (MODSEQ 5)\r\n*  search\r\n* SEARCH 10 \r\n",
     "uids 1:3; uids 9:9; uids 8:8; uids 10:10; ", 0},
    {"search that nobody asked for", NOOP, "* SEARCH 1 2 3\r\n", "", 0},
    {"esearch", SEARCH, "* ESEARCH (TAG \"A1\") UID COUNT 5 MIN 1:2 ALL 1:3,4,9:7 MODSEQ 5\r\n* ESEARCH (TAG \"A1\") UID\r\n* ESEARCH\r\n",
     "uids 1:4; uids 7:9; ", 0},
    {"esearch without UID", SEARCH, "* ESEARCH (TAG \"A1\") ALL 1:3\r\n", "", 0},
    {"vanished", NOOP, "* VANISHED (EARLIER) 1:3,5\r\n* VANISHED 7\r\n* VANISHED 4294967294:4294967295\r\n",
     "vanished 1:3 earlier; vanished 5:5 earlier; vanished 7:7; vanished 4294967294:4294967295; ", 0},
    {"search with UID 0", SEARCH, "* SEARCH 1 0\r\n", "", -EPROTO},
    {"search out of range", SEARCH, "* SEARCH 4294967296\r\n", "", -EPROTO},
    {"search with garbage", SEARCH, "* SEARCH 1 x\r\n", "", -EPROTO},
    {"esearch with a star", SEARCH, "* ESEARCH UID ALL 1:*\r\n", "", -EPROTO},
    {"esearch of nothing", SEARCH, "* ESEARCH UID ALL \r\n", "", -EPROTO},
    {"esearch with an open list", SEARCH, "* ESEARCH (TAG \"A1\r\n", "", -EPROTO},
    {"vanished with garbage", NOOP, "* VANISHED 1:2x\r\n", "vanished 1:2; ", -EPROTO},
    {"vanished of nothing", NOOP, "* VANISHED \r\n", "", -EPROTO},
    {"a word that only begins like SEARCH", NOOP, "* SEARCHES 0 0\r\n", "", 0},
};
/* clang-format on */

static int send_one(struct feed *feed, enum sent sent, struct imap_result *result)
{
    struct imap *im = &feed->im;
    switch (sent) {
    case NOOP:
        return imap_send_noop(im, result);
    case LIST:
        return imap_send_list(im, false, result);
    case SEARCH:
        return imap_send_search_all(im, result);
    case SELECT:
    case EXAMINE:
        return imap_send_select(im, "INBOX", sent == EXAMINE, result);
    case FETCH:
        return imap_send_fetch(im, "1:*", IMAP_ITEM_UID, result);
    }
    return -EINVAL;
}

static void run(const struct item *item, size_t step)
{
    struct feed feed;
    struct imap_result result;
    CLEANUP_STR struct str input = STR_INIT(1 << 20);
    str_append_text(&input, item->input);
    for (size_t i = 0; i < input.len; i++)
        if (input.data[i] == '\1')
            input.data[i] = '\0';
    if (!item->error)
        str_append_text(&input, "A1 OK done\r\n");
    feed_init(&feed, input.data, input.len, step, 0);
    assert_int_equal(send_one(&feed, item->sent, &result), 0);
    int r = feed_wait(&feed, &result);
    const char *log = feed.log.len ? feed.log.data : "";
    if (r != item->error || strcmp(log, item->log) != 0 || (r == 0 && feed.pos != feed.len))
        fail_msg("%s (step %zu): %d instead of %d (%s)\n  got  %s\n  want %s", item->what, step, r,
                 item->error, imap_errmsg(&feed.im), log, item->log);
    assert_int_equal(imap_error(&feed.im), item->error);
    feed_release(&feed);
}

static void test_table(void **state)
{
    static const size_t steps[] = {0, 1, 2, 7};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        for (size_t j = 0; j < ARRAY_LEN(steps); j++)
            run(&items[i], steps[j]);
}

/* ---- tagged answers */

static void test_results(void **state)
{
    static const struct {
        const char *answer;
        int status;
        const char *code, *text;
        uint64_t backoff;
    } table[] = {
        {"A1 OK done", 0, "", "done", 0},
        {"A1 OK", 0, "", "", 0},
        {"A1  ok  [ReAd-WrItE]  done", 0, "READ-WRITE", "done", 0},
        {"A1 OK [HIGHESTMODSEQ 5]", 0, "HIGHESTMODSEQ", "", 0},
        {"A1 NO nothing there", -EIO, "", "nothing there", 0},
        {"A1 NO [NONEXISTENT] no", -ENOENT, "NONEXISTENT", "no", 0},
        {"A1 NO [NOPERM] no", -EACCES, "NOPERM", "no", 0},
        {"A1 NO [AUTHORIZATIONFAILED] no", -EACCES, "AUTHORIZATIONFAILED", "no", 0},
        {"A1 NO [OVERQUOTA] no", -EDQUOT, "OVERQUOTA", "no", 0},
        {"A1 NO [UNAVAILABLE] no", -EAGAIN, "UNAVAILABLE", "no", 0},
        {"A1 NO [inuse] no", -EAGAIN, "INUSE", "no", 0},
        {"A1 NO [LIMIT] no", -EAGAIN, "LIMIT", "no", 0},
        {"A1 NO [EXPIRED] no", -EKEYEXPIRED, "EXPIRED", "no", 0},
        {"A1 NO [CANNOT] no", -EINVAL, "CANNOT", "no", 0},
        {"A1 NO [BADCHARSET (\"]\" x)] no", -ENOTSUP, "BADCHARSET", "no", 0},
        {"A1 BAD [X] what?", -EPROTO, "X", "what?", 0},
        {"A1 NO a\033[31mb\302\233c", -EIO, "", "a?[31mb?c", 0},
        {"A1 BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", -EPROTO, "",
         "Request is throttled. Suggested Backoff Time: 299961 milliseconds", 299961},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct feed feed;
        struct imap_result result;
        CLEANUP_FREE char *input = str_printf("%s\r\n", table[i].answer);
        feed_init(&feed, input, strlen(input), 0, 0);
        assert_int_equal(imap_send_noop(&feed.im, &result), 0);
        assert_int_equal(feed_wait(&feed, &result), table[i].status);
        assert_string_equal(result.code, table[i].code);
        assert_string_equal(result.text, table[i].text);
        assert_int_equal(result.backoff_ms, table[i].backoff);
        assert_int_equal(imap_error(&feed.im), 0);
        feed_release(&feed);
    }
}

/* What is meant for the user or for all we do here is kept beside the result, and told once. */
static void test_alert_and_refusal(void **state)
{
    static const struct {
        const char *input, *alert, *code, *text; /* NULL: none */
        uint64_t backoff;
    } table[] = {
        {"A1 OK done\r\n", NULL, NULL, NULL, 0},
        {"* OK [ALERT] down at noon\r\nA1 OK done\r\n", "down at noon", NULL, NULL, 0},
        {"* NO [ALERT] disk full\033[1m\r\nA1 OK done\r\n", "disk full?[1m", NULL, NULL, 0},
        {"A1 NO [alert] come here\r\n", "come here", NULL, NULL, 0},
        {"A1 NO [NONEXISTENT] no\r\n", NULL, NULL, NULL, 0},
        {"A1 OK [UNAVAILABLE] odd\r\n", NULL, NULL, NULL, 0},
        {"A1 NO [LIMIT] slower\r\n", NULL, "LIMIT", "slower", 0},
        {"A1 NO [OVERQUOTA] bandwidth\r\n", NULL, "OVERQUOTA", "bandwidth", 0},
        {"A1 BAD Suggested Backoff Time: 1500 milliseconds\r\n", NULL, "",
         "Suggested Backoff Time: 1500 milliseconds", 1500},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct feed feed;
        struct imap_result result;
        struct imap_failure failure = {0};
        feed_init(&feed, table[i].input, strlen(table[i].input), 0, 0);
        assert_int_equal(imap_send_noop(&feed.im, &result), 0);
        (void)feed_wait(&feed, &result);
        assert_int_equal(imap_take_alert(&feed.im, &failure), table[i].alert != NULL);
        if (table[i].alert)
            assert_string_equal(failure.text, table[i].alert);
        assert_false(imap_take_alert(&feed.im, &failure));
        assert_int_equal(imap_take_refusal(&feed.im, &failure), table[i].code != NULL);
        if (table[i].code) {
            assert_string_equal(failure.code, table[i].code);
            assert_string_equal(failure.text, table[i].text);
            assert_int_equal(failure.backoff_ms, table[i].backoff);
        }
        assert_false(imap_take_refusal(&feed.im, &failure));
        feed_release(&feed);
    }
}

static void test_out_of_order(void **state)
{
    static const char input[] = "A2 OK two\r\nA3 NO three\r\nA1 OK one\r\n";
    struct feed feed;
    struct imap_result result[3];
    (void)state;
    feed_init(&feed, input, sizeof(input) - 1, 0, 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(imap_send_noop(&feed.im, &result[i]), 0);
    assert_int_equal(feed_wait(&feed, &result[0]), 0);
    assert_true(result[1].done && result[2].done);
    assert_int_equal(result[2].status, -EIO);
    assert_int_equal(imap_send_noop(&feed.im, &result[0]), 0);
    assert_false(result[0].done);
    feed_release(&feed);
    assert_true(result[0].done);
    assert_int_equal(result[0].status, -ECANCELED);
}

/* ---- the selected mailbox */

#define SELECT_ANSWER                                                                              \
    "* FLAGS (\\Seen)\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n* 17 EXISTS\r\n"                  \
    "* OK [UIDVALIDITY 99] x\r\n* OK [UIDNEXT 4294967295]\r\n* OK [HIGHESTMODSEQ 12345678901]\r\n"

static void test_select(void **state)
{
    static const char input[] = SELECT_ANSWER "A1 OK [READ-WRITE] done\r\n"
                                              "* 18 EXISTS\r\n* 1 EXPUNGE\r\n* VANISHED 3:5\r\n"
                                              "A2 OK\r\n"
                                              "* 5 EXISTS\r\nA3 OK unselected\r\n"
                                              "* OK [NOMODSEQ] x\r\n* OK [UIDNOTSTICKY] x\r\n"
                                              "* 2 EXISTS\r\nA4 OK [READ-ONLY] done\r\n"
                                              "A5 OK\r\nA6 NO [NONEXISTENT] gone\r\n"
                                              "* 1 EXISTS\r\nA7 OK\r\n";
    struct feed feed;
    struct imap_result result, second;
    (void)state;
    feed_init(&feed, input, sizeof(input) - 1, 3, IMAP_CAP_UNSELECT);
    struct imap *im = &feed.im;
    assert_int_equal(imap_send_select(im, "INBOX", false, &result), 0);
    assert_null(imap_selected(im));
    assert_int_equal(feed_wait(&feed, &result), 0);
    const struct imap_mailbox *box = imap_selected(im);
    assert_non_null(box);
    assert_true(box->exists == 17 && box->uidvalidity == 99 && box->uidnext == 4294967295);
    assert_true(box->highestmodseq == 12345678901 && box->any_keyword && !box->read_only);
    assert_int_equal(imap_send_noop(im, &result), 0);
    assert_int_equal(feed_wait(&feed, &result), 0);
    assert_int_equal(box->exists, 14);

    /* Pipelined: the old mailbox is left first, and its EXISTS does not leak into the new. */
    assert_int_equal(imap_send_select(im, "Other", true, &result), 0);
    assert_int_equal(imap_selected(im)->exists, 14);
    assert_int_equal(feed_wait(&feed, &result), 0);
    box = imap_selected(im);
    assert_true(box->exists == 2 && box->read_only && box->uid_not_sticky);
    assert_true(box->highestmodseq == 0 && box->uidvalidity == 0 && !box->any_keyword);

    assert_int_equal(imap_send_select(im, "Gone", true, &result), 0);
    assert_int_equal(imap_send_select(im, "Third", false, &second), 0);
    assert_int_equal(feed_wait(&feed, &result), -ENOENT);
    assert_null(imap_selected(im));
    assert_int_equal(feed.pos < feed.len, 1);
    feed_release(&feed);
    assert_int_equal(second.status, -ECANCELED);
}

static void test_closed(void **state)
{
    static const char input[] = "* 3 EXISTS\r\nA1 OK done\r\n"
                                "* 4 EXISTS\r\n* OK [CLOSED] x\r\n* OK [UIDVALIDITY 5] x\r\n"
                                "A2 OK done\r\n";
    struct feed feed;
    struct imap_result result;
    (void)state;
    feed_init(&feed, input, sizeof(input) - 1, 0, 0); /* a server without UNSELECT */
    assert_int_equal(imap_send_select(&feed.im, "a", false, &result), 0);
    assert_int_equal(feed_wait(&feed, &result), 0);
    assert_int_equal(imap_send_select(&feed.im, "b", true, &result), 0);
    assert_null(imap_selected(&feed.im));
    assert_int_equal(feed_wait(&feed, &result), 0);
    assert_int_equal(imap_selected(&feed.im)->exists, 0);
    assert_int_equal(imap_selected(&feed.im)->uidvalidity, 5);
    assert_true(imap_selected(&feed.im)->read_only);
    feed_release(&feed);
}

/* ---- caps on size and number */

static int run_long(enum sent sent, struct str *input, struct feed *feed)
{
    struct imap_result result;
    feed_init(feed, input->data, input->len, 0, 0);
    assert_int_equal(str_error(input), 0);
    assert_int_equal(send_one(feed, sent, &result), 0);
    return feed_wait(feed, &result);
}

static void test_nesting(void **state)
{
    static const struct {
        unsigned depth;
        int error;
    } table[] = {{99, 0}, {100, 0}, {101, -EPROTO}, {20000, -EPROTO}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_STR struct str input = STR_INIT(1 << 20);
        struct feed feed;
        str_append_text(&input, "* 1 FETCH (UID 1 X ");
        for (unsigned n = 0; n < table[i].depth; n++)
            str_append_char(&input, '(');
        for (unsigned n = 0; n < table[i].depth; n++)
            str_append_char(&input, ')');
        str_append_text(&input, ")\r\nA1 OK\r\n");
        assert_int_equal(run_long(FETCH, &input, &feed), table[i].error);
        feed_release(&feed);
    }
}

static void test_line_length(void **state)
{
    static const struct {
        size_t len;
        int error;
    } table[] = {{65000, 0}, {65536, 0}, {65538, -EPROTO}, {200000, -EPROTO}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_STR struct str input = STR_INIT(1 << 20);
        struct feed feed;
        str_append_text(&input, "* X ");
        while (input.len < table[i].len - 1)
            str_append_char(&input, 'x');
        str_append_text(&input, "\r\nA1 OK\r\n");
        assert_int_equal(run_long(NOOP, &input, &feed), table[i].error);
        feed_release(&feed);
    }
}

static void test_long_sets(void **state)
{
    CLEANUP_STR struct str input = STR_INIT(8 << 20);
    struct feed feed;
    (void)state;
    str_append_text(&input, "* 200000 EXISTS\r\n* SEARCH");
    for (unsigned uid = 1; uid <= 400000; uid += 2)
        str_printf_append(&input, " %u", uid);
    str_append_text(&input, "\r\n* ESEARCH (TAG \"A1\") UID ALL 1");
    for (unsigned uid = 3; uid <= 400000; uid += 2)
        str_printf_append(&input, ",%u", uid);
    str_append_text(&input, "\r\nA1 OK\r\n");
    assert_int_equal(run_long(SEARCH, &input, &feed), 0);
    size_t events = 0;
    for (size_t i = 0; i < feed.log.len; i++)
        events += feed.log.data[i] == ';';
    assert_int_equal(events, 400001); /* and the EXISTS */
    feed_release(&feed);
}

static void test_header_cap(void **state)
{
    CLEANUP_STR struct str input = STR_INIT(2 << 20);
    struct feed feed;
    (void)state;
    str_append_text(&input, "* 1 FETCH (BODY[HEADER.FIELDS (X)] {1000000}\r\n");
    for (size_t i = 0; i < 1000000; i++)
        str_append_char(&input, 'h');
    str_append_text(&input, " UID 5)\r\nA1 OK\r\n");
    assert_int_equal(run_long(FETCH, &input, &feed), 0);
    assert_string_equal(feed.log.data, "fetch 1 uid 5 header 262144 [hhhhhhhhhhhhhhhhhhhh]; ");
    feed_release(&feed);
}

static void test_noise(void **state)
{
    static const struct {
        const char *line;
        int error;
    } table[] = {{"* OK still here\r\n", -EPROTO},
                 {"* FOO\r\n", -EPROTO},
                 {"* 5 EXISTS\r\n", -EPROTO},
                 {"+ go on\r\n", -EPROTO},
                 {"* 5 FETCH (FLAGS ())\r\n", 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_STR struct str input = STR_INIT(16 << 20);
        struct feed feed;
        for (size_t n = 0; n < 150000; n++)
            str_append_text(&input, table[i].line);
        str_append_text(&input, "A1 OK\r\n");
        assert_int_equal(run_long(NOOP, &input, &feed), table[i].error);
        feed_release(&feed);
    }
}

/* ---- commands */

static void assert_sent(struct feed *feed, const char *want)
{
    assert_string_equal(feed->im.out.len ? feed->im.out.data : "", want);
    str_clear(&feed->im.out);
}

static void test_commands(void **state)
{
    const uint32_t all = IMAP_CAP_SPECIAL_USE | IMAP_CAP_LIST_EXTENDED | IMAP_CAP_LIST_STATUS |
                         IMAP_CAP_CONDSTORE | IMAP_CAP_ESEARCH | IMAP_CAP_LITERAL_PLUS;
    struct feed feed;
    struct imap_result r;
    (void)state;
    feed_init(&feed, "", 0, 0, 0);
    struct imap *im = &feed.im;
    assert_int_equal(imap_send_list(im, false, &r), 0);
    assert_sent(&feed, "A1 LIST \"\" \"*\"\r\n");
    assert_int_equal(imap_send_list(im, true, &r), -ENOTSUP);
    assert_int_equal(imap_send_search_all(im, &r), 0);
    assert_sent(&feed, "A2 UID SEARCH ALL\r\n");
    assert_int_equal(imap_send_status(im, "a\"b\\c", &r), 0);
    assert_sent(&feed, "A3 STATUS \"a\\\"b\\\\c\" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\r\n");
    assert_int_equal(imap_send_fetch(im, "1:5", 127, &r), 0);
    assert_sent(&feed, "A4 UID FETCH 1:5 (UID FLAGS INTERNALDATE RFC822.SIZE "
                       "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)] BODY.PEEK[])\r\n");
    im->caps.bits = all;
    assert_int_equal(imap_send_list(im, true, &r), 0);
    assert_sent(&feed, "A5 LIST \"\" \"*\" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT "
                       "UIDVALIDITY UNSEEN HIGHESTMODSEQ))\r\n");
    assert_int_equal(imap_send_search_all(im, &r), 0);
    assert_sent(&feed, "A6 UID SEARCH RETURN (ALL) ALL\r\n");
    assert_int_equal(imap_send_select(im, "\303\266", true, &r), 0);
    assert_sent(&feed, "A7 EXAMINE {2+}\r\n\303\266\r\n");
    assert_int_equal(imap_send_fetch(im, "7", IMAP_ITEM_UID | IMAP_ITEM_MODSEQ, &r), 0);
    assert_sent(&feed, "A8 UID FETCH 7 (UID MODSEQ)\r\n");
    feed_release(&feed);
}

static void test_injection(void **state)
{
    struct feed feed;
    struct imap_result r;
    (void)state;
    feed_init(&feed, "", 0, 0, IMAP_CAP_LITERAL_PLUS);
    struct imap *im = &feed.im;
    static const char *const names[] = {"a\r\nA2 DELETE INBOX", "a\nb", "a\rb", "\303\266\n"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(imap_send_select(im, names[i], true, &r), -EINVAL);
        assert_int_equal(imap_send_status(im, names[i], &r), -EINVAL);
    }
    static const char *const sets[] = {"", "1 2", "1)", "1\r\n", "a", "$"};
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        assert_int_equal(imap_send_fetch(im, sets[i], IMAP_ITEM_UID, &r), -EINVAL);
    assert_int_equal(imap_send_fetch(im, "1", 0, &r), -EINVAL);
    static char longest[20001];
    memset(longest, '1', sizeof(longest) - 1);
    for (size_t n = 7900; n < sizeof(longest); n = n < 8010 ? n + 10 : n * 2) {
        longest[n] = '\0';
        int want = strlen("UID FETCH  (UID)") + n <= 8000 ? 0 : -EINVAL;
        assert_int_equal(imap_send_fetch(im, longest, IMAP_ITEM_UID, &r), want);
        assert_int_equal(imap_send_select(im, longest, true, &r), n + 10 <= 8000 ? 0 : -EINVAL);
        longest[n] = '1';
    }
    assert_null(strstr(im->out.data, "DELETE"));
    feed_release(&feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_alert_and_refusal),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_line_length),
        cmocka_unit_test(test_long_sets),
        cmocka_unit_test(test_header_cap),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_injection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
