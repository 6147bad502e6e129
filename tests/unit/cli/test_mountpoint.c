/*
 * tests of src/cli/mountpoint.c.  A mount of type fuse.mailmount is made without a daemon: one
 * whose /dev/fuse is closed at once is what kill -9 leaves behind.  That needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mountpoint.h"

static char dir[] = "/tmp/mm-mountpoint-XXXXXX";
static char point[64], link_path[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    /* A blank, a backslash and a newline are escaped in mountinfo. */
    snprintf(point, sizeof(point), "%s/a b\\040\nc", dir);
    snprintf(link_path, sizeof(link_path), "%s/link", dir);
    return mkdir(point, 0700) < 0 ? -1 : symlink(point, link_path);
}

static int teardown(void **state)
{
    (void)state;
    umount2(point, MNT_DETACH);
    unlink(link_path);
    rmdir(point);
    return rmdir(dir);
}

/* Mounts; returns the daemon's descriptor, or -1 where that is not possible. */
static int mount_fuse(const char *type)
{
    char data[100];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=%u,group_id=0", fd,
             (unsigned)geteuid());
    if (fd < 0 || mount("imaps://me@h", point, type, MS_NOSUID | MS_NODEV, data) < 0) {
        print_message("not possible here (root and /dev/fuse): %s\n", strerror(errno));
        cleanup_fd(&fd);
        return -1;
    }
    return fd;
}

static void test_no_mount(void **state)
{
    (void)state;
    static const struct {
        const char *dir;
        int want;
    } rows[] = {
        {"/", -EINVAL},           {"/proc", -EINVAL},           {".", -EINVAL},
        {"..", -EINVAL},          {"/tmp/", -EINVAL},           {"/tmp/.", -EINVAL},
        {"/no/such/x", -ENOENT},  {"/tmp/mm-no-such", -ENOENT}, {"", -ENOENT},
        {"/dev/null/x", -ENOENT},
    };
    struct errtext err = {""};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool dead = true;
        assert_int_equal(mountpoint_is_ours(rows[i].dir, &dead), rows[i].want);
        assert_true(dead);
        assert_int_equal(mountpoint_unmount(rows[i].dir, true, &err), rows[i].want);
        assert_int_equal(mountpoint_detach_dead(rows[i].dir, &err), 0);
        assert_int_equal(mountpoint_wait_gone(rows[i].dir, 100), 0);
        char *path = NULL;
        assert_int_equal(mountpoint_socket(rows[i].dir, &path), -ENODATA);
        assert_null(path);
    }
    assert_int_equal(mountpoint_is_ours(point, NULL), -EINVAL);
}

static void note_point(void *ctx, const char *path)
{
    *(int *)ctx += strcmp(path, point) == 0;
}

static void test_dead(void **state)
{
    (void)state;
    int fd = mount_fuse("fuse.mailmount");
    if (fd < 0)
        skip();
    close(fd);
    CLEANUP_FREE char *slash = str_printf("%s/", point);
    CLEANUP_FREE char *dots = str_printf("%s/..%s", dir, strchr(point + 1, '/'));
    const char *const names[] = {point, slash, dots};
    int seen = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        bool dead = false;
        assert_int_equal(mountpoint_is_ours(names[i], &dead), 0);
        assert_true(dead);
    }
    char *path = NULL;
    assert_int_equal(mountpoint_socket(point, &path), -ENOTCONN);
    assert_int_equal(mountpoint_each(note_point, &seen), 0);
    assert_int_equal(seen, 1);
    assert_int_equal(mountpoint_wait_gone(point, 100), -ETIMEDOUT);
    struct errtext err = {""};
    assert_int_equal(mountpoint_detach_dead(point, &err), 0);
    assert_int_equal(mountpoint_is_ours(point, NULL), -EINVAL);
    assert_int_equal(mountpoint_wait_gone(point, 0), 0);
    struct stat st;
    assert_int_equal(stat(point, &st), 0);
}

/* Another file system is never touched, dead or not. */
static void test_foreign(void **state)
{
    (void)state;
    int fd = mount_fuse("fuse.other");
    if (fd < 0)
        skip();
    close(fd);
    struct errtext err = {""};
    assert_int_equal(mountpoint_is_ours(point, NULL), -EINVAL);
    assert_int_equal(mountpoint_detach_dead(point, &err), 0);
    assert_int_equal(mountpoint_unmount(point, true, &err), -EINVAL);
    struct stat st;
    assert_int_equal(stat(point, &st), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(umount2(point, MNT_DETACH), 0);
}

/* What lies on top counts: a mount of ours below another one is not touched. */
static void test_covered(void **state)
{
    (void)state;
    int ours = mount_fuse("fuse.mailmount");
    if (ours < 0)
        skip();
    int other = mount_fuse("fuse.other");
    assert_true(other >= 0);
    assert_int_equal(mountpoint_is_ours(point, NULL), -EINVAL);
    assert_int_equal(umount2(point, MNT_DETACH), 0);
    assert_int_equal(mountpoint_is_ours(point, NULL), 0);
    close(other);
    close(ours);
    assert_int_equal(mountpoint_unmount(point, false, NULL), 0);
    assert_int_equal(mountpoint_is_ours(point, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_mount),
        cmocka_unit_test(test_dead),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_covered),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
