/* From the socket to AUTHENTICATED: TLS, STARTTLS, capabilities, mechanisms, refusals. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "live.h"

/* ---- certificates */

static void greet_and_login(struct imapd *server, void *arg)
{
    (void)arg;
    imapd_login(server, "IDLE");
    imapd_wait_closed(server);
}

static void wait_closed(struct imapd *server, void *arg)
{
    (void)arg;
    imapd_wait_closed(server);
}

static void test_certificates(void **state)
{
    static const struct {
        const char *cert, *ca, *host;
        int result;
        const char *text;
    } table[] = {
        {"good", "ca", "127.0.0.1", 0, ""},
        {"good", "ca", "localhost", 0, ""},
        {"good", "ca", "LOCALHOST", 0, ""},
        {"expired", "ca", "127.0.0.1", -EKEYREJECTED, "it has expired"},
        {"future", "ca", "127.0.0.1", -EKEYREJECTED, "not yet valid"},
        {"wronghost", "ca", "127.0.0.1", -EKEYREJECTED, "not for 127.0.0.1"},
        {"wronghost", "ca", "localhost", -EKEYREJECTED, "not for localhost"},
        {"cnonly", "ca", "localhost", -EKEYREJECTED, "not for localhost"},
        {"selfsigned", "ca", "127.0.0.1", -EKEYREJECTED, "self-signed"},
        {"good", "otherca", "127.0.0.1", -EKEYREJECTED, "not signed by a trusted authority"},
        {"good", "missing", "127.0.0.1", -EKEYREJECTED, "cannot read the authorities"},
        {"good", NULL, "127.0.0.1", -EKEYREJECTED, "not signed by a trusted authority"},
    };
    (void)state;
    assert_int_equal(imap_global_init(), 0);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct imapd_options options = {.cert = live_cert(table[i].cert), .tls = true};
        struct imapd *server =
            imapd_start(table[i].result ? wait_closed : greet_and_login, NULL, &options);
        struct imap_settings settings = live_settings(server);
        CLEANUP_FREE char *ca =
            table[i].ca ? str_printf("%s/%s.pem", live_pki(), table[i].ca) : NULL;
        settings.host = table[i].host;
        settings.tls = IMAP_TLS_IMPLICIT;
        settings.cafile = ca;
        struct imap *im = NULL;
        struct errtext err = {""};
        int r = imap_connect(&settings, &im, &err);
        if (r != table[i].result || !strstr(err.text, table[i].text))
            fail_msg("%s: %d %s", table[i].cert, r, err.text);
        if (r == 0)
            assert_int_equal(imap_caps(im), IMAP_CAP_IDLE);
        imap_free(im);
        const char *failure = imapd_stop(server);
        assert_string_equal(failure, "");
    }
}

/* ---- scripts before the login: what comes of them in each mode */

static void expect_caps(struct imapd *s, const char *caps)
{
    imapd_expect(s, "CAPABILITY");
    imapd_send(s, "* CAPABILITY IMAP4rev1 %s\r\n", caps);
    imapd_reply(s, "OK done");
}

static void starttls_good(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=LOGIN NOTIFY] plain\r\n");
    imapd_expect(s, "STARTTLS");
    imapd_reply(s, "OK go");
    imapd_starttls(s);
    expect_caps(s, "AUTH=PLAIN IDLE"); /* asked again: nothing from before counts */
    imapd_expect(s, "AUTHENTICATE PLAIN");
    imapd_send(s, "+ \r\n");
    (void)imapd_line(s);
    imapd_send(s, "3 OK in\r\n");
    expect_caps(s, "UNSELECT");
    imapd_wait_closed(s);
}

static void starttls_not_offered(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK hi\r\n");
    expect_caps(s, "AUTH=PLAIN");
    imapd_wait_closed(s);
}

static void starttls_refused(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
    imapd_expect(s, "STARTTLS");
    imapd_reply(s, "NO secret-words");
    imapd_wait_closed(s);
}

static void starttls_injected(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
    imapd_expect(s, "STARTTLS");
    imapd_reply(s, "OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN");
    imapd_wait_closed(s);
}

static void starttls_plain_after(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
    imapd_expect(s, "STARTTLS");
    imapd_reply(s, "OK go");
    imapd_send(s, "* OK no TLS here\r\n");
    imapd_wait_closed(s);
}

static void preauth(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* PREAUTH welcome\r\n");
    imapd_wait_closed(s);
}

static void bye(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* BYE too \033many users\r\n");
}

static void silent_close(struct imapd *s, void *arg)
{
    (void)s;
    (void)arg;
}

static void garbage(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "220 mail.example ESMTP\r\n");
    imapd_wait_closed(s);
}

static void stall(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK [CAPABILITY IMAP");
    imapd_wait_closed(s);
}

static void refuse_login(struct imapd *s, const char *answer)
{
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n");
    imapd_expect(s, "AUTHENTICATE PLAIN");
    imapd_send(s, "+ \r\n");
    (void)imapd_line(s);
    imapd_send(s, "1 %s\r\n", answer);
    imapd_wait_closed(s);
}

static void wrong_password(struct imapd *s, void *arg)
{
    (void)arg;
    refuse_login(s, "NO [AUTHENTICATIONFAILED] bad pass\007word");
}

static void unavailable(struct imapd *s, void *arg)
{
    (void)arg;
    refuse_login(s, "NO [UNAVAILABLE] later");
}

static void logindisabled(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=GSSAPI] hi\r\n");
    imapd_wait_closed(s);
}

static void scram_without_proof(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=PLAIN] hi\r\n");
    imapd_expect(s, "AUTHENTICATE SCRAM-SHA-256");
    imapd_reply(s, "OK come in");
    imapd_wait_closed(s);
}

static void endless_challenges(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n");
    imapd_expect(s, "AUTHENTICATE PLAIN");
    for (int i = 0; i < 20; i++)
        imapd_send(s, "+ \r\n");
    imapd_wait_closed(s);
}

static void test_refusals(void **state)
{
    static const struct {
        imapd_script *script;
        enum imap_tls tls;
        int result;
        const char *text;
    } table[] = {
        {starttls_good, IMAP_TLS_STARTTLS, 0, ""},
        {starttls_not_offered, IMAP_TLS_STARTTLS, -EKEYREJECTED, "does not offer STARTTLS"},
        {starttls_refused, IMAP_TLS_STARTTLS, -EKEYREJECTED, "STARTTLS failed"},
        {starttls_injected, IMAP_TLS_STARTTLS, -EKEYREJECTED, "TLS"},
        {starttls_plain_after, IMAP_TLS_STARTTLS, -EKEYREJECTED, "TLS"},
        {preauth, IMAP_TLS_STARTTLS, -EKEYREJECTED, "PREAUTH"},
        {preauth, IMAP_TLS_NONE, -EPROTO, "PREAUTH"},
        {bye, IMAP_TLS_NONE, -ECONNRESET, "goodbye: too ?many users"},
        {bye, IMAP_TLS_STARTTLS, -ECONNRESET, "not shown"},
        {silent_close, IMAP_TLS_NONE, -ECONNRESET, "closed"},
        {silent_close, IMAP_TLS_IMPLICIT, -ECONNRESET, "closed"},
        {garbage, IMAP_TLS_NONE, -EPROTO, "no IMAP server"},
        {garbage, IMAP_TLS_STARTTLS, -EPROTO, "no IMAP server"},
        {garbage, IMAP_TLS_IMPLICIT, -EKEYREJECTED, "TLS handshake failed"},
        {stall, IMAP_TLS_NONE, -ETIMEDOUT, "no answer for 0.3 seconds"},
        {wrong_password, IMAP_TLS_NONE, -EKEYEXPIRED,
         "login refused (plain): bad pass?word [AUTHENTICATIONFAILED]"},
        {unavailable, IMAP_TLS_NONE, -EAGAIN, "later [UNAVAILABLE]"},
        {logindisabled, IMAP_TLS_NONE, -EKEYEXPIRED, "LOGINDISABLED"},
        {scram_without_proof, IMAP_TLS_NONE, -EKEYEXPIRED, "did not prove"},
        {endless_challenges, IMAP_TLS_NONE, -EPROTO, "does not stop asking"},
    };
    (void)state;
    assert_int_equal(imap_global_init(), 0);
    CLEANUP_FREE char *ca = str_printf("%s/ca.pem", live_pki());
    for (size_t i = 0; i < 2 * ARRAY_LEN(table); i++) { /* then byte by byte */
        size_t n = i / 2;
        struct imapd_options options = {.cert = live_cert("good"), .bytewise = i % 2};
        struct imapd *server = imapd_start(table[n].script, NULL, &options);
        struct imap_settings settings = live_settings(server);
        settings.tls = table[n].tls;
        settings.cafile = ca;
        settings.timeout_ms = table[n].result == -ETIMEDOUT ? 300 : 5000;
        struct imap *im = NULL;
        struct errtext err = {""};
        int r = imap_connect(&settings, &im, &err);
        if (r != table[n].result || !strstr(err.text, table[n].text) ||
            strstr(err.text, "secret-words"))
            fail_msg("script %zu: %d %s", n, r, err.text);
        if (r < 0)
            assert_memory_equal(err.text, "127.0.0.1:", 10);
        imap_free(im);
        const char *failure = imapd_stop(server);
        assert_string_equal(failure, "");
    }
}

/* ---- mechanisms on the wire */

struct exchange {
    const char *caps, *auth, *user, *secret;
    const char *lines[4]; /* what the client must say; `+` is sent between */
    const char *mechanism;
};

static void play(struct imapd *s, void *arg)
{
    const struct exchange *e = arg;
    char tag[64] = "";
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 %s] hi\r\n", e->caps);
    for (size_t i = 0; i < 4 && e->lines[i]; i++) {
        if (i > 0)
            imapd_send(s, "+ \r\n");
        const char *line = imapd_line(s);
        if (i == 0)
            snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(line, " "), line);
        const char *words = i == 0 ? line + strlen(tag) + (*line != '\0') : line;
        if (strcmp(words, e->lines[i]) != 0)
            imapd_fail(s, "got \"%.200s\"", words);
    }
    imapd_send(s, "%s OK [CAPABILITY IMAP4rev1] in\r\n", tag);
    imapd_wait_closed(s);
}

static void test_mechanisms(void **state)
{
    static const struct exchange table[] = {
        {"AUTH=LOGIN AUTH=PLAIN", NULL, "u", "p", {"AUTHENTICATE PLAIN", "AHUAcA=="}, "plain"},
        {"", NULL, "u", "p", {"LOGIN \"u\" \"p\""}, "login"},
        {"", "login", "a\"b", "c\\d", {"LOGIN \"a\\\"b\" \"c\\\\d\""}, "login"},
        {"", "login", "u", "w\303\266", {"LOGIN {1}", "u {3}", "w\303\266"}, "login"},
        {"AUTH=OAUTHBEARER AUTH=XOAUTH2 LOGINDISABLED",
         "oauthbearer",
         "a,b=c",
         "tok",
         {"AUTHENTICATE OAUTHBEARER", NULL},
         "oauthbearer"},
        {"AUTH=XOAUTH2",
         "xoauth2",
         "u",
         "tok",
         {"AUTHENTICATE XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIHRvawEB"},
         "xoauth2"},
        {"AUTH=PLAIN", "xoauth2,plain", "u", "p", {"AUTHENTICATE PLAIN", "AHUAcA=="}, "plain"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct exchange exchange = table[i];
        struct imapd *server = imapd_start(play, &exchange, NULL);
        struct imap_settings settings = live_settings(server);
        settings.auth = exchange.auth;
        settings.user = exchange.user;
        settings.secret = exchange.secret;
        struct imap *im = NULL;
        struct errtext err = {""};
        assert_int_equal(imap_global_init(), 0);
        int r = imap_connect(&settings, &im, &err);
        if (r == 0)
            assert_string_equal(imap_mechanism(im), exchange.mechanism);
        imap_free(im);
        const char *failure = imapd_stop(server);
        if (r != 0 || *failure)
            fail_msg("%zu: %d %s; %s", i, r, err.text, failure);
    }
}

static void oauth_failure(struct imapd *s, void *arg)
{
    (void)arg;
    imapd_send(s, "* OK [CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER] hi\r\n");
    imapd_expect(s, "AUTHENTICATE OAUTHBEARER");
    imapd_send(s, "+ \r\n");
    imapd_expect(s, "bixhPXVzZXIs"); /* n,a=user, */
    imapd_send(s, "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n");
    imapd_expect(s, "AQ==");
    imapd_send(s, "1 NO [EXPIRED] token\r\n");
    imapd_wait_closed(s);
}

static void test_settings(void **state)
{
    struct imap *im = NULL;
    struct errtext err;
    (void)state;
    struct imapd *server = imapd_start(oauth_failure, NULL, NULL);
    struct imap_settings settings = live_settings(server);
    settings.auth = "oauthbearer";
    assert_int_equal(imap_connect(&settings, &im, &err), -EKEYEXPIRED);
    assert_non_null(strstr(err.text, "[EXPIRED]"));
    assert_null(strstr(err.text, "secret"));
    const char *failure = imapd_stop(server);
    assert_string_equal(failure, "");

    server = imapd_start(greet_and_login, NULL, NULL);
    settings = live_settings(server);
    settings.auth = "gssapi";
    assert_int_equal(imap_connect(&settings, &im, &err), -ENOTSUP);
    (void)imapd_stop(server);

    server = imapd_start(wait_closed, NULL, NULL);
    settings = live_settings(server);
    settings.secret = "a\r\n2 DELETE INBOX";
    assert_int_equal(imap_connect(&settings, &im, &err), -EKEYEXPIRED);
    (void)imapd_stop(server);
    assert_null(im);
}

/* ---- what the server said when it refused */

static void say(struct imapd *s, void *arg)
{
    const char *const *lines = arg; /* greeting; NULL or the answer to the login */
    imapd_send(s, "%s\r\n", lines[0]);
    if (lines[1]) {
        imapd_expect(s, "AUTHENTICATE PLAIN");
        imapd_send(s, "+ \r\n");
        (void)imapd_line(s);
        imapd_send(s, "%s\r\n", lines[1]);
    }
    imapd_wait_closed(s);
}

static void test_failures(void **state)
{
#define HELLO "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello"
    static const struct {
        const char *lines[2];
        int result;
        const char *code, *text;
        uint64_t backoff;
    } table[] = {
        {{"* BYE too many connections", NULL}, -ECONNRESET, "", "too many connections", 0},
        {{"* BYE [UNAVAILABLE] later", NULL}, -ECONNRESET, "UNAVAILABLE", "later", 0},
        {{HELLO, "1 NO [unavailable] busy"}, -EAGAIN, "UNAVAILABLE", "busy", 0},
        {{HELLO, "1 NO [AUTHENTICATIONFAILED] no"}, -EKEYEXPIRED, "AUTHENTICATIONFAILED", "no", 0},
        {{HELLO, "1 BAD throttled. Suggested Backoff Time: 299961 milliseconds"},
         -EKEYEXPIRED,
         "",
         "throttled. Suggested Backoff Time: 299961 milliseconds",
         299961},
        {{HELLO, "* BYE [ALERT] moved"}, -ECONNRESET, "ALERT", "moved", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct imap_failure failure = {.backoff_ms = 7};
        struct imap *im = NULL;
        struct errtext err;
        const char *lines[2] = {table[i].lines[0], table[i].lines[1]};
        struct imapd *server = imapd_start(say, lines, NULL);
        struct imap_settings settings = live_settings(server);
        settings.failure = &failure;
        int r = imap_connect(&settings, &im, &err);
        const char *wrong = imapd_stop(server);
        if (r != table[i].result || *wrong)
            fail_msg("%zu: %d %s; %s", i, r, err.text, wrong);
        assert_string_equal(failure.code, table[i].code);
        assert_string_equal(failure.text, table[i].text);
        assert_int_equal(failure.backoff_ms, table[i].backoff);
    }
}

/* ---- addresses */

static void test_addresses(void **state)
{
    struct imap_settings settings = {.host = "192.0.2.1",
                                     .port = 143,
                                     .tls = IMAP_TLS_NONE,
                                     .user = "user",
                                     .secret = "secret",
                                     .timeout_ms = 1000,
                                     .interrupt_fd = -1};
    struct imap *im = NULL;
    struct errtext err;
    (void)state;
    assert_int_equal(imap_connect(&settings, &im, &err), -EKEYREJECTED);
    assert_non_null(strstr(err.text, "not loopback"));
    settings.host = "[2001:db8::1]";
    assert_int_equal(imap_connect(&settings, &im, &err), -EKEYREJECTED);
    assert_memory_equal(err.text, "[2001:db8::1]:143: ", 19);
    settings.host = "no-such-host.invalid";
    assert_int_equal(imap_connect(&settings, &im, &err), -ENETUNREACH);
    struct imapd *server = imapd_start(silent_close, NULL, NULL);
    settings.host = "127.0.0.1";
    settings.port = imapd_port(server);
    (void)imapd_stop(server);
    assert_int_equal(imap_connect(&settings, &im, &err), -ECONNREFUSED);
    settings.host = "[::1]";
    int r = imap_connect(&settings, &im, &err);
    assert_true(r == -ECONNREFUSED || r == -ENETUNREACH); /* a machine without IPv6 */
    assert_null(im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificates), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_mechanisms),   cmocka_unit_test(test_settings),
        cmocka_unit_test(test_failures),     cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
