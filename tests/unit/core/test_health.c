/* Tests of core/health and core/plain: figures of folders, the cap, texts made fit to be shown. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "health.h"
#include "plain.h"

static struct health *new_health(void)
{
    struct health *health = NULL;
    assert_int_equal(health_new(&health), 0);
    return health;
}

static void test_runs(void **state)
{
    (void)state;
    struct health *health = new_health();
    struct health_folder f;
    struct health_totals totals;
    health_folder(health, 7, &f);
    assert_int_equal(f.tried, 0);
    assert_int_equal(f.last_duration_ms, -1);
    assert_int_equal(f.last_success_ns, 0);

    int64_t before = clock_wall_ns();
    health_listed(health, 7,
                  &(struct health_run){
                      .level = "qresync", .duration_ms = 12, .bytes_down = 100, .bytes_up = 10});
    health_listed(health, 7,
                  &(struct health_run){.status = -EACCES, .error = "no\x1b[31m", .bytes_down = 5});
    health_folder(health, 7, &f);
    assert_int_equal(f.tried, 2);
    assert_int_equal(f.completed, 1);
    assert_int_equal(f.failed, 1);
    assert_int_equal(f.bytes_down, 105);
    assert_int_equal(f.bytes_up, 10);
    assert_int_equal(f.last_duration_ms, 12);
    assert_true(f.last_success_ns >= before && f.last_error_ns >= f.last_success_ns);
    assert_string_equal(f.last_error, "no?[31m");
    assert_string_equal(f.level, "qresync");

    health_listed(health, 7, &(struct health_run){.status = -EIO});
    health_folder(health, 7, &f);
    assert_string_equal(f.last_error, strerror(EIO));
    health_listed(health, 7, &(struct health_run){.duration_ms = 3});
    health_compared(health, 7, 2);
    health_failed(health);
    health_folder(health, 7, &f);
    assert_string_equal(f.last_error, ""); /* it is past */
    assert_int_equal(f.last_duration_ms, 3);
    assert_int_equal(f.comparisons, 1);
    assert_int_equal(f.differences, 2);
    assert_true(f.last_comparison_ns >= before);
    health_totals(health, &totals);
    assert_int_equal(totals.tried, 4);
    assert_int_equal(totals.completed, 2);
    assert_int_equal(totals.failed, 2);
    assert_int_equal(totals.errors, 3);
    assert_int_equal(totals.differences, 2);

    health_forget(health, 7);
    health_forget(health, 8);
    health_folder(health, 7, &f);
    assert_int_equal(f.tried, 0);
    health_free(health);
}

static void test_cap(void **state)
{
    (void)state;
    struct health *health = new_health();
    struct health_folder f;
    struct health_totals totals;
    for (uint64_t ino = 1; ino <= HEALTH_MAX + 5; ino++)
        health_listed(health, ino, &(struct health_run){.status = 0});
    health_folder(health, HEALTH_MAX, &f);
    assert_int_equal(f.tried, 1);
    health_folder(health, HEALTH_MAX + 1, &f);
    assert_int_equal(f.tried, 0);
    health_totals(health, &totals);
    assert_int_equal(totals.tried, HEALTH_MAX + 5);
    health_free(health);
}

static void *hammer(void *arg)
{
    struct health *health = arg;
    struct health_folder f;
    for (uint64_t i = 0; i < 2000; i++) {
        health_listed(health, i % 5, &(struct health_run){.status = i % 3 ? 0 : -EIO});
        health_folder(health, i % 5, &f);
        if (i % 100 == 0)
            health_forget(health, 9);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct health *health = new_health();
    struct health_totals totals;
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, health), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    health_totals(health, &totals);
    assert_int_equal(totals.tried, 8000);
    assert_int_equal(totals.completed + totals.failed, 8000);
    health_free(health);
}

static void test_plain(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {NULL, ""},
        {"", ""},
        {"Entwürfe 日本", "Entwürfe 日本"},
        {"a\r\nb\tc\x7f", "a??b?c?"},
        {"\xc2\x9b"
         "31m", /* CSI in one character */
         "?31m"},
        {"x\xe2\x80\xaegpj", "x?gpj"}, /* right-to-left override */
        {"x\xe2\x80\x8by", "x?y"},     /* zero-width space */
        {"\xff\xc3", "??"},
    };
    char out[64];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(plain_copy(cases[i].in, out, sizeof(out)), cases[i].out);
    assert_string_equal(plain_copy("abcdefgh", out, 4), "abc");
    assert_string_equal(plain_copy("abäx", out, 4), "ab"); /* not half a character */
    assert_string_equal(plain_copy("x", out, 1), "");
    assert_int_equal(plain_width("Entwürfe"), 8);
    assert_int_equal(plain_width("日本"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
