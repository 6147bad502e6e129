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
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
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

/* ---- a daemon as small as can be: it answers INIT, GETATTR (to be cached for a day) and STATFS */

struct daemon {
    int fd;
    int stop; /* eventfd */
};

static void reply(int fd, const struct fuse_in_header *in, int error, const void *data, size_t n)
{
    struct fuse_out_header out = {
        .len = (uint32_t)(sizeof(out) + n), .error = error, .unique = in->unique};
    struct iovec parts[] = {{&out, sizeof(out)}, {(void *)data, n}};
    (void)!writev(fd, parts, 2);
}

static void answer(int fd, const struct fuse_in_header *in)
{
    struct fuse_init_out init = {.major = 7, .minor = 31, .max_readahead = 4096, .max_write = 4096};
    struct fuse_attr_out attr = {.attr_valid = 86400,
                                 .attr = {.ino = 1, .mode = S_IFDIR | 0700, .nlink = 1}};
    struct fuse_statfs_out statfs_out = {.st = {.bsize = 4096, .namelen = 255}};
    if (in->opcode == FUSE_INIT)
        reply(fd, in, 0, &init, sizeof(init));
    else if (in->opcode == FUSE_GETATTR)
        reply(fd, in, 0, &attr, sizeof(attr));
    else if (in->opcode == FUSE_STATFS)
        reply(fd, in, 0, &statfs_out, sizeof(statfs_out));
    else
        reply(fd, in, -ENOSYS, NULL, 0);
}

static void *serve(void *arg)
{
    const struct daemon *d = arg;
    static union {
        struct fuse_in_header header;
        char bytes[65536];
    } request;
    for (;;) {
        struct pollfd p[] = {{.fd = d->fd, .events = POLLIN}, {.fd = d->stop, .events = POLLIN}};
        if (poll(p, 2, -1) < 0 || p[1].revents)
            return NULL;
        if (read(d->fd, &request, sizeof(request)) >= (ssize_t)sizeof(request.header))
            answer(d->fd, &request.header);
    }
}

/* Killed while the kernel still remembers the root's attributes: stat works, and yet it is dead. */
static void test_dead_with_cached_attributes(void **state)
{
    (void)state;
    struct daemon d = {.fd = mount_fuse("fuse.mailmount")};
    if (d.fd < 0)
        skip();
    pthread_t thread;
    bool dead = true;
    struct stat st;
    d.stop = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(pthread_create(&thread, NULL, serve, &d), 0);
    assert_int_equal(stat(point, &st), 0);
    assert_int_equal(mountpoint_is_ours(point, &dead), 0);
    assert_false(dead);
    assert_int_equal(mountpoint_detach_dead(point, NULL), 0); /* alive: left alone */
    assert_int_equal(mountpoint_is_ours(point, NULL), 0);
    assert_int_equal(eventfd_write(d.stop, 1), 0);
    pthread_join(thread, NULL);
    close(d.stop);
    close(d.fd);
    assert_int_equal(stat(point, &st), 0);
    assert_int_equal(mountpoint_is_ours(point, &dead), 0);
    assert_true(dead);
    assert_int_equal(mountpoint_detach_dead(point, NULL), 0);
    assert_int_equal(mountpoint_is_ours(point, NULL), -EINVAL);
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
        cmocka_unit_test(test_dead_with_cached_attributes),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_covered),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
