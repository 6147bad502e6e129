/* Bodies on a full disk: old ones make room, and what cannot be kept is read all the same. */
#include "bodies_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "log.h"

#define SMALL_DISK "/tmp/mailmount-test-full-XXXXXX"
static char small_disk[sizeof(SMALL_DISK)];

static int mount_small(void **state)
{
    (void)state;
    memcpy(small_disk, SMALL_DISK, sizeof(SMALL_DISK));
    if (!mkdtemp(small_disk))
        return -1;
    /* Without the right to mount the test is skipped. */
    if (mount("mailmount-test", small_disk, "tmpfs", 0, "size=12m,mode=0700") < 0) {
        rmdir(small_disk);
        small_disk[0] = '\0';
    }
    return 0;
}

static int unmount_small(void **state)
{
    (void)state;
    if (!small_disk[0])
        return 0;
    umount2(small_disk, MNT_DETACH);
    return rmdir(small_disk);
}

static int fill_disk(const char *path)
{
    static const char zeros[4096];
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, zeros, sizeof(zeros)) > 0)
        continue;
    return errno;
}

/* A body that cannot be kept is read all the same. */
static void check_read_from_memory(struct setup *s, size_t n)
{
    CLEANUP(body_writer_freep) struct body_writer *w = NULL;
    CLEANUP_FREE unsigned char *want = malloc(n), *got = malloc(n);
    struct body *body;
    off_t offset;
    assert_true(want && got);
    fill_body(want, n, n);
    assert_int_equal(body_writer_new(s->bodies, n, &w), 0);
    for (size_t done = 0; done < n; done += n / 4)
        assert_int_equal(body_write(w, want + done, n / 4), 0);
    assert_int_equal(body_finish(w), 0);
    assert_int_equal(body_commit(w, s->ino[63]), -ENOSPC);
    assert_int_equal(body_from_writer(w, &body), 0);
    w = NULL;
    assert_int_equal(body_size(body), n);
    int fd = body_fd(body, &offset);
    assert_int_equal(pread_full(fd, got, n, offset), n);
    assert_memory_equal(want, got, n);
    body_close(body);
    assert_false(body_exists(s->bodies, s->ino[63]));
}

/* Old bodies make room; where there are none it is -ENOSPC, and what was there stays readable. */
static void test_full_disk(void **state)
{
    (void)state;
    struct setup s;
    struct store_message m;
    struct store_new_message batch[100];
    if (!small_disk[0])
        skip();
    begin(&s, 1024 * MIB, small_disk);
    for (uint32_t i = 1; i < 60; i++) {
        assert_int_equal(write_body(s.bodies, s.ino[i], i % 2 ? 700000 : 1200000, i), 0);
        assert_int_equal(check_body(s.bodies, s.ino[i], i % 2 ? 700000 : 1200000, i), 0);
    }
    assert_int_equal(write_body(s.bodies, s.ino[61], 2 * MIB, 61), 0);
    assert_int_equal(write_body(s.bodies, s.ino[62], 40 * MIB, 62), -ENOSPC);
    /* Filled by somebody else: nothing can be given up that helps. */
    CLEANUP_FREE char *path = str_printf("%s/filler", s.dirs.base);
    assert_int_equal(fill_disk(path), ENOSPC);
    assert_int_equal(write_body(s.bodies, s.ino[63], 900000, 63), -ENOSPC);
    check_read_from_memory(&s, 900000);
    check_read_from_memory(&s, 4 * MIB);
    check_read_from_memory(&s, 40 * MIB);
    assert_int_equal(write_body(s.bodies, s.ino[63], 65 * MIB, 63), -ENOSPC);
    int r = 0;
    for (uint32_t i = 0; i < 200 && r == 0; i++) {
        for (uint32_t k = 0; k < 100; k++)
            fill_message(&batch[k], 1000 + i * 100 + k, NULL);
        r = store_add_messages(s.store, s.inbox, batch, 100);
    }
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(store_message_by_ino(s.store, s.ino[1], &m), 0);
    /* And works again when there is room. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write_body(s.bodies, s.ino[64], 900000, 64), 0);
    assert_int_equal(store_add_messages(s.store, s.inbox, batch, 100), 0);
    assert_int_equal(check_body(s.bodies, s.ino[64], 900000, 64), 0);
    end(&s);
}

/* Pinned bodies do not make room, and on a full disk nothing is carried over. */
static void test_full_disk_and_pins(void **state)
{
    (void)state;
    struct setup s;
    bool changed;
    if (!small_disk[0])
        skip();
    begin(&s, 1024 * MIB, small_disk);
    const struct store_pin pins[] = {{s.ino[1], INT64_MIN}, {s.ino[2], INT64_MIN}};
    assert_int_equal(store_set_pins(s.store, pins, 2, &changed), 0);
    bodies_pins_changed(s.bodies);
    for (uint32_t i = 1; i < 40; i++) {
        assert_int_equal(write_body(s.bodies, s.ino[i], i % 2 ? 1700000 : 1200000, i), 0);
        assert_int_equal(check_body(s.bodies, s.ino[1], 1700000, 1), 0);
        if (i > 1)
            assert_int_equal(check_body(s.bodies, s.ino[2], 1200000, 2), 0);
    }
    assert_false(body_exists(s.bodies, s.ino[3]));
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_disk, mount_small, unmount_small),
        cmocka_unit_test_setup_teardown(test_full_disk_and_pins, mount_small, unmount_small),
    };
    log_set_stderr(false); /* the disk is filled on purpose */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
