/* tests of src/core/backoff.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "backoff.h"

#define MINUTE 60000

static void test_decide(void **state)
{
    (void)state;
    /* The shortest and the longest wait that chance allows. */
    static const struct {
        struct backoff_cause cause;
        int64_t least, most;
        unsigned connections;
        bool refused, asked;
    } rows[] = {
        /* the network */
        {{-ENETUNREACH, "", "", 0, 1, 0}, 2500, 5000, 0, false, false},
        {{-ENETUNREACH, "", "", 0, 2, 0}, 5000, 10000, 0, false, false},
        {{-ECONNREFUSED, "", "", 0, 5, 0}, 40000, 80000, 0, false, false},
        {{-ETIMEDOUT, "", "", 0, 9, 0}, 15 * MINUTE / 2, 15 * MINUTE, 0, false, false},
        {{-ECONNRESET, "", "", 0, 4000000000, 0}, 15 * MINUTE / 2, 15 * MINUTE, 0, false, false},
        {{-EKEYREJECTED, "", "", 0, 1, 0}, 2500, 5000, 0, false, false},
        {{-EPROTO, "", "", 0, 1, 0}, 2500, 5000, 0, false, false},
        /* one more is not taken: what works goes on */
        {{-ECONNREFUSED, "", "", 0, 1, 3}, 2500, 5000, 3, false, false},
        {{-EAGAIN, "UNAVAILABLE", "busy", 0, 1, 2}, 2500, 5000, 2, false, false},
        {{-EAGAIN, "UNAVAILABLE", "busy", 0, 3, 0}, 10000, 20000, 1, false, false},
        {{-EAGAIN, "INUSE", "locked", 0, 1, 0}, 2500, 5000, 1, false, false},
        {{-EAGAIN, "LIMIT", "rate", 0, 20, 0}, 15 * MINUTE / 2, 15 * MINUTE, 1, false, false},
        {{-ECONNRESET, "", "Too many simultaneous connections", 0, 1, 0},
         2500,
         5000,
         1,
         false,
         false},
        {{-EKEYEXPIRED, "ALERT", "Too many simultaneous connections. (Failure)", 0, 1, 4},
         2500,
         5000,
         4,
         false,
         false},
        {{-EKEYEXPIRED, "", "Maximum number of connections from user+IP exceeded", 0, 1, 0},
         2500,
         5000,
         1,
         false,
         false},
        /* the credential */
        {{-EKEYEXPIRED, "AUTHENTICATIONFAILED", "no", 0, 1, 0},
         15 * MINUTE / 2,
         15 * MINUTE,
         0,
         true,
         false},
        {{-EKEYEXPIRED, "EXPIRED", "no", 0, 7, 0}, 15 * MINUTE / 2, 15 * MINUTE, 0, true, false},
        {{-EKEYEXPIRED, "AUTHENTICATIONFAILED", "no", 0, 1, 2},
         15 * MINUTE / 2,
         15 * MINUTE,
         2,
         true,
         false},
        {{-EKEYEXPIRED, "", "login failed", 0, 1, 0}, MINUTE / 2, MINUTE, 0, true, false},
        {{-EKEYEXPIRED, "", "login failed", 0, 3, 0}, 2 * MINUTE, 4 * MINUTE, 0, true, false},
        {{-EKEYEXPIRED, "", "login failed", 0, 30, 0},
         15 * MINUTE / 2,
         15 * MINUTE,
         0,
         true,
         false},
        /* trouble over there */
        {{-EKEYEXPIRED, "CONTACTADMIN", "broken", 0, 1, 0},
         15 * MINUTE / 2,
         15 * MINUTE,
         0,
         false,
         false},
        {{-EIO, "SERVERBUG", "", 0, 1, 0}, 15 * MINUTE / 2, 15 * MINUTE, 0, false, false},
        {{-EKEYEXPIRED, "ALERT", "Please log in via your web browser", 0, 1, 0},
         15 * MINUTE / 2,
         15 * MINUTE,
         0,
         false,
         false},
        {{-EDQUOT, "OVERQUOTA", "Account exceeded command or bandwidth limits", 0, 1, 0},
         15 * MINUTE / 2,
         15 * MINUTE,
         0,
         false,
         false},
        /* the server names a time */
        {{-EPROTO, "", "Suggested", 299961, 1, 0}, 299961, 329957, 0, false, true},
        {{-EAGAIN, "UNAVAILABLE", "Suggested", 100, 1, 0}, 2500, 5000, 1, false, true},
        {{-EAGAIN, "", "Suggested", 999999999999, 1, 0}, 6 * 3600000, 6 * 3960000, 1, false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t shortest = INT64_MAX, longest = 0;
        for (uint32_t random = 0; random < 3000000000u; random += 999983) {
            struct backoff b;
            backoff_decide(&rows[i].cause, random, &b);
            if (b.wait_ms < rows[i].least || b.wait_ms > rows[i].most ||
                b.connections != rows[i].connections || b.refused != rows[i].refused ||
                b.asked != rows[i].asked)
                fail_msg("row %zu: wait %lld, %u connections, refused %d, asked %d", i,
                         (long long)b.wait_ms, b.connections, b.refused, b.asked);
            shortest = b.wait_ms < shortest ? b.wait_ms : shortest;
            longest = b.wait_ms > longest ? b.wait_ms : longest;
        }
        /* Jitter is there, and uses the room it has. */
        assert_true(longest - shortest > (rows[i].most - rows[i].least) * 8 / 10);
    }
}

static void test_pause(void **state)
{
    (void)state;
    static const struct {
        struct backoff_cause cause;
        int64_t least, most;
    } rows[] = {
        {{-ENOENT, "NONEXISTENT", "no", 0, 1, 0}, 0, 0},
        {{-EAGAIN, "UNAVAILABLE", "this mailbox", 0, 1, 0}, 0, 0},
        {{-EAGAIN, "INUSE", "locked", 0, 1, 0}, 0, 0},
        {{-EIO, "SERVERBUG", "", 0, 1, 0}, 0, 0},
        {{-EAGAIN, "LIMIT", "too fast", 0, 1, 0}, 2500, 5000},
        {{-EAGAIN, "LIMIT", "too fast", 0, 3, 0}, 10000, 20000},
        {{-EDQUOT, "OVERQUOTA", "bandwidth", 0, 1, 0}, 15 * MINUTE / 2, 15 * MINUTE},
        {{-EPROTO, "", "throttled", 20000, 1, 0}, 20000, 22000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (uint32_t random = 0; random < 3000000000u; random += 99999989) {
            int64_t wait = backoff_pause(&rows[i].cause, random);
            if (wait < rows[i].least || wait > rows[i].most)
                fail_msg("row %zu: %lld", i, (long long)wait);
        }
    }
}

static void test_too_many(void **state)
{
    (void)state;
    assert_true(backoff_too_many("Too many connections"));
    assert_true(backoff_too_many("User has reached the connection LIMIT"));
    assert_true(backoff_too_many("maximum number of users"));
    assert_false(backoff_too_many(""));
    assert_false(backoff_too_many("the connection was closed"));
    assert_false(backoff_too_many("too many messages"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
