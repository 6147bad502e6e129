/* tests of src/core/clocks.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "clocks.h"
#include "util.h"

static void test_jumps(void **state)
{
    (void)state;
    static const struct {
        struct clocks passed;
        const char *want; /* NULL: nothing has happened */
    } rows[] = {
        {{1000, 1000, 1000}, NULL},
        {{1, 1, 1}, NULL},
        {{9000, 9001, 9000}, NULL}, /* a slow disk */
        {{1000, 2500, 2500}, NULL},
        {{1000, 1000, -3600000}, NULL}, /* set back: no time has passed */
        {{1000, 1000, 59000}, NULL},
        {{1000, 3000, 3000}, "asleep"},
        {{1000, 8 * 3600000, 8 * 3600000}, "asleep"},
        {{1000, 8 * 3600000, 1000}, "asleep"},
        {{12000, 12000, 12000}, "stopped"},
        {{1000, 1000, 61000}, "clock"}, /* a virtual machine put back */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct clocks before = {5000, 77000, 1700000000000};
        struct clocks now = {before.mono_ms + rows[i].passed.mono_ms,
                             before.boot_ms + rows[i].passed.boot_ms,
                             before.wall_ms + rows[i].passed.wall_ms};
        const char *got = clocks_jumped(&before, &now);
        if (!got != !rows[i].want || (got && !strstr(got, rows[i].want)))
            fail_msg("row %zu: %s", i, got ? got : "nothing");
    }
    struct clocks now = clocks_read();
    assert_true(now.mono_ms > 0 && now.boot_ms >= now.mono_ms && now.wall_ms > now.boot_ms);
    assert_null(clocks_jumped(&now, &now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jumps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
