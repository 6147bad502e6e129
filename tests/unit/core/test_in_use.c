/* tests of src/core/in_use.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "in_use.h"

#define INBOX 1

static bool watched(const struct in_use_watch *watches, unsigned n, uint64_t ino)
{
    for (unsigned i = 0; i < n; i++)
        if (watches[i].ino == ino)
            return true;
    return false;
}

static void test_last_used_are_watched(void **state)
{
    (void)state;
    struct in_use in_use = {0};
    struct in_use_watch watches[2] = {0};
    int64_t now = 1000000;
    assert_int_equal(in_use_assign(&in_use, INBOX, now, watches, 2), 0);
    in_use_note(&in_use, INBOX, now);
    assert_int_equal(in_use_assign(&in_use, INBOX, now, watches, 2), 0); /* it is watched anyway */
    in_use_note(&in_use, 10, now);
    assert_int_equal(in_use_assign(&in_use, INBOX, now, watches, 2), 1);
    in_use_note(&in_use, 11, now + 1);
    assert_int_equal(in_use_assign(&in_use, INBOX, now + 1, watches, 2), 1);
    assert_true(watched(watches, 2, 10) && watched(watches, 2, 11));
    assert_int_equal(in_use_assign(&in_use, INBOX, now + 2, watches, 2), 0);

    /* A third one: not before a watch has been held for a while, then in place of the oldest. */
    in_use_note(&in_use, 12, now + 100);
    assert_int_equal(in_use_assign(&in_use, INBOX, now + 100, watches, 2), 0);
    assert_int_equal(in_use_assign(&in_use, INBOX, now + IN_USE_HOLD_MS + 1, watches, 2), 1);
    assert_true(watched(watches, 2, 11) && watched(watches, 2, 12));
    /* Used again, it does not move. */
    now += IN_USE_HOLD_MS + 2;
    in_use_note(&in_use, 11, now);
    in_use_note(&in_use, 12, now);
    assert_int_equal(in_use_assign(&in_use, INBOX, now + IN_USE_HOLD_MS, watches, 2), 0);
    /* Nobody comes: they are let go. */
    now += IN_USE_MS;
    assert_int_equal(in_use_assign(&in_use, INBOX, now, watches, 2), 2);
    assert_int_equal(watches[0].ino | watches[1].ino, 0);
    assert_int_equal(in_use_assign(&in_use, INBOX, now, watches, 0), 0);
}

/* find(1) over a thousand folders: the watches do not follow it. */
static void test_many(void **state)
{
    (void)state;
    struct in_use in_use = {0};
    struct in_use_watch watches[3] = {0};
    unsigned changed = 0;
    int64_t now = 5000;
    for (uint64_t ino = 100; ino < 1100; ino++) {
        in_use_note(&in_use, ino, now += 10);
        changed += in_use_assign(&in_use, INBOX, now, watches, 3);
    }
    assert_true(changed <= 6);
    now += IN_USE_HOLD_MS;
    in_use_assign(&in_use, INBOX, now, watches, 3);
    for (uint64_t ino = 1097; ino < 1100; ino++)
        assert_true(watched(watches, 3, ino));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_used_are_watched),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
