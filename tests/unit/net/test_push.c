/* IDLE and NOTIFY on a real socket: why the wait ends, and what a server can do to it. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "conn.h"
#include "live.h"

#define LONG_MS  20000
#define SHORT_MS 300

static void on_list(void *ctx, const struct imap_list_entry *e)
{
    str_printf_append(ctx, "list %s; ", e->name);
}

static void on_status(void *ctx, const struct imap_status *s)
{
    str_printf_append(ctx, "status %s %u; ", s->name, s->messages);
}

static void on_fetch(void *ctx, const struct imap_fetch *f)
{
    str_printf_append(ctx, "fetch %u; ", f->seq);
}

static void on_vanished(void *ctx, uint32_t first, uint32_t last, bool earlier)
{
    str_printf_append(ctx, "vanished %u:%u%s; ", first, last, earlier ? " earlier" : "");
}

static void on_expunge(void *ctx, uint32_t seq)
{
    str_printf_append(ctx, "expunge %u; ", seq);
}

static void on_exists(void *ctx, uint32_t messages)
{
    str_printf_append(ctx, "exists %u; ", messages);
}

struct session { /* a connection to a script, and what its events told */
    struct imapd *server;
    struct imap *im;
    struct imap_result result;
    enum imap_wake wake;
    struct str log;
    int64_t begin;
};

static void session_begin(struct session *s, imapd_script *script, void *arg,
                          const struct imapd_options *options, int interrupt_fd)
{
    struct errtext err = {""};
    const struct imap_events events = {.ctx = &s->log,
                                       .list = on_list,
                                       .status = on_status,
                                       .fetch = on_fetch,
                                       .vanished = on_vanished,
                                       .expunge = on_expunge,
                                       .exists = on_exists};
    *s = (struct session){.log = STR_INIT(1 << 20), .wake = (enum imap_wake)77};
    s->server = imapd_start(script, arg, options);
    struct imap_settings settings = live_settings(s->server);
    CLEANUP_FREE char *ca = NULL;
    if (options && options->tls) {
        ca = str_printf("%s/ca.pem", live_pki());
        settings.cafile = ca;
        settings.tls = IMAP_TLS_IMPLICIT;
    }
    settings.interrupt_fd = interrupt_fd;
    assert_int_equal(imap_global_init(), 0);
    if (imap_connect(&settings, &s->im, &err) < 0)
        fail_msg("%s", err.text);
    imap_set_events(s->im, &events);
    s->begin = clock_mono_ms();
}

static void session_select(struct session *s)
{
    assert_int_equal(imap_send_select(s->im, "INBOX", true, &s->result), 0);
    assert_int_equal(imap_wait(s->im, &s->result), 0);
    str_clear(&s->log);
}

static void session_end(struct session *s)
{
    imap_free(s->im);
    const char *failure = imapd_stop(s->server);
    assert_string_equal(failure, "");
    str_release(&s->log);
}

static void assert_log(struct session *s, const char *text)
{
    assert_string_equal(s->log.len ? s->log.data : "", text);
    str_clear(&s->log);
}

static void assert_usable(struct session *s)
{
    assert_int_equal(imap_send_noop(s->im, &s->result), 0);
    assert_int_equal(imap_wait(s->im, &s->result), 0);
}

static void *write_later(void *arg)
{
    usleep(100000);
    if (eventfd_write(*(int *)arg, 1) < 0)
        abort();
    return NULL;
}

/* ---- IDLE */

struct idle {
    const char *what;
    const char *before; /* in place of or before `+` */
    const char *after;  /* behind it; NULL: at once */
    const char *done;   /* in answer to DONE, the line's tag in place of `A`; NULL: no DONE comes */
    unsigned max_ms;
    int r;
    int wake; /* enum imap_wake; -1: none told */
    const char *log;
    bool usable;
};

/* clang-format off */
static const struct idle idles[] = {
    {"nothing happens", "+ idling\r\n", "", "A OK done\r\n", SHORT_MS, 0, IMAP_WAKE_TIMEOUT, "", true},
    {"no time at all", "+ idling\r\n", "", "A OK done\r\n", 0, 0, IMAP_WAKE_TIMEOUT, "", true},
    {"still here is no news", "+ idling\r\n", "* OK Still here\r\n", "A OK done\r\n", SHORT_MS, 0, IMAP_WAKE_TIMEOUT, "", true},
    {"new mail", "+ idling\r\n", "* 5 EXISTS\r\n* 1 RECENT\r\n", "A OK done\r\n", LONG_MS, 0, IMAP_WAKE_NEWS, "exists 5; ", true},
    {"expunge and flags", "+\r\n", "* 3 EXPUNGE\r\n* 1 FETCH (FLAGS (\\Seen))\r\n", "A OK done\r\n", LONG_MS, 0, IMAP_WAKE_NEWS, "expunge 3; fetch 1; ", true},
    {"vanished", "+ x\r\n", "* VANISHED 3:5\r\n", "A OK done\r\n", LONG_MS, 0, IMAP_WAKE_NEWS, "vanished 3:5; ", true},
    {"data before +", "* 5 EXISTS\r\n* 2 EXPUNGE\r\n+ idling\r\n", "", "A OK done\r\n", LONG_MS, 0, IMAP_WAKE_NEWS, "exists 5; expunge 2; ", true},
    {"data behind DONE", "+ idling\r\n", "", "* 5 EXISTS\r\nA OK done\r\n", SHORT_MS, 0, IMAP_WAKE_NEWS, "exists 5; ", true},
    {"half a line does not hold the news up", "+ idling\r\n", "* 5 EXISTS\r\n* 6 EX", "ISTS\r\nA OK done\r\n", LONG_MS, 0, IMAP_WAKE_NEWS, "exists 5; exists 6; ", true},
    {"half a line alone", "+ idling\r\n", "* 6 EX", "ISTS\r\nA OK done\r\n", SHORT_MS, 0, IMAP_WAKE_NEWS, "exists 6; ", true},
    {"list and status of others", "+ idling\r\n", "* LIST () \"/\" x\r\n* STATUS y (MESSAGES 3)\r\n", "A OK done\r\n", LONG_MS, 0, IMAP_WAKE_NEWS, "status y 3; ", true},
    {"overflow", "+ idling\r\n", "* OK [NOTIFICATIONOVERFLOW] x\r\n", "A OK done\r\n", LONG_MS, 0, IMAP_WAKE_OVERFLOW, "", true},
    {"NO to IDLE", "A NO [UNAVAILABLE] later\r\n", NULL, NULL, LONG_MS, -EAGAIN, -1, "", true},
    {"BAD to IDLE", "* 5 EXISTS\r\nA BAD what?\r\n", NULL, NULL, LONG_MS, -EPROTO, -1, "exists 5; ", true},
    {"OK without +", "A OK done\r\n", NULL, NULL, LONG_MS, -EPROTO, -1, "", true},
    {"NO to DONE", "+ idling\r\n", "", "A NO sorry\r\n", SHORT_MS, -EIO, -1, "", true},
    {"the server ends it", "+ idling\r\nA OK that is enough\r\n", NULL, NULL, LONG_MS, 0, IMAP_WAKE_TIMEOUT, "", true},
    {"the server ends it with news", "+ idling\r\n* 5 EXISTS\r\nA OK that is enough\r\n", NULL, NULL, LONG_MS, 0, IMAP_WAKE_NEWS, "exists 5; ", true},
    {"two continuations", "+ idling\r\n+ idling\r\n", "", "A OK done\r\n", SHORT_MS, 0, IMAP_WAKE_TIMEOUT, "", true},

    {"+ never comes", "* OK hm\r\n", NULL, NULL, LONG_MS, -ETIMEDOUT, -1, "", false},
    {"+ is cut short", "+ id", NULL, NULL, LONG_MS, -ETIMEDOUT, -1, "", false},
    {"silent after DONE", "+ idling\r\n", "", "* 5 EXISTS\r\n", SHORT_MS, -ETIMEDOUT, -1, "exists 5; ", false},
    {"BYE in place of +", "* BYE no idling\r\n", NULL, NULL, LONG_MS, -ECONNRESET, -1, "", false},
    {"BYE", "+ idling\r\n", "* BYE [UNAVAILABLE] going down\r\n", NULL, LONG_MS, -ECONNRESET, -1, "", false},
    {"BYE behind DONE", "+ idling\r\n", "", "* BYE going down\r\n", SHORT_MS, -ECONNRESET, -1, "", false},
    {"garbage", "+ idling\r\n", "hello?\r\n", NULL, LONG_MS, -EPROTO, -1, "", false},
    {"foreign tag", "+ idling\r\n", "A99 OK\r\n", NULL, LONG_MS, -EPROTO, -1, "", false},
    {"vanished without UIDs", "+ idling\r\n", "* VANISHED\r\n", NULL, LONG_MS, -EPROTO, -1, "", false},
};
/* clang-format on */

/* `A ` at the beginning of a line becomes the last line's tag, or the one before DONE. */
static void send_answer(struct imapd *s, const char *tag, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        n += text[n] == '\n';
        if (strncmp(text, "A ", 2) == 0)
            imapd_send(s, "%s%.*s", tag, (int)(n - 1), text + 1);
        else
            imapd_write(s, text, n);
        text += n;
    }
}

static void play_idle(struct imapd *s, void *arg)
{
    const struct idle *idle = arg;
    char tag[16];
    imapd_login(s, "IDLE CONDSTORE");
    imapd_expect(s, "EXAMINE");
    imapd_send(s, "* 4 EXISTS\r\n");
    imapd_reply(s, "OK [READ-ONLY] done");
    imapd_expect(s, "IDLE");
    snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(imapd_last(s), " "), imapd_last(s));
    send_answer(s, tag, idle->before);
    if (idle->after) {
        usleep(20000);
        send_answer(s, tag, idle->after);
    }
    if (idle->done) {
        imapd_expect(s, "DONE");
        send_answer(s, tag, idle->done);
    }
    if (idle->usable) {
        if (strcmp(imapd_line(s), "DONE") == 0) { /* it crossed our end of IDLE */
            imapd_reply(s, "BAD what?");
            imapd_line(s);
        }
        if (!strstr(imapd_last(s), "NOOP"))
            imapd_fail(s, "got \"%.100s\"", imapd_last(s));
        imapd_reply(s, "OK noop");
    }
    if (idle->r != -ECONNRESET)
        imapd_wait_closed(s);
}

static void run_idle(const struct idle *idle, const struct imapd_options *options)
{
    struct session s;
    struct idle copy = *idle;
    session_begin(&s, play_idle, &copy, options, -1);
    session_select(&s);
    if (idle->r == -ETIMEDOUT)
        s.im->answer_ms = SHORT_MS;
    s.begin = clock_mono_ms();
    int r = imap_idle(s.im, idle->max_ms, -1, &s.result, &s.wake);
    int64_t spent = clock_mono_ms() - s.begin;
    if (r != idle->r || (int)s.wake != (idle->wake < 0 ? 77 : idle->wake))
        fail_msg("%s: %d instead of %d, wake %d, %s", idle->what, r, idle->r, (int)s.wake,
                 imap_errmsg(s.im));
    if (strcmp(s.log.len ? s.log.data : "", idle->log) != 0)
        fail_msg("%s: got %s", idle->what, s.log.data);
    if (spent > 5000 ||
        (r == 0 && s.wake == IMAP_WAKE_TIMEOUT && idle->done && spent < idle->max_ms))
        fail_msg("%s: %d ms", idle->what, (int)spent);
    assert_true(s.result.done && s.result.status == r);
    assert_int_equal(imap_error(s.im), idle->usable ? 0 : idle->r);
    if (idle->usable)
        assert_usable(&s);
    else
        assert_int_equal(imap_idle(s.im, 0, -1, &s.result, &s.wake), idle->r); /* sticky */
    if (strstr(idle->what, "BYE"))
        assert_non_null(strstr(imap_errmsg(s.im), "the server said goodbye: "));
    session_end(&s);
}

static void test_idle(void **state)
{
    struct imapd_options plain = {0}, bytewise = {.bytewise = true},
                         tls = {.cert = live_cert("good"), .tls = true};
    const struct imapd_options *options[] = {&plain, &bytewise, &tls};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(idles); i++)
        for (size_t j = 0; j < ARRAY_LEN(options); j++)
            run_idle(&idles[i], options[j]);
}

/* A server that goes on talking cannot draw the 10 s out. */
static void talk_after_done(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_login(s, "IDLE");
    imapd_expect(s, "EXAMINE");
    imapd_reply(s, "OK done");
    imapd_expect(s, "IDLE");
    imapd_send(s, "+ x\r\n");
    imapd_expect(s, "DONE");
    while (imapd_write(s, "* OK wait\r\n", 11))
        usleep(5000);
}

static void test_talk_after_done(void **state)
{
    struct session s;
    (void)state;
    session_begin(&s, talk_after_done, NULL, NULL, -1);
    assert_int_equal(s.im->answer_ms, 10000);
    session_select(&s);
    s.im->answer_ms = SHORT_MS;
    s.begin = clock_mono_ms();
    assert_int_equal(imap_idle(s.im, 10, -1, &s.result, &s.wake), -ETIMEDOUT);
    int64_t spent = clock_mono_ms() - s.begin;
    assert_true(spent >= SHORT_MS && spent < 5000);
    assert_non_null(strstr(imap_errmsg(s.im), "no answer to the end of IDLE"));
    session_end(&s);
}

/* IDLE may be quiet for longer than timeout_ms. */
static void test_idle_long(void **state)
{
    static const struct idle quiet = {.before = "+ x\r\n", .after = "", .done = "A OK\r\n"};
    struct idle copy = quiet;
    struct session s;
    (void)state;
    session_begin(&s, play_idle, &copy, NULL, -1);
    session_select(&s);
    s.im->stream.timeout_ms = 100;
    assert_int_equal(imap_idle(s.im, 2 * SHORT_MS, -1, &s.result, &s.wake), 0);
    assert_int_equal(s.wake, IMAP_WAKE_TIMEOUT);
    session_end(&s);
}

static void test_idle_woken(void **state)
{
    static const struct idle quiet = {
        .before = "+ x\r\n", .after = "* 6 EX", .done = "ISTS\r\nA OK\r\n", .usable = true};
    struct imapd_options options = {.cert = live_cert("good"), .tls = *state != NULL};
    struct idle copy = quiet;
    struct session s;
    pthread_t thread;
    int fd = eventfd(0, EFD_CLOEXEC);
    session_begin(&s, play_idle, &copy, &options, -1);
    session_select(&s);
    assert_int_equal(pthread_create(&thread, NULL, write_later, &fd), 0);
    assert_int_equal(imap_idle(s.im, LONG_MS, fd, &s.result, &s.wake), 0);
    assert_int_equal(s.wake, IMAP_WAKE_FD);
    assert_true(clock_mono_ms() - s.begin < 5000);
    assert_log(&s, "exists 6; "); /* what came with the answer to DONE */
    struct pollfd look = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&look, 1, 0), 1); /* not read */
    assert_usable(&s);
    pthread_join(thread, NULL);
    session_end(&s);
    close(fd);
}

static void test_idle_interrupted(void **state)
{
    static const struct idle quiet = {.before = "+ x\r\n", .after = ""};
    struct idle copy = quiet;
    struct session s;
    pthread_t thread;
    int fd = eventfd(0, EFD_CLOEXEC);
    (void)state;
    session_begin(&s, play_idle, &copy, NULL, fd);
    session_select(&s);
    assert_int_equal(pthread_create(&thread, NULL, write_later, &fd), 0);
    assert_int_equal(imap_idle(s.im, LONG_MS, -1, &s.result, &s.wake), -ECANCELED);
    assert_int_equal(s.wake, 77);
    assert_true(s.result.done && s.result.status == -ECANCELED);
    pthread_join(thread, NULL);
    session_end(&s);
    close(fd);
}

static void nothing(struct imapd *s, void *arg)
{
    imapd_login(s, arg);
    while (*imapd_line(s))
        imapd_reply(s, "OK");
}

static void test_refused(void **state)
{
    static char caps[] = "IDLE";
    struct session s;
    struct imap_result other;
    (void)state;
    session_begin(&s, nothing, caps, NULL, -1);
    assert_int_equal(imap_idle(s.im, 0, -1, &s.result, &s.wake), -EINVAL);
    session_select(&s);
    assert_int_equal(imap_send_noop(s.im, &other), 0);
    assert_int_equal(imap_idle(s.im, 0, -1, &s.result, &s.wake), -EBUSY);
    assert_int_equal(imap_listen(s.im, 0, -1, &s.wake), -EBUSY);
    assert_int_equal(imap_wait(s.im, &other), 0);
    s.im->caps.bits = 0;
    assert_int_equal(imap_idle(s.im, 0, -1, &s.result, &s.wake), -ENOTSUP);
    assert_int_equal(s.wake, 77);
    assert_usable(&s);
    session_end(&s);
}

/* ---- NOTIFY */

static void play_notify(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_login(s, "NOTIFY");
    imapd_expect(s, "NOOP"); /* 1: a LIST that nobody asked for */
    imapd_send(s, "* LIST () \"/\" early\r\n");
    imapd_reply(s, "OK");
    imapd_expect(s, "NOTIFY SET (PERSONAL (");
    imapd_reply(s, "OK done");
    usleep(50000);
    imapd_send(
        s, "* STATUS b (MESSAGES 3 UIDNEXT 4)\r\n* LIST () \"/\" new (\"OLDNAME\" (\"a\"))\r\n");
    imapd_expect(s, "NOOP"); /* 2: between two waits nothing is lost */
    imapd_send(s, "* LIST (\\NonExistent) \"/\" gone\r\n");
    imapd_reply(s, "OK");
    imapd_send(s, "* STATUS \"half");
    imapd_expect(s, "NOOP"); /* 3 */
    imapd_send(s, "\" (MESSAGES 1)\r\n* OK [NOTIFICATIONOVERFLOW] too much\r\n");
    imapd_reply(s, "OK");
    imapd_expect(s, "NOOP"); /* 4: it is off now */
    imapd_send(s, "* LIST () \"/\" late\r\n");
    imapd_reply(s, "OK");
    imapd_send(s, "* BYE [UNAVAILABLE] see you\r\n");
}

static void test_notify(void **state)
{
    struct imapd_options options = {
        .cert = live_cert("good"), .tls = *state != NULL, .bytewise = true};
    struct session s;
    session_begin(&s, play_notify, NULL, &options, -1);
    struct imap *im = s.im;
    im->stream.timeout_ms = 2000;
    assert_usable(&s);
    assert_log(&s, "");
    assert_int_equal(imap_send_notify(im, &s.result), 0);
    assert_int_equal(imap_wait(im, &s.result), 0);
    while (!strstr(s.log.len ? s.log.data : "", "new")) { /* in pieces: perhaps twice */
        assert_int_equal(imap_listen(im, LONG_MS, -1, &s.wake), 0);
        assert_int_equal(s.wake, IMAP_WAKE_NEWS);
    }
    assert_log(&s, "status b 3; list new; ");
    assert_int_equal(imap_listen(im, SHORT_MS, -1, &s.wake), 0);
    assert_int_equal(s.wake, IMAP_WAKE_TIMEOUT);
    assert_usable(&s);
    assert_log(&s, "list gone; ");
    assert_int_equal(imap_listen(im, SHORT_MS, -1, &s.wake), 0);
    assert_int_equal(s.wake, IMAP_WAKE_TIMEOUT);
    assert_usable(&s);
    assert_log(&s, "status half 1; ");
    assert_int_equal(imap_listen(im, LONG_MS, -1, &s.wake), 0);
    assert_int_equal(s.wake, IMAP_WAKE_OVERFLOW);
    assert_usable(&s);
    assert_log(&s, "");
    assert_int_equal(imap_listen(im, LONG_MS, -1, &s.wake), -ECONNRESET);
    assert_non_null(strstr(imap_errmsg(im), "goodbye: [UNAVAILABLE] see you"));
    assert_true(clock_mono_ms() - s.begin < 10000);
    session_end(&s);
}

static void refuse_notify(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_login(s, "NOTIFY");
    imapd_expect(s, "NOTIFY");
    imapd_reply(s, "NO [BADEVENT (MessageNew)] no");
    imapd_expect(s, "NOOP");
    imapd_send(s, "* LIST () \"/\" x\r\n");
    imapd_reply(s, "OK");
    imapd_wait_closed(s);
}

static void test_notify_refused(void **state)
{
    struct session s;
    int fd = eventfd(1, EFD_CLOEXEC);
    (void)state;
    session_begin(&s, refuse_notify, NULL, NULL, -1);
    assert_int_equal(imap_send_notify(s.im, &s.result), 0);
    assert_int_equal(imap_wait(s.im, &s.result), -EIO);
    assert_string_equal(s.result.code, "BADEVENT");
    assert_usable(&s);
    assert_log(&s, "");
    assert_int_equal(imap_listen(s.im, LONG_MS, fd, &s.wake), 0);
    assert_int_equal(s.wake, IMAP_WAKE_FD);
    session_end(&s);
    close(fd);
}

/* It never stops: the wait ends all the same, and NOISE is an error. */
static void talk_without_end(struct imapd *s, void *arg)
{
    const char *line = arg;
    imapd_login(s, "NOTIFY");
    while (imapd_write(s, line, strlen(line)))
        ;
}

static void test_talk_without_end(void **state)
{
    static char status[] = "* STATUS a (MESSAGES 1)\r\n", noise[] = "* OK hello\r\n";
    struct session s;
    (void)state;
    session_begin(&s, talk_without_end, status, NULL, -1);
    imap_set_events(s.im, NULL);
    assert_int_equal(imap_listen(s.im, 100, -1, &s.wake), 0);
    assert_int_equal(s.wake, IMAP_WAKE_NEWS);
    assert_true(clock_mono_ms() - s.begin < 5000);
    session_end(&s);
    session_begin(&s, talk_without_end, noise, NULL, -1);
    assert_int_equal(imap_listen(s.im, LONG_MS, -1, &s.wake), -EPROTO);
    session_end(&s);
}

/* ---- imap_check */

static void answer_once(struct imapd *s, void *arg)
{
    imapd_login(s, "IDLE");
    imapd_expect(s, "NOOP");
    imapd_reply(s, arg);
    imapd_expect(s, "NOOP"); /* and then it is as if the cable had been cut */
    imapd_wait_closed(s);
}

static void test_check(void **state)
{
    static const char *answers[] = {"OK here", "NO busy", "BAD what?"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct session s;
        char answer[16];
        snprintf(answer, sizeof(answer), "%s", answers[i]);
        session_begin(&s, answer_once, answer, NULL, -1);
        s.im->answer_ms = 500;
        assert_int_equal(imap_check(s.im), 0); /* a refusal is an answer, too */
        assert_int_equal(imap_error(s.im), 0);
        assert_int_equal(imap_check(s.im), -ETIMEDOUT);
        assert_int_equal(imap_error(s.im), -ETIMEDOUT);
        assert_int_equal(imap_check(s.im), -ETIMEDOUT);
        session_end(&s);
    }
}

int main(void)
{
    static int yes;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_talk_after_done),
        cmocka_unit_test(test_idle_long),
        cmocka_unit_test(test_idle_woken),
        cmocka_unit_test_prestate(test_idle_woken, &yes),
        cmocka_unit_test(test_idle_interrupted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_notify),
        cmocka_unit_test_prestate(test_notify, &yes),
        cmocka_unit_test(test_notify_refused),
        cmocka_unit_test(test_talk_without_end),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
