/* tests of src/base/util.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

static void test_parse_u64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        int want;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0, 0},
        {"1", 0, -ERANGE, 0},
        {"7", 5, -ERANGE, 0},
        {"65535", 65535, 0, 65535},
        {"65536", 65535, -ERANGE, 0},
        {"0000000000000000000000009", 10, 0, 9},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, -ERANGE, 0},
        {"99999999999999999999999", UINT64_MAX, -ERANGE, 0},
        {"", 9, -EINVAL, 0},
        {"+1", 9, -EINVAL, 0},
        {"-1", 9, -EINVAL, 0},
        {" 1", 9, -EINVAL, 0},
        {"1 ", 9, -EINVAL, 0},
        {"0x1", 9, -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 4711;
        assert_int_equal(parse_u64(rows[i].text, rows[i].max, &value), rows[i].want);
        assert_int_equal(value, rows[i].want < 0 ? 4711 : rows[i].value);
    }
}

static void test_parse_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"512", 0, 512},
        {"2K", 0, 2048},
        {"3m", 0, 3 << 20},
        {"2G", 0, (uint64_t)2 << 30},
        {"1T", 0, (uint64_t)1 << 40},
        {"", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"1KB", -EINVAL, 0},
        {"1.5G", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"18446744073709551615K", -ERANGE, 0},
        {"9999999999T", -ERANGE, 0},
        {"00000000000000000000000000000000000000001", -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 4711;
        assert_int_equal(parse_bytes(rows[i].text, &value), rows[i].want);
        assert_int_equal(value, rows[i].want < 0 ? 4711 : rows[i].value);
    }
}

static void test_err_set(void **state)
{
    (void)state;
    struct errtext err;
    assert_int_equal(err_set(&err, ENOENT, "%s", "a\nb\033[1m\x7f"), -ENOENT);
    assert_string_equal(err.text, "a?b?[1m?");
    assert_int_equal(err_set(NULL, EIO, "nobody reads this"), -EIO);
    char big[2000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(err_set(&err, EIO, "%s", big), -EIO);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void test_steal(void **state)
{
    (void)state;
    char *text = strdup("x");
    char *taken = steal(&text);
    assert_null(text);
    assert_string_equal(taken, "x");
    free(taken);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int kept = steal_fd(&fd);
    assert_int_equal(fd, -1);
    cleanup_fd(&fd);
    assert_int_not_equal(fcntl(kept, F_GETFD), -1);
    cleanup_fd(&kept);
    assert_int_equal(fcntl(kept, F_GETFD), -1);
}

static int setup(void **state)
{
    char *dir = strdup("/tmp/mm-util-XXXXXX");
    if (!dir || !mkdtemp(dir))
        return -1;
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = {"f", "f.tmp", "a/b/c", "a/b", "a", ""};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP_FREE char *path = str_printf("%s/%s", (char *)*state, files[i]);
        if (unlink(path) < 0)
            rmdir(path);
    }
    free(*state);
    return 0;
}

static void test_files(void **state)
{
    const char *dir = *state;
    CLEANUP_FREE char *path = str_printf("%s/f", dir);
    CLEANUP_FREE char *temp = str_printf("%s/f.tmp", dir);
    assert_int_equal(file_replace(dir, "f", "old text", 8), 0);
    assert_int_equal(file_replace(dir, "f", "n\0w", 3), 0);
    assert_int_equal(access(temp, F_OK), -1);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(file_read(path, 2, &text, &len), -EFBIG);
    assert_null(text);
    assert_int_equal(file_read(path, 3, &text, &len), 0);
    assert_int_equal(len, 3);
    assert_memory_equal(text, "n\0w", 4);
    free(text);
    assert_true(file_read(dir, 3, &text, &len) < 0);
    assert_int_equal(file_read(temp, 3, &text, &len), -ENOENT);
    /* A link in place of the temporary file is not followed. */
    assert_int_equal(symlink("elsewhere", temp), 0);
    assert_int_equal(file_replace(dir, "f", "x", 1), -ELOOP);
    assert_int_equal(file_replace("/proc/nowhere", "f", "x", 1), -ENOENT);
}

static void test_full_io(void **state)
{
    CLEANUP_FREE char *path = str_printf("%s/f", (char *)*state);
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char buffer[16] = "";
    assert_int_equal(write_full(fd, "0123456789", 10), 0);
    assert_int_equal(pwrite_full(fd, "ab", 2, 4), 0);
    assert_int_equal(pread_full(fd, buffer, sizeof(buffer), 2), 8);
    assert_memory_equal(buffer, "23ab6789", 8);
    assert_int_equal(read_full(fd, buffer, sizeof(buffer)), 0);
    assert_int_equal(lseek(fd, 8, SEEK_SET), 8);
    assert_int_equal(read_full(fd, buffer, 1), 1);
    assert_int_equal(read_full(fd, buffer, 9), 1);
    assert_int_equal(read_full(-1, buffer, 1), -EBADF);
    assert_int_equal(write_full(-1, buffer, 1), -EBADF);
    int pipe_fd[2];
    assert_int_equal(pipe(pipe_fd), 0);
    assert_int_equal(write_full(pipe_fd[1], "xyz", 3), 0);
    close(pipe_fd[1]);
    assert_int_equal(read_full(pipe_fd[0], buffer, sizeof(buffer)), 3);
    close(pipe_fd[0]);
}

static void test_mkdir_private(void **state)
{
    CLEANUP_FREE char *path = str_printf("%s/a/b/c", (char *)*state);
    CLEANUP_FREE char *file = str_printf("%s/f", (char *)*state);
    CLEANUP_FREE char *below = str_printf("%s/f/x", (char *)*state);
    struct stat st;
    assert_int_equal(mkdir_private(path), 0);
    assert_int_equal(mkdir_private(path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(chmod(path, 0750), 0);
    assert_int_equal(mkdir_private(path), -EPERM);
    close(open(file, O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(mkdir_private(file), -ENOTDIR);
    assert_int_equal(mkdir_private(below), -ENOTDIR);
}

static void test_clocks(void **state)
{
    (void)state;
    int64_t before = clock_mono_ms();
    usleep(20000);
    int64_t passed = clock_mono_ms() - before;
    assert_true(passed >= 19 && passed < 60000);
    assert_true(clock_wall_ns() > (int64_t)1700000000 * 1000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_u64),
        cmocka_unit_test(test_parse_bytes),
        cmocka_unit_test(test_err_set),
        cmocka_unit_test(test_steal),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_io, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mkdir_private, setup, teardown),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
