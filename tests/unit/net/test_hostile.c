/* Floods: a clean error and no growth, before and after the login. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "live.h"

#define GROWTH_MAX ((size_t)16 << 20)

struct flood {
    const char *what;
    bool login;         /* flood after the login, at the first command; else in the place of: */
    const char *before; /* what comes first, as it is */
    const char *piece;  /* then this, `times` times */
    size_t times;
    const char *after;
    int result; /* of imap_connect, or of the command */
};

/* clang-format off */
static const struct flood floods[] = {
    {"greeting of 100 MB", false, "* OK ", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 1600000, "\r\n", -EPROTO},
    {"greeting with nesting", false, "* OK [X ", "(", 20000, "\r\n", -EPROTO},
    {"greeting with PERMANENTFLAGS", false, "* OK [PERMANENTFLAGS (()] hi\r\n", "", 0, "", -ECONNRESET},
    {"greeting with a literal", false, "* OK {4294967295}\r\n", "x", 100000, "", -EPROTO},
    {"capability without data", false, "* OK hi\r\n1 OK done\r\n", "", 0, "", -ECONNRESET},
    {"capability with nesting", false, "* OK hi\r\n* CAPABILITY ", "(", 15000, "\r\n1 OK done\r\n", -ECONNRESET},
    {"capability of 20,000 parentheses", false, "* OK hi\r\n* CAPABILITY ", "(", 20000, "\r\n1 OK done\r\n", -EPROTO},
    {"untagged data before the login", false, "* OK hi\r\n", "* OK still here\r\n", 2000000, "", -EPROTO},
    {"fetch data before the login", false, "* OK hi\r\n* 1 FETCH (BODY[] {4294967295}\r\n", "x", 100000, "", -EPROTO},

    {"line of 100 MB", true, "* X ", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 1600000, "\r\n", -EPROTO},
    {"2M untagged lines", true, "", "* OK [ALERT] hello\r\n", 2000000, "", -EPROTO},
    {"2M unknown lines", true, "", "* FOO (bar)\r\n", 2000000, "", -EPROTO},
    {"20,000 parentheses", true, "* 1 FETCH (X ", "(", 20000, "\r\n", -EPROTO},
    {"literal of 4 GB", true, "* 1 FETCH (X {4294967295}\r\n", "x", 1000000, "", -EPROTO},
    {"literals of 2 GB cut short", true, "* 1 FETCH (UID 1 BODY[] {2147483648}\r\n",
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 1000000, "", -ECONNRESET},
    {"header of 64 MB", true, "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (X)] {64000000}\r\n",
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 1000000, ")\r\nA1 OK done\r\n", 0},
    {"10 MB of VANISHED", true, "* VANISHED (EARLIER) 1", ",4294967295", 900000, "\r\nA1 OK done\r\n", 0},
    {"50 MB of VANISHED", true, "* VANISHED (EARLIER) 1", ",4294967295", 5000000, "\r\n", -EPROTO},
    {"flags without end", true, "* 1 FETCH (UID 1 FLAGS (", "keyword", 9000, "))\r\nA1 OK done\r\n", 0},
    {"many keywords", true, "* 1 FETCH (UID 1 FLAGS (", " k1 k2 k3", 7000, "))\r\nA1 OK done\r\n", 0},
};
/* clang-format on */

static void play(struct imapd *s, void *arg)
{
    const struct flood *flood = arg;
    static char block[1 << 16];
    size_t len = strlen(flood->piece), in_block = len ? sizeof(block) / len : 0;
    for (size_t i = 0; i < in_block; i++)
        memcpy(block + i * len, flood->piece, len);
    if (flood->login) {
        imapd_login(s, "IDLE");
        imapd_expect(s, "NOOP");
    }
    imapd_write(s, flood->before, strlen(flood->before));
    for (size_t left = flood->times; left > 0;) {
        size_t n = left < in_block ? left : in_block;
        if (!imapd_write(s, block, n * len))
            break;
        left -= n;
    }
    imapd_write(s, flood->after, strlen(flood->after));
    if (flood->result != -ECONNRESET)
        imapd_wait_closed(s);
}

static void test_floods(void **state)
{
    struct imap *im = NULL;
    struct errtext err = {""};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        struct flood flood = floods[i];
        struct imapd *server = imapd_start(play, &flood, NULL);
        size_t before = live_memory();
        int r = live_connect(server, &im, &err);
        if (flood.login) {
            struct imap_result result;
            assert_int_equal(r, 0);
            assert_int_equal(imap_send_noop(im, &result), 0);
            r = imap_wait(im, &result);
            err_set(&err, 0, "%s", imap_errmsg(im));
        }
        size_t after = live_memory();
        imap_freep(&im);
        im = NULL;
        const char *failure = imapd_stop(server);
        if (r != flood.result)
            fail_msg("%s: %d %s", flood.what, r, err.text);
        if (after > before && after - before > GROWTH_MAX)
            fail_msg("%s: grew by %zu octets", flood.what, after - before);
        assert_string_equal(failure, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_floods)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
