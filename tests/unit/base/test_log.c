/* tests of src/base/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

static char dir[] = "/tmp/mm-log-XXXXXX";
static char path[64], old_path[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/log", dir);
    snprintf(old_path, sizeof(old_path), "%s/log.1", dir);
    return log_open_file(path);
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(old_path);
    return rmdir(dir);
}

static char *contents(const char *name)
{
    char *text = NULL;
    assert_int_equal(file_read(name, 8 << 20, &text, NULL), 0);
    return text;
}

static void test_lines(void **state)
{
    (void)state;
    struct stat st;
    log_set_level(LOG_LEVEL_INFO);
    log_error("one %d", 1);
    log_warn("two");
    log_info("three\nforged\x1b[0m");
    log_debug("not written");
    log_set_level(LOG_LEVEL_DEBUG);
    assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
    log_debug("four");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("not written");
    CLEANUP_FREE char *text = contents(path);
    static const char *const want[] = {"Z error: one 1", "Z warning: two", "Z three?forged?[0m",
                                       "Z debug: four"};
    char *line = text;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        /* 2026-11-22T09:30:00.123Z */
        assert_true(strlen(line) > 23);
        assert_int_equal(line[10], 'T');
        assert_string_equal(line + 23, want[i]);
        line = end + 1;
    }
    assert_string_equal(line, "");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_long_line(void **state)
{
    (void)state;
    char big[5000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    CLEANUP_FREE char *before = contents(path);
    log_set_level(LOG_LEVEL_INFO);
    log_info("%s", big);
    CLEANUP_FREE char *after = contents(path);
    size_t n = strlen(after) - strlen(before);
    assert_true(n > 990 && n < 1040);
    assert_int_equal(after[strlen(after) - 1], '\n');
}

static void *write_lines(void *arg)
{
    (void)arg;
    char big[900];
    memset(big, 'y', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    for (int i = 0; i < 2500; i++)
        log_info("%s end", big);
    return NULL;
}

/* Two threads write 4.6 MB: the file turns over once, no line is torn. */
static void test_rotates(void **state)
{
    (void)state;
    pthread_t threads[2];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct stat st, old_st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(stat(old_path, &old_st), 0);
    assert_in_range(old_st.st_size, 4 << 20, (4 << 20) + 2000);
    CLEANUP_FREE char *text = contents(path);
    CLEANUP_FREE char *old_text = contents(old_path);
    size_t lines = 0;
    for (char *c = text; (c = strstr(c, "y end\n")) != NULL; c++)
        lines++;
    for (char *c = old_text; (c = strstr(c, "y end\n")) != NULL; c++)
        lines++;
    assert_int_equal(lines, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_rotates),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
