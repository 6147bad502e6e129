/* Bodies: written whole or not at all, found again, evicted; damaged files. */
#include "bodies_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "segment.h"

static char *segment_path(const struct setup *s, unsigned id)
{
    char *path = str_printf("%s/bodies/%08u.seg", s->dirs.cache, id);
    assert_non_null(path);
    return path;
}

static size_t body_files(const struct setup *s)
{
    CLEANUP_FREE char *path = str_printf("%s/bodies", s->dirs.cache);
    return count_files(path);
}

static uint64_t counted(const struct setup *s)
{
    uint64_t messages = 0;
    uint64_t cached = 0;
    assert_int_equal(store_folder_counts(s->store, s->inbox, &messages, &cached), 0);
    return cached;
}

static uint64_t in_stat(const struct setup *s)
{
    uint64_t bytes = 0;
    uint64_t count = 0;
    bodies_stat(s->bodies, &bytes, &count);
    return count;
}

static const size_t sizes[] = {0,       1,           5000, 16384 - RECORD_SIZE, 16384, 1024 * 1024,
                               1048577, 3 * 1048576, 100};

static void test_sizes(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, 0, NULL);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            if (round == 0)
                assert_int_equal(write_body(s.bodies, s.ino[i + 1], sizes[i], i), 0);
            assert_true(body_exists(s.bodies, s.ino[i + 1]));
            assert_int_equal(check_body(s.bodies, s.ino[i + 1], sizes[i], i), 0);
        }
        assert_int_equal(in_stat(&s), ARRAY_LEN(sizes));
        assert_int_equal(counted(&s), ARRAY_LEN(sizes));
        close_all(&s);
        open_all(&s, 0);
    }
    assert_int_equal(body_files(&s), 3); /* one for the small ones */
    assert_int_equal(check_body(s.bodies, s.ino[50], 0, 0), -ENOENT);
    assert_false(body_exists(s.bodies, s.ino[50]));
    end(&s);
}

static void test_wrong_lengths(void **state)
{
    (void)state;
    struct setup s;
    char data[20] = {0};
    begin(&s, 0, NULL);
    const struct {
        uint64_t size;
        size_t written;
    } rows[] = {{10, 9}, {10, 11}, {0, 1}, {2 * MIB, 20}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct body_writer *w = NULL;
        assert_int_equal(body_writer_new(s.bodies, rows[i].size, &w), 0);
        bool fits = rows[i].written <= rows[i].size;
        assert_int_equal(body_write(w, data, rows[i].written), fits ? 0 : -EINVAL);
        assert_int_equal(body_finish(w), rows[i].size == 0 ? 0 : -EINVAL);
        if (rows[i].size)
            assert_int_equal(body_commit(w, s.ino[1]), -EINVAL);
        body_writer_free(w);
    }
    assert_false(body_exists(s.bodies, s.ino[1]));
    assert_int_equal(body_files(&s), 1); /* no temporary file stays */
    end(&s);
}

static struct body_writer *finished(struct setup *s, size_t n, uint64_t seed)
{
    struct body_writer *w = NULL;
    CLEANUP_FREE unsigned char *data = malloc(n + 1);
    assert_non_null(data);
    fill_body(data, n, seed);
    assert_int_equal(body_writer_new(s->bodies, n, &w), 0);
    assert_int_equal(body_write(w, data, n), 0);
    assert_int_equal(body_finish(w), 0);
    return w;
}

static void expect_bytes(struct body *body, size_t n, uint64_t seed)
{
    off_t offset;
    CLEANUP_FREE unsigned char *want = malloc(n);
    CLEANUP_FREE unsigned char *got = malloc(n);
    assert_true(want && got);
    fill_body(want, n, seed);
    int fd = body_fd(body, &offset);
    assert_int_equal(body_size(body), n);
    assert_int_equal(pread_full(fd, got, n, offset), n);
    assert_memory_equal(want, got, n);
}

/* A body whose message is gone is readable from its writer, and leaves nothing behind. */
static void test_from_writer(void **state)
{
    (void)state;
    struct setup s;
    static const size_t both[] = {5000, 2 * 1048576};
    begin(&s, 0, NULL);
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        for (int how = 0; how < 3; how++) {
            struct body *body = NULL;
            struct body_writer *w = finished(&s, both[i], 9);
            if (how == 1)
                assert_int_equal(body_commit(w, 12345), -ENOENT);
            if (how == 2)
                assert_int_equal(body_commit(w, s.ino[7]), 0);
            assert_int_equal(body_from_writer(w, &body), 0);
            expect_bytes(body, both[i], 9);
            body_close(body);
            assert_int_equal(in_stat(&s), how == 2 || i > 0);
        }
    }
    assert_int_equal(counted(&s), 1);
    assert_int_equal(body_files(&s), 2);
    end(&s);
}

static void test_replaced(void **state)
{
    (void)state;
    struct setup s;
    struct body *old = NULL;
    begin(&s, 0, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 2 * MIB, 1), 0);
    assert_int_equal(write_body(s.bodies, s.ino[2], 10, 1), 0);
    assert_int_equal(body_open(s.bodies, s.ino[1], &old), 0);
    assert_int_equal(write_body(s.bodies, s.ino[1], 3000, 2), 0);
    assert_int_equal(check_body(s.bodies, s.ino[1], 3000, 2), 0);
    expect_bytes(old, 2 * MIB, 1);
    body_close(old);
    assert_int_equal(body_files(&s), 1); /* the large one's file went */
    assert_int_equal(in_stat(&s), 2);
    assert_int_equal(counted(&s), 2);
    end(&s);
}

/* Dropped, removed with its message, or with its folder's UIDVALIDITY: open handles go on. */
static void test_gone(void **state)
{
    (void)state;
    struct setup s;
    struct body *open[4] = {NULL};
    CLEANUP_UIDSET struct uidset uids = {0};
    begin(&s, 0, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(write_body(s.bodies, s.ino[i + 1], i % 2 ? 2 * MIB : 4000, i), 0);
        assert_int_equal(body_open(s.bodies, s.ino[i + 1], &open[i]), 0);
    }
    assert_int_equal(body_drop(s.bodies, s.ino[1]), 0);
    assert_int_equal(body_drop(s.bodies, s.ino[1]), -ENOENT);
    assert_int_equal(uidset_add(&uids, 2, 2), 0);
    assert_int_equal(store_remove_messages(s.store, s.inbox, &uids, NULL, NULL), 0);
    assert_int_equal(counted(&s), 2);
    assert_int_equal(store_begin_listing(s.store, s.inbox, 99, NULL, NULL), 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_false(body_exists(s.bodies, s.ino[i + 1]));
        expect_bytes(open[i], i % 2 ? 2 * MIB : 4000, i);
        body_close(open[i]);
    }
    assert_int_equal(in_stat(&s), 0);
    assert_int_equal(counted(&s), 0);
    assert_int_equal(body_files(&s), 1); /* the current one */
    close_all(&s);
    open_all(&s, 0);
    assert_int_equal(body_files(&s), 0);
    end(&s);
}

/* ---- eviction */

static void test_eviction(void **state)
{
    (void)state;
    struct setup s;
    struct body *kept = NULL;
    uint64_t bytes = 0;
    uint64_t count = 0;
    begin(&s, 8 * MIB, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 700000, 1), 0);
    assert_int_equal(body_open(s.bodies, s.ino[1], &kept), 0);
    for (uint32_t i = 2; i < 60; i++) {
        assert_int_equal(write_body(s.bodies, s.ino[i], 700000, i), 0);
        assert_int_equal(check_body(s.bodies, s.ino[i], 700000, i), 0);
        bodies_stat(s.bodies, &bytes, &count);
        assert_true(bytes <= 8 * MIB);
        assert_int_equal(counted(&s), count);
    }
    assert_true(count >= 7);
    /* The first is open, so it stayed; the second is long gone. */
    assert_int_equal(check_body(s.bodies, s.ino[1], 700000, 1), 0);
    assert_false(body_exists(s.bodies, s.ino[2]));
    expect_bytes(kept, 700000, 1);
    body_close(kept);
    for (uint32_t i = 60; i < 80; i++)
        assert_int_equal(write_body(s.bodies, s.ino[i], 700000, i), 0);
    assert_false(body_exists(s.bodies, s.ino[1]));
    assert_true(body_files(&s) <= 12);
    /* A smaller cache_size next time. */
    close_all(&s);
    open_all(&s, 2 * MIB);
    bodies_stat(s.bodies, &bytes, &count);
    assert_true(bytes <= 2 * MIB);
    assert_int_equal(counted(&s), count);
    end(&s);
}

/* What is written but not yet indexed is not evicted. */
static void test_eviction_and_writers(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, 4 * MIB, NULL);
    struct body_writer *w = finished(&s, 5000, 1);
    for (uint32_t i = 2; i < 20; i++)
        assert_int_equal(write_body(s.bodies, s.ino[i], 900000, i), 0);
    assert_false(body_exists(s.bodies, s.ino[10]));
    assert_int_equal(body_commit(w, s.ino[1]), 0);
    body_writer_free(w);
    assert_int_equal(check_body(s.bodies, s.ino[1], 5000, 1), 0);
    end(&s);
}

/* The longest unused goes first, also by what an earlier run used. */
static void test_eviction_order(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, 8 * MIB, NULL);
    for (uint32_t i = 1; i <= 4; i++)
        assert_int_equal(write_body(s.bodies, s.ino[i], 1500000, i), 0);
    for (uint32_t i = 1; i <= 4; i++) /* used in this order: 3 4 1 2 */
        s.bodies->table[i - 1]->used = 1000000000 + (i + 1) % 4;
    close_all(&s);
    open_all(&s, 8 * MIB);
    assert_int_equal(write_body(s.bodies, s.ino[5], 3500000, 5), 0);
    const bool want[] = {true, true, false, true, true};
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(body_exists(s.bodies, s.ino[i + 1]), want[i]);
    end(&s);
}

/* One body larger than the whole cache is kept, alone, until the next comes. */
static void test_larger_than_cache(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, 1 * MIB, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 1000, 1), 0);
    assert_int_equal(write_body(s.bodies, s.ino[2], 3 * MIB, 2), 0);
    assert_int_equal(check_body(s.bodies, s.ino[2], 3 * MIB, 2), 0);
    assert_false(body_exists(s.bodies, s.ino[1]));
    assert_int_equal(write_body(s.bodies, s.ino[3], 1000, 3), 0);
    assert_false(body_exists(s.bodies, s.ino[2]));
    assert_int_equal(check_body(s.bodies, s.ino[3], 1000, 3), 0);
    end(&s);
}

/* More segments than descriptors are kept for. */
static void test_descriptors(void **state)
{
    (void)state;
    struct setup s;
    struct body *open[80];
    begin(&s, 1024 * MIB, NULL);
    for (uint32_t i = 0; i < 80; i++)
        assert_int_equal(write_body(s.bodies, s.ino[i + 1], MIB + 1, i), 0);
    size_t before = count_files("/proc/self/fd");
    assert_true(before < 64 + 16);
    for (uint32_t i = 0; i < 80; i++)
        assert_int_equal(body_open(s.bodies, s.ino[i + 1], &open[i]), 0);
    for (uint32_t i = 0; i < 80; i++) {
        expect_bytes(open[i], MIB + 1, i);
        body_close(open[i]);
    }
    assert_true(count_files("/proc/self/fd") <= before);
    end(&s);
}

/* ---- what goes wrong on the disk */

static void test_damaged_record(void **state)
{
    (void)state;
    /* Offsets into the first segment, of three records of 1000 bytes. */
    static const struct {
        long offset;
        bool truncate;
        unsigned lost; /* bit i: body i + 1 */
    } rows[] = {{0, false, 1},   {4, false, 1},    {8, false, 1},    {16, false, 1},
                {24, false, 1},  {1000, false, 1}, {1024, false, 2}, {1500, false, 2},
                {3071, true, 4}, {2048, true, 4},  {1100, true, 6},  {0, true, 7}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct setup s;
        begin(&s, 0, NULL);
        for (uint32_t b = 1; b <= 3; b++)
            assert_int_equal(write_body(s.bodies, s.ino[b], 1000, b), 0);
        CLEANUP_FREE char *path = segment_path(&s, 1);
        if (rows[i].truncate)
            assert_int_equal(truncate(path, rows[i].offset), 0);
        else
            damage(path, rows[i].offset, 1);
        for (uint32_t b = 1; b <= 3; b++) {
            bool lost = rows[i].lost & 1u << (b - 1);
            assert_int_equal(check_body(s.bodies, s.ino[b], 1000, b), lost ? -ENOENT : 0);
            assert_int_equal(body_exists(s.bodies, s.ino[b]), !lost);
        }
        assert_int_equal(counted(&s), 3 - __builtin_popcount(rows[i].lost));
        assert_int_equal(in_stat(&s), counted(&s));
        /* Fetched again, it is there again, beyond what was cut. */
        for (uint32_t b = 1; b <= 3; b++)
            if (rows[i].lost & 1u << (b - 1))
                assert_int_equal(write_body(s.bodies, s.ino[b], 1000, b), 0);
        for (uint32_t b = 1; b <= 3; b++)
            assert_int_equal(check_body(s.bodies, s.ino[b], 1000, b), 0);
        end(&s);
    }
}

static void test_damaged_large(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, 0, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 2 * MIB, 1), 0);
    CLEANUP_FREE char *path = segment_path(&s, 1);
    assert_int_equal(truncate(path, MIB), 0);
    assert_int_equal(check_body(s.bodies, s.ino[1], 2 * MIB, 1), -ENOENT);
    assert_int_equal(write_body(s.bodies, s.ino[1], 2 * MIB, 1), 0);
    assert_int_equal(check_body(s.bodies, s.ino[1], 2 * MIB, 1), 0);
    end(&s);
}

static void test_files_deleted(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, 0, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 2 * MIB, 1), 0);
    assert_int_equal(write_body(s.bodies, s.ino[2], 1000, 2), 0);
    close_all(&s);
    for (unsigned id = 1; id <= 2; id++) {
        CLEANUP_FREE char *path = segment_path(&s, id);
        assert_int_equal(unlink(path), 0);
        open_all(&s, 0);
        assert_int_equal(check_body(s.bodies, s.ino[id], 0, 0), -ENOENT);
        assert_int_equal(counted(&s), 2 - id);
        close_all(&s);
    }
    open_all(&s, 0);
    /* And while we run. */
    assert_int_equal(write_body(s.bodies, s.ino[3], 2 * MIB, 3), 0);
    close_all(&s);
    open_all(&s, 0);
    CLEANUP_FREE char *late = segment_path(&s, 1);
    assert_int_equal(unlink(late), 0);
    assert_int_equal(check_body(s.bodies, s.ino[3], 0, 0), -ENOENT);
    assert_int_equal(counted(&s), 0);
    end(&s);
}

static void test_strangers(void **state)
{
    (void)state;
    static const char *const names[] = {"00000077.seg", "00000078.tmp", "notes.txt", "7.seg"};
    struct setup s;
    begin(&s, 0, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 1000, 1), 0);
    close_all(&s);
    CLEANUP_FREE char *dir = str_printf("%s/bodies", s.dirs.cache);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(file_replace(dir, names[i], "x", 1), 0);
    open_all(&s, 0);
    assert_int_equal(body_files(&s), 1);
    assert_int_equal(check_body(s.bodies, s.ino[1], 1000, 1), 0);
    end(&s);
}

/* The whole cache directory goes while the mount runs. */
static void test_cache_deleted(void **state)
{
    (void)state;
    struct setup s;
    struct dirs only_cache = {.base = ""};
    begin(&s, 0, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 1000, 1), 0);
    close_all(&s);
    open_all(&s, 0);
    assert_true(strlen(s.dirs.cache) < sizeof(only_cache.base));
    memcpy(only_cache.base, s.dirs.cache, strlen(s.dirs.cache) + 1);
    dirs_remove(&only_cache);
    assert_int_equal(check_body(s.bodies, s.ino[1], 1000, 1), -ENOENT);
    for (uint32_t i = 2; i < 5; i++) {
        size_t n = i == 3 ? 2 * MIB : 5000;
        assert_int_equal(write_body(s.bodies, s.ino[i], n, i), 0);
        assert_int_equal(check_body(s.bodies, s.ino[i], n, i), 0);
    }
    store_checkpoint(s.store);
    close_all(&s);
    open_all(&s, 0);
    assert_false(body_exists(s.bodies, s.ino[2]));
    add_messages(&s);
    assert_int_equal(write_body(s.bodies, s.ino[1], 1000, 1), 0);
    assert_int_equal(check_body(s.bodies, s.ino[1], 1000, 1), 0);
    end(&s);
}

/* Killed between the record and the row, or in the middle of a large body. */
static void test_killed(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, 0, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 1000, 1), 0);
    close_all(&s);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        open_all(&s, 0);
        finished(&s, 5000, 2);
        finished(&s, 2 * MIB, 3);
        struct body_writer *w;
        if (write_body(s.bodies, s.ino[4], 2000, 4) < 0 ||
            body_writer_new(s.bodies, 3 * MIB, &w) < 0)
            _exit(1);
        store_checkpoint(s.store);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    open_all(&s, 0);
    assert_int_equal(body_files(&s), 1);
    assert_int_equal(check_body(s.bodies, s.ino[1], 1000, 1), 0);
    assert_int_equal(check_body(s.bodies, s.ino[4], 2000, 4), 0);
    assert_int_equal(in_stat(&s), 2);
    end(&s);
}

/* A new cache.db does not know the bodies of the old one. */
static void test_new_store(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, 0, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 1000, 1), 0);
    close_all(&s);
    CLEANUP_FREE char *db = str_printf("%s/cache.db", s.dirs.cache);
    assert_int_equal(unlink(db), 0);
    open_all(&s, 0);
    assert_int_equal(body_files(&s), 0);
    assert_int_equal(body_open(s.bodies, s.ino[1], &(struct body *){NULL}), -ENOENT);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_wrong_lengths),
        cmocka_unit_test(test_from_writer),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_eviction_and_writers),
        cmocka_unit_test(test_eviction_order),
        cmocka_unit_test(test_larger_than_cache),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_damaged_large),
        cmocka_unit_test(test_files_deleted),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_new_store),
        cmocka_unit_test(test_cache_deleted),
    };
    log_set_stderr(false); /* the damage is made on purpose */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
