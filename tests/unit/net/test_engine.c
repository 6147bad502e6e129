/* The engine behind the login on a real socket: pipelining, time-outs, interruption, deadlock. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "live.h"

struct seen {
    unsigned fetches, uids;
    uint64_t octets;
    uint32_t last_uid;
};

static void on_fetch(void *ctx, const struct imap_fetch *fetch)
{
    struct seen *seen = ctx;
    seen->fetches++;
    seen->last_uid = fetch->uid;
}

static void on_data(void *ctx, const void *data, size_t n)
{
    struct seen *seen = ctx;
    (void)data;
    seen->octets += n;
}

static struct imap *connect_to(const struct imapd *server, struct seen *seen)
{
    struct imap *im = NULL;
    struct errtext err = {""};
    struct imap_events events = {.ctx = seen, .fetch = on_fetch, .body_data = on_data};
    if (live_connect(server, &im, &err) < 0)
        fail_msg("%s", err.text);
    imap_set_events(im, &events);
    return im;
}

static void stop(struct imap *im, struct imapd *server)
{
    imap_free(im);
    const char *failure = imapd_stop(server);
    assert_string_equal(failure, "");
}

/* ---- pipelining */

static void answer_fetches(struct imapd *s, void *arg)
{
    const unsigned *n = arg;
    char tags[256][16];
    imapd_login(s, "CONDSTORE");
    for (unsigned i = 0; i < *n; i++) { /* all are here before the first answer */
        imapd_expect(s, "UID FETCH");
        snprintf(tags[i], sizeof(tags[i]), "%.*s", (int)strcspn(imapd_last(s), " "), imapd_last(s));
    }
    for (unsigned i = 0; i < *n; i++)
        imapd_send(s, "* %u FETCH (UID %u BODY[] {6}\r\nhello\n)\r\n%s OK done\r\n", i + 1, i + 1,
                   tags[i]);
    imapd_expect(s, "LOGOUT");
    imapd_send(s, "* BYE see you\r\n");
    imapd_reply(s, "OK bye");
}

static void test_pipeline(void **state)
{
    unsigned n = 200;
    struct imapd_options options = {.bytewise = *state != NULL};
    struct imapd *server = imapd_start(answer_fetches, &n, &options);
    struct seen seen = {0};
    struct imap *im = connect_to(server, &seen);
    static struct imap_result results[200];
    struct imap_result logout;
    for (unsigned i = 0; i < n; i++) {
        char set[16];
        snprintf(set, sizeof(set), "%u", i + 1);
        assert_int_equal(imap_send_fetch(im, set, IMAP_ITEM_UID | IMAP_ITEM_BODY, &results[i]), 0);
    }
    assert_int_equal(imap_wait(im, &results[0]), 0);
    assert_int_equal(imap_wait(im, &results[n - 1]), 0);
    assert_int_equal(seen.fetches, n);
    assert_int_equal(seen.octets, 6 * n);
    assert_int_equal(seen.last_uid, n);
    for (unsigned i = 0; i < n; i++)
        assert_true(results[i].done && results[i].status == 0);
    struct imap_counters counters;
    imap_counters(im, &counters);
    assert_int_equal(counters.commands, n);
    assert_true(counters.bytes_down > 30 * n && counters.bytes_up > 30 * n);
    assert_int_equal(imap_send_logout(im, &logout), 0);
    assert_int_equal(imap_wait(im, &logout), 0);
    stop(im, server);
}

/* Both sides have more to say than the buffers between them hold: the server reads no command
 * before it has written its answer to the one before. */
#define DEADLOCK_COMMANDS 3000
#define DEADLOCK_ANSWER   20000

static void answer_at_length(struct imapd *s, void *arg)
{
    static char body[DEADLOCK_ANSWER];
    (void)arg;
    memset(body, 'x', sizeof(body));
    imapd_login(s, "IDLE");
    for (unsigned i = 1; i <= DEADLOCK_COMMANDS; i++) {
        imapd_send(s, "* %u FETCH (UID %u BODY[] {%u}\r\n", i, i, DEADLOCK_ANSWER);
        imapd_write(s, body, sizeof(body));
        imapd_send(s, ")\r\n");
        imapd_expect(s, "UID FETCH");
        imapd_reply(s, "OK done");
    }
    imapd_wait_closed(s);
}

static void test_deadlock(void **state)
{
    struct imapd *server = imapd_start(answer_at_length, NULL, NULL);
    static struct imap_result results[DEADLOCK_COMMANDS];
    static char set[7000];
    struct seen seen = {0};
    struct imap *im = connect_to(server, &seen);
    (void)state;
    memset(set, '1', sizeof(set) - 1); /* 21 MB of commands: more than is kept */
    unsigned n = 0;
    int r = 0;
    while (n < DEADLOCK_COMMANDS &&
           (r = imap_send_fetch(im, set, IMAP_ITEM_BODY, &results[n])) == 0)
        n++;
    assert_int_equal(r, -ENOBUFS);
    assert_true(n > 2000);
    while (n < DEADLOCK_COMMANDS) {
        assert_int_equal(imap_wait(im, &results[n - 2000]), 0);
        if (imap_send_fetch(im, set, IMAP_ITEM_BODY, &results[n]) == 0)
            n++;
        else
            assert_int_equal(imap_wait(im, &results[n - 1]), 0);
    }
    assert_int_equal(imap_wait(im, &results[n - 1]), 0);
    assert_int_equal(seen.octets, (uint64_t)n * DEADLOCK_ANSWER);
    stop(im, server);
}

/* ---- time-outs, interruption, ends */

static void login_and_stall(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_login(s, "IDLE");
    imapd_expect(s, "NOOP");
    imapd_send(s, "* 5 EXI");
    imapd_wait_closed(s);
}

static void test_timeout(void **state)
{
    struct imapd *server = imapd_start(login_and_stall, NULL, NULL);
    struct imap_settings settings = live_settings(server);
    struct imap *im = NULL;
    struct imap_result results[2];
    struct errtext err;
    (void)state;
    settings.timeout_ms = 200;
    assert_int_equal(imap_global_init(), 0);
    assert_int_equal(imap_connect(&settings, &im, &err), 0);
    assert_int_equal(imap_send_noop(im, &results[0]), 0);
    assert_int_equal(imap_send_noop(im, &results[1]), 0);
    int64_t begin = clock_mono_ms();
    assert_int_equal(imap_wait(im, &results[0]), -ETIMEDOUT);
    assert_true(clock_mono_ms() - begin >= 200);
    assert_true(results[1].done && results[1].status == -ETIMEDOUT); /* sticky */
    assert_int_equal(imap_error(im), -ETIMEDOUT);
    assert_non_null(strstr(imap_errmsg(im), "no answer for 0.2 seconds"));
    assert_int_equal(imap_send_noop(im, &results[0]), -ETIMEDOUT);
    assert_int_equal(imap_wait(im, &results[0]), -ETIMEDOUT);
    stop(im, server);
}

static void *interrupt(void *arg)
{
    usleep(100000);
    if (eventfd_write(*(int *)arg, 1) < 0)
        abort();
    return NULL;
}

static void test_interrupt(void **state)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    struct imapd *server = imapd_start(login_and_stall, NULL, NULL);
    struct imap_settings settings = live_settings(server);
    struct imap *im = NULL;
    struct imap_result result;
    struct errtext err;
    pthread_t thread;
    (void)state;
    settings.interrupt_fd = fd;
    settings.timeout_ms = 30000;
    assert_int_equal(imap_global_init(), 0);
    assert_int_equal(imap_connect(&settings, &im, &err), 0);
    assert_int_equal(imap_send_noop(im, &result), 0);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &fd), 0);
    int64_t begin = clock_mono_ms();
    assert_int_equal(imap_wait(im, &result), -ECANCELED);
    assert_true(clock_mono_ms() - begin < 10000);
    pthread_join(thread, NULL);
    stop(im, server);
    /* Still readable: no new connection comes about. */
    settings.port = 9;
    settings.host = "no-such-host.invalid";
    assert_int_equal(imap_connect(&settings, &im, &err), -ECANCELED);
    close(fd);
}

static void talk_without_end(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_login(s, "IDLE");
    while (imapd_write(s, "* 1 FETCH (FLAGS ())\r\n* 1 FETCH (FLAGS ())\r\n", 44))
        ;
}

/* A server that never lets us wait must not keep us from noticing. */
static void test_interrupt_while_busy(void **state)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    struct imapd *server = imapd_start(talk_without_end, NULL, NULL);
    struct imap_settings settings = live_settings(server);
    struct imap *im = NULL;
    struct imap_result result;
    struct errtext err;
    pthread_t thread;
    (void)state;
    settings.interrupt_fd = fd;
    assert_int_equal(imap_global_init(), 0);
    assert_int_equal(imap_connect(&settings, &im, &err), 0);
    assert_int_equal(imap_send_noop(im, &result), 0);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &fd), 0);
    assert_int_equal(imap_wait(im, &result), -ECANCELED);
    pthread_join(thread, NULL);
    stop(im, server);
    close(fd);
}

static void say_bye(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_login(s, "IDLE");
    imapd_send(s, "* BYE [UNAVAILABLE] idle for too \001long\r\n");
}

/* The server has gone before we write: its BYE is what the user reads, and there is no SIGPIPE. */
static void test_bye(void **state)
{
    struct imapd *server = imapd_start(say_bye, NULL, NULL);
    struct seen seen = {0};
    struct imap *im = connect_to(server, &seen);
    static struct imap_result results[100];
    (void)state;
    usleep(50000);
    for (size_t i = 0; i < ARRAY_LEN(results); i++)
        assert_int_equal(imap_send_noop(im, &results[i]), 0);
    assert_int_equal(imap_wait(im, &results[0]), -ECONNRESET);
    assert_non_null(strstr(imap_errmsg(im), "goodbye: [UNAVAILABLE] idle for too ?long"));
    assert_int_equal(results[99].status, -ECONNRESET);
    stop(im, server);
}

static void close_at_once(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_login(s, "IDLE");
}

static void test_sigpipe(void **state)
{
    struct imapd_options options = {.cert = live_cert("good"), .tls = *state != NULL};
    CLEANUP_FREE char *ca = str_printf("%s/ca.pem", live_pki());
    struct imapd *server = imapd_start(close_at_once, NULL, &options);
    struct imap_settings settings = live_settings(server);
    struct imap *im = NULL;
    struct imap_result result;
    struct errtext err = {""};
    settings.tls = options.tls ? IMAP_TLS_IMPLICIT : IMAP_TLS_NONE;
    settings.cafile = ca;
    assert_int_equal(imap_global_init(), 0);
    assert_int_equal(imap_connect(&settings, &im, &err), 0);
    usleep(50000);
    for (int i = 0; i < 3; i++) { /* the second write would meet a reset socket */
        assert_int_equal(imap_send_noop(im, &result), i == 0 ? 0 : -ECONNRESET);
        assert_int_equal(imap_wait(im, &result), -ECONNRESET);
    }
    stop(im, server);
}

static void test_never_sent(void **state)
{
    struct imapd *server = imapd_start(close_at_once, NULL, NULL);
    struct imap *im = connect_to(server, NULL);
    struct imap_result result = {0};
    (void)state;
    assert_int_equal(imap_wait(im, &result), -EINVAL);
    stop(im, server);
}

int main(void)
{
    static int yes;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test_prestate(test_pipeline, &yes),
        cmocka_unit_test(test_deadlock),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_interrupt_while_busy),
        cmocka_unit_test(test_bye),
        cmocka_unit_test(test_sigpipe),
        cmocka_unit_test_prestate(test_sigpipe, &yes),
        cmocka_unit_test(test_never_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
