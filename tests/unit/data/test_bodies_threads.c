/* Several threads commit, open, drop, remove, pin and evict at once; for ThreadSanitizer above
 * all. */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

enum { MESSAGES = 200, ROUNDS = 150, WRITERS = 3, READERS = 2 };

struct shared {
    struct store *store;
    struct bodies *bodies;
    uint64_t inbox;
    uint64_t first;
    atomic_bool stop;
    atomic_int found, wrong;
};

struct worker {
    struct shared *shared;
    uint32_t seed;
    pthread_t thread;
};

static uint32_t next(uint32_t *x)
{
    *x = *x * 1664525 + 1013904223;
    return *x >> 8;
}

/* The length of a body depends on its message, its bytes on the inode: any version is right. */
static size_t length_of(uint64_t ino)
{
    return ino % 37 == 0 ? 1100000 : ino % 5 == 0 ? 200000 : 1000 + ino % 1000;
}

static void *write_some(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t ino = w->shared->first + next(&w->seed) % MESSAGES;
        int r = write_body(w->shared->bodies, ino, length_of(ino), ino);
        if (r != 0 && r != -ENOENT)
            w->shared->wrong++;
        if (next(&w->seed) % 16 == 0)
            (void)!body_drop(w->shared->bodies, ino);
    }
    return NULL;
}

static bool bytes_are_right(const struct body *body, uint64_t ino)
{
    size_t n = length_of(ino);
    off_t offset;
    int fd = body_fd(body, &offset);
    CLEANUP_FREE unsigned char *want = malloc(n);
    CLEANUP_FREE unsigned char *got = malloc(n);
    if (!want || !got || body_size(body) != n)
        return false;
    fill_body(want, n, ino);
    return pread_full(fd, got, n, offset) == (ssize_t)n && memcmp(want, got, n) == 0;
}

static void *read_some(void *arg)
{
    struct worker *w = arg;
    while (!w->shared->stop) {
        struct body *body;
        struct store_message m;
        uint64_t bytes;
        uint64_t count;
        uint64_t ino = w->shared->first + next(&w->seed) % MESSAGES;
        int r = body_open(w->shared->bodies, ino, &body);
        if (r == 0) {
            w->shared->found++;
            if (!bytes_are_right(body, ino))
                w->shared->wrong++;
            body_close(body);
        } else if (r != -ENOENT) {
            w->shared->wrong++;
        }
        r = store_message_by_ino(w->shared->store, ino, &m);
        if (r != 0 && r != -ENOENT)
            w->shared->wrong++;
        bodies_stat(w->shared->bodies, &bytes, &count);
        if (count > MESSAGES)
            w->shared->wrong++;
    }
    return NULL;
}

/* Others are pinned than before. */
static void change_pins(struct worker *w, uint32_t round)
{
    struct store_pin pins[MESSAGES];
    size_t n = 0;
    bool changed;
    for (uint64_t i = round % 7; i < MESSAGES; i += 7)
        pins[n++] = (struct store_pin){w->shared->first + i, INT64_MIN};
    if (store_set_pins(w->shared->store, pins, n, &changed) < 0)
        w->shared->wrong++;
    bodies_pins_changed(w->shared->bodies);
}

static void *remove_some(void *arg)
{
    struct worker *w = arg;
    for (uint32_t uid = 1; uid <= MESSAGES / 4; uid++) {
        CLEANUP_UIDSET struct uidset uids = {0};
        if (uidset_add(&uids, uid, uid) < 0 ||
            store_remove_messages(w->shared->store, w->shared->inbox, &uids, NULL, NULL) < 0)
            w->shared->wrong++;
        store_checkpoint(w->shared->store);
        if (uid % 4 == 0)
            change_pins(w, uid / 4);
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct dirs *dirs = *state;
    struct errtext err;
    struct shared shared = {.store = must_open(dirs)};
    struct store_message m;
    struct worker workers[WRITERS + READERS + 1];
    uint64_t bytes = 0;
    uint64_t count = 0;
    uint64_t messages = 0;
    uint64_t cached = 0;
    assert_int_equal(bodies_open(shared.store, dirs->cache, 4 << 20, &shared.bodies, &err), 0);
    shared.inbox = must_inbox(shared.store);
    must_add(shared.store, shared.inbox, 1, MESSAGES);
    assert_int_equal(store_message_by_uid(shared.store, shared.inbox, 1, &m), 0);
    shared.first = m.ino;
    for (uint32_t i = 0; i < WRITERS + READERS + 1; i++) {
        workers[i] = (struct worker){.shared = &shared, .seed = i};
        void *(*work)(void *) = i < WRITERS ? write_some : i == WRITERS ? remove_some : read_some;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i <= WRITERS; i++)
        pthread_join(workers[i].thread, NULL);
    shared.stop = true;
    for (uint32_t i = WRITERS + 1; i < WRITERS + READERS + 1; i++)
        pthread_join(workers[i].thread, NULL);
    assert_int_equal(shared.wrong, 0);
    assert_true(shared.found > 0);
    bodies_stat(shared.bodies, &bytes, &count);
    assert_int_equal(store_folder_counts(shared.store, shared.inbox, &messages, &cached), 0);
    assert_int_equal(messages, MESSAGES - MESSAGES / 4);
    assert_int_equal(cached, count);
    size_t exist = 0;
    for (uint64_t ino = shared.first; ino < shared.first + MESSAGES; ino++)
        exist += body_exists(shared.bodies, ino);
    assert_int_equal(exist, count);
    bodies_close(shared.bodies);
    store_close(shared.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_threads, dirs_setup, dirs_teardown),
    };
    log_set_stderr(false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
