/* Pins: what eviction leaves alone, carries over, and how it ends when there is too much of it. */
#include "bodies_setup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "segment.h"
#include "store_db.h"

#define SIZE  100000 /* ten in a segment of the smallest kind */
#define LIMIT (4 * MIB)

static void pin(struct setup *s, const struct store_pin *pins, size_t n, bool changed)
{
    bool got = !changed;
    assert_int_equal(store_set_pins(s->store, pins, n, &got), 0);
    assert_int_equal(got, changed);
    bodies_pins_changed(s->bodies);
}

/* Pins UIDs first, first + step ... up to 99. */
static void pin_some(struct setup *s, uint32_t first, uint32_t step)
{
    struct store_pin pins[100];
    size_t n = 0;
    for (uint32_t uid = first; uid < 100; uid += step)
        pins[n++] = (struct store_pin){s->ino[uid], INT64_MIN};
    pin(s, pins, n, true);
}

static int write_pinned(struct setup *s, uint32_t uid, size_t n)
{
    CLEANUP(body_writer_freep) struct body_writer *w = NULL;
    CLEANUP_FREE unsigned char *data = malloc(n);
    assert_non_null(data);
    fill_body(data, n, uid);
    assert_int_equal(body_writer_new(s->bodies, n, &w), 0);
    body_writer_pin(w);
    assert_int_equal(body_write(w, data, n), 0);
    int r = body_finish(w);
    return r < 0 ? r : body_commit(w, s->ino[uid]);
}

static uint64_t bytes_of(struct setup *s)
{
    uint64_t bytes, count;
    uint64_t messages, cached;
    bodies_stat(s->bodies, &bytes, &count);
    assert_int_equal(store_folder_counts(s->store, s->inbox, &messages, &cached), 0);
    assert_int_equal(cached, count);
    return bytes;
}

static uint64_t pinned_bytes(struct setup *s)
{
    uint64_t bytes, limit;
    bodies_pinned(s->bodies, &bytes, &limit);
    assert_true(limit <= bodies_limit(s->bodies));
    return bytes;
}

/* ---- the table */

static void test_table(void **state)
{
    (void)state;
    struct setup s;
    struct store_pinned rows[100];
    bool any = true;
    begin(&s, 0, NULL);
    assert_int_equal(store_has_pins(s.store, &any), 0);
    assert_false(any);
    pin(&s, NULL, 0, false);
    /* INTERNALDATE of UID n is 1700000000 + n. */
    const struct store_pin pins[] = {{s.ino[50], INT64_MIN},
                                     {s.inbox, 1700000098},
                                     {s.inbox, 1700000097},
                                     {s.inbox, 1700000099},
                                     {12345, 0}};
    pin(&s, pins, ARRAY_LEN(pins), true);
    const struct store_pin same[] = {
        {12345, 0}, {s.inbox, 1700000097}, {s.ino[50], INT64_MIN}, {12345, 9}};
    pin(&s, same, ARRAY_LEN(same), false);
    assert_int_equal(write_body(s.bodies, s.ino[98], 2000, 98), 0);
    for (int round = 0; round < 2; round++) {
        int n = store_read_pinned(s.store, s.inbox, s.ino[1], rows, 100);
        assert_int_equal(n, 98);
        for (int i = 0; i < n; i++) {
            uint32_t uid = (uint32_t)i + 2;
            assert_int_equal(rows[i].ino, s.ino[uid]);
            assert_int_equal(rows[i].size, 1000 + uid);
            assert_int_equal(rows[i].pinned, uid == 50 || uid >= 97);
            assert_int_equal(rows[i].cached, uid == 98);
        }
        assert_int_equal(store_read_pinned(s.store, s.inbox, s.ino[90], rows, 3), 3);
        assert_int_equal(store_read_pinned(s.store, s.inbox, s.ino[99], rows, 3), 0);
        assert_int_equal(pinned_bytes(&s), 2000 + RECORD_SIZE);
        close_all(&s);
        open_all(&s, 0);
    }
    pin(&s, pins, 1, true);
    assert_int_equal(pinned_bytes(&s), 0);
    pin(&s, NULL, 0, true);
    end(&s);
}

/* ---- eviction */

/* Pinned bodies stand among others, which are read, many times what fits. */
static void test_carried_over(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, LIMIT, NULL);
    pin_some(&s, 1, 7);
    for (uint32_t uid = 1; uid < 100; uid++) {
        assert_int_equal(write_body(s.bodies, s.ino[uid], SIZE, uid), 0);
        assert_true(bytes_of(&s) <= LIMIT);
    }
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t uid = 2; uid < 100; uid++)
            if (uid % 7 != 1)
                assert_int_equal(write_body(s.bodies, s.ino[uid], SIZE, uid), 0);
        assert_true(bytes_of(&s) <= LIMIT);
        for (uint32_t uid = 1; uid < 100; uid += 7)
            assert_int_equal(check_body(s.bodies, s.ino[uid], SIZE, uid), 0);
        assert_false(body_exists(s.bodies, s.ino[2]));
        close_all(&s);
        open_all(&s, LIMIT);
    }
    assert_int_equal(pinned_bytes(&s), 15 * (SIZE + RECORD_SIZE));
    end(&s);
}

/* Large ones have their own file; it stays where it is. */
static void test_large(void **state)
{
    (void)state;
    struct setup s;
    struct body_row before, after;
    begin(&s, 8 * MIB, NULL);
    assert_int_equal(write_body(s.bodies, s.ino[1], 2 * MIB, 1), 0);
    pin_some(&s, 1, 99);
    assert_int_equal(store_body_get(s.store, s.ino[1], &before), 0);
    for (uint32_t uid = 2; uid < 30; uid++)
        assert_int_equal(write_body(s.bodies, s.ino[uid], 2 * MIB, uid), 0);
    assert_int_equal(check_body(s.bodies, s.ino[1], 2 * MIB, 1), 0);
    assert_int_equal(store_body_get(s.store, s.ino[1], &after), 0);
    assert_int_equal(before.segment, after.segment);
    assert_true(bytes_of(&s) <= 8 * MIB);
    end(&s);
}

/* What was fetched because it is pinned is never copied. */
static void test_apart(void **state)
{
    (void)state;
    struct setup s;
    struct body_row before[100], after;
    begin(&s, LIMIT, NULL);
    pin_some(&s, 1, 7);
    for (uint32_t uid = 1; uid < 100; uid++) {
        if (uid % 7 == 1)
            assert_int_equal(write_pinned(&s, uid, SIZE), 0);
        else
            assert_int_equal(write_body(s.bodies, s.ino[uid], SIZE, uid), 0);
        assert_int_equal(store_body_get(s.store, s.ino[uid], &before[uid]), 0);
    }
    for (uint32_t uid = 1; uid < 100; uid += 7) {
        assert_int_equal(store_body_get(s.store, s.ino[uid], &after), 0);
        assert_int_equal(before[uid].segment, after.segment);
        assert_int_equal(before[uid].offset, after.offset);
    }
    assert_true(bytes_of(&s) <= LIMIT);
    end(&s);
}

/* More is pinned than fits: nothing of it goes, eviction ends, and all else is bounded. */
static void test_too_much(void **state)
{
    (void)state;
    struct setup s;
    uint64_t pinned, limit;
    begin(&s, 64 * MIB, NULL);
    for (uint32_t uid = 1; uid <= 80; uid++)
        assert_int_equal(write_body(s.bodies, s.ino[uid], SIZE, uid), 0);
    const struct store_pin all = {s.inbox, INT64_MIN};
    pin(&s, &all, 1, true);
    close_all(&s);
    open_all(&s, LIMIT);
    bodies_pinned(s.bodies, &pinned, &limit);
    assert_int_equal(pinned, 80 * (SIZE + RECORD_SIZE));
    assert_int_equal(limit, LIMIT / 2);
    pin_some(&s, 1, 2); /* and now every second one: 4 MB of them */
    for (uint32_t round = 0; round < 5; round++)
        for (uint32_t uid = 82; uid < 100; uid += 2) {
            assert_int_equal(write_body(s.bodies, s.ino[uid], SIZE, uid), 0);
            assert_true(bytes_of(&s) <= pinned_bytes(&s) * 9 / 8 + 2 * s.bodies->segment_max);
        }
    for (uint32_t uid = 1; uid <= 80; uid += 2)
        assert_int_equal(check_body(s.bodies, s.ino[uid], SIZE, uid), 0);
    pin(&s, NULL, 0, true);
    assert_int_equal(write_body(s.bodies, s.ino[99], SIZE, 99), 0);
    assert_true(bytes_of(&s) <= LIMIT);
    end(&s);
}

/* `since`, and a message that is no longer pinned. */
static void test_unpinned(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, LIMIT, NULL);
    const struct store_pin newest = {s.inbox, 1700000090};
    pin(&s, &newest, 1, true);
    for (uint32_t uid = 99; uid > 0; uid--)
        assert_int_equal(write_body(s.bodies, s.ino[uid], SIZE, uid), 0);
    for (uint32_t uid = 90; uid < 100; uid++)
        assert_int_equal(check_body(s.bodies, s.ino[uid], SIZE, uid), 0);
    const struct store_pin fewer = {s.inbox, 1700000098};
    pin(&s, &fewer, 1, true);
    for (uint32_t uid = 80; uid > 0; uid--)
        assert_int_equal(write_body(s.bodies, s.ino[uid], SIZE, uid), 0);
    assert_false(body_exists(s.bodies, s.ino[90]));
    assert_int_equal(check_body(s.bodies, s.ino[99], SIZE, 99), 0);
    end(&s);
}

/* A body that has rotted is not carried over. */
static void test_damaged(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, LIMIT, NULL);
    pin_some(&s, 1, 40);
    for (uint32_t uid = 1; uid < 10; uid++)
        assert_int_equal(write_body(s.bodies, s.ino[uid], SIZE, uid), 0);
    CLEANUP_FREE char *path = str_printf("%s/bodies/00000001.seg", s.dirs.cache);
    damage(path, 5000, 1);
    for (uint32_t uid = 10; uid < 100; uid++)
        assert_int_equal(write_body(s.bodies, s.ino[uid], SIZE, uid), 0);
    assert_false(body_exists(s.bodies, s.ino[1]));
    assert_int_equal(check_body(s.bodies, s.ino[41], SIZE, 41), 0);
    assert_true(bytes_of(&s) <= LIMIT);
    end(&s);
}

/* ---- kill -9 while bodies are carried over */

/* Writes and evicts until it is killed. */
static void churn(struct setup *s)
{
    open_all(s, LIMIT);
    for (;;)
        for (uint32_t uid = 40; uid < 100; uid++)
            if (write_body(s->bodies, s->ino[uid], SIZE, uid) < 0)
                _exit(1);
}

static void test_killed(void **state)
{
    (void)state;
    struct setup s;
    begin(&s, LIMIT, NULL);
    struct store_pin pins[10];
    for (uint32_t i = 0; i < 10; i++)
        pins[i] = (struct store_pin){s.ino[i + 1], INT64_MIN};
    pin(&s, pins, 10, true);
    for (uint32_t round = 0; round < 12; round++) {
        /* Among others again, so that they must be carried over again. */
        for (uint32_t uid = 1; uid <= 30; uid++)
            assert_int_equal(write_body(s.bodies, s.ino[uid % 3 ? uid + 9 : uid / 3], SIZE,
                                        uid % 3 ? uid + 9 : uid / 3),
                             0);
        close_all(&s);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            churn(&s);
        usleep(1000 + round * 3000); /* any moment will do */
        assert_int_equal(kill(pid, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        open_all(&s, LIMIT);
        for (uint32_t uid = 1; uid <= 10; uid++)
            assert_int_equal(check_body(s.bodies, s.ino[uid], SIZE, uid), 0);
        assert_true(bytes_of(&s) <= LIMIT);
    }
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),    cmocka_unit_test(test_carried_over),
        cmocka_unit_test(test_large),    cmocka_unit_test(test_apart),
        cmocka_unit_test(test_too_much), cmocka_unit_test(test_unpinned),
        cmocka_unit_test(test_damaged),  cmocka_unit_test(test_killed),
    };
    log_set_stderr(false); /* the damage is made on purpose */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
