/*
 * bench_data.c -- how long the data layer takes for its common calls; prints a table.
 * Usage: bench_data [MESSAGES [cpu]]   (default 100000; needs a build of type Release)
 * With `cpu` it counts processor time, for a machine that does other things as well.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

static bool use_cpu_time;

static double now(void)
{
    struct timespec t;
    clock_gettime(use_cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *what, double seconds, double n)
{
    printf("%-44s %9.3f s %9.3f us each\n", what, seconds, seconds * 1e6 / n);
}

static uint32_t shuffled(uint32_t i, uint32_t n)
{
    return (uint32_t)((uint64_t)i * 7919 % n) + 1;
}

static void bench_messages(struct store *store, uint32_t n)
{
    struct store_message m[512];
    struct store_new_message made;
    CLEANUP_UIDSET struct uidset uids = {0};
    uint64_t ino;
    bool changed;
    uint64_t folder = must_inbox(store);

    double t = now();
    must_add(store, folder, 1, n);
    report("add, 500 a transaction", now() - t, n);
    t = now();
    store_checkpoint(store);
    report("checkpoint of the rest", now() - t, 1);
    assert_int_equal(store_set_listed(store, folder, 7, n + 1, 1), 0);

    for (int round = 0; round < 3; round++) {
        t = now();
        uint64_t after = 0;
        uint32_t seen = 0;
        for (int r; (r = store_read_messages(store, folder, after, m, 512)) > 0;
             seen += (uint32_t)r)
            after = m[r - 1].ino;
        assert_int_equal(seen, n);
        report("scan, 512 a call", now() - t, n);
    }
    for (int random = 0; random < 2; random++) {
        t = now();
        for (uint32_t i = 0; i < n; i++) {
            fill_message(&made, random ? shuffled(i, n) : i + 1, NULL);
            assert_int_equal(store_message_by_name(store, folder, made.name.name, m), 0);
        }
        report(random ? "by name, random" : "by name, in order", now() - t, n);
        uint64_t first = m[0].ino - m[0].uid;
        t = now();
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(
                store_message_by_ino(store, first + (random ? shuffled(i, n) : i + 1), m), 0);
        report(random ? "by inode, random" : "by inode, in order", now() - t, n);
    }
    t = now();
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(store_message_by_name(store, folder, "2026-01-01_0000_a_b~c.eml", m), -2);
    report("by name, not there", now() - t, n);
    t = now();
    assert_int_equal(store_uids(store, folder, &uids), 0);
    report("all UIDs", now() - t, n);
    t = now();
    for (uint32_t i = 0; i < n / 10; i++)
        assert_int_equal(store_set_flags(store, folder, i + 1, 8, "x", &ino, &changed), 0);
    report("flags, one a transaction", now() - t, n / 10);
}

static void bench_tree(struct store *store)
{
    enum { FOLDERS = 10000 };
    static char names[FOLDERS][24];
    static const char *paths[FOLDERS + 1];
    paths[0] = "INBOX";
    for (int i = 0; i < FOLDERS; i++) {
        snprintf(names[i], sizeof(names[i]), i % 100 ? "F%02d/Sub%05d" : "F%02d", i / 100, i);
        paths[i + 1] = names[i];
    }
    for (int round = 0; round < 2; round++) {
        double t = now();
        must_list(store, paths, FOLDERS + 1);
        report(round ? "LIST of 10,000 folders, unchanged" : "LIST of 10,000 new folders",
               now() - t, FOLDERS);
    }
}

/* Every second body is pinned. */
static void bench_pins(struct store *store, struct bodies *bodies, uint64_t first, size_t n)
{
    CLEANUP_FREE struct store_pin *pins = calloc(n, sizeof(*pins));
    bool changed;
    uint64_t bytes, limit;
    assert_non_null(pins);
    for (size_t i = 0; i < n / 2; i++)
        pins[i] = (struct store_pin){first + 2 * i, INT64_MIN};
    double t = now();
    assert_int_equal(store_set_pins(store, pins, n / 2, &changed), 0);
    report("pins, set", now() - t, (double)n / 2);
    bodies_pins_changed(bodies);
    t = now();
    bodies_pinned(bodies, &bytes, &limit);
    report("pins, count what they keep", now() - t, (double)n);
}

static void bench_bodies(struct store *store, const struct dirs *dirs)
{
    enum { BODIES = 10000, SIZE = 5120 };
    struct errtext err;
    struct bodies *bodies;
    struct body *body;
    struct store_message m;
    static unsigned char data[SIZE];
    char buffer[SIZE];
    off_t offset;
    uint64_t folder = must_folder(store, "INBOX");
    assert_int_equal(store_message_by_uid(store, folder, 1, &m), 0);
    assert_int_equal(bodies_open(store, dirs->cache, 0, &bodies, &err), 0);
    fill_body(data, SIZE, 1);
    double t = now();
    for (int i = 0; i < BODIES; i++) {
        struct body_writer *w;
        assert_int_equal(body_writer_new(bodies, SIZE, &w), 0);
        assert_int_equal(body_write(w, data, SIZE), 0);
        assert_int_equal(body_finish(w), 0);
        assert_int_equal(body_commit(w, m.ino + (uint64_t)i), 0);
        body_writer_free(w);
    }
    report("body of 5 KB, write", now() - t, BODIES);
    for (int round = 0; round < 2; round++) {
        t = now();
        for (int i = 0; i < BODIES; i++) {
            assert_int_equal(body_open(bodies, m.ino + (uint64_t)i, &body), 0);
            int fd = body_fd(body, &offset);
            assert_int_equal(pread(fd, buffer, SIZE, offset), SIZE);
            body_close(body);
        }
        report("body of 5 KB, open, read, close", now() - t, BODIES);
    }
    bench_pins(store, bodies, m.ino, BODIES);
    t = now();
    bodies_close(bodies);
    assert_int_equal(bodies_open(store, dirs->cache, 1 << 20, &bodies, &err), 0);
    report("bodies: evict, half carried over", now() - t, BODIES);
    bool changed;
    assert_int_equal(store_set_pins(store, NULL, 0, &changed), 0);
    t = now();
    bodies_close(bodies);
    assert_int_equal(bodies_open(store, dirs->cache, 1 << 20, &bodies, &err), 0);
    report("bodies: open and evict", now() - t, BODIES / 2);
    bodies_close(bodies);
}

static void bench_removal(struct store *store, uint32_t n)
{
    CLEANUP_UIDSET struct uidset uids = {0};
    assert_int_equal(uidset_add(&uids, 1, UINT32_MAX), 0);
    double t = now();
    assert_int_equal(store_remove_messages(store, must_folder(store, "INBOX"), &uids, NULL, NULL),
                     0);
    report("remove all", now() - t, n);
}

int main(int argc, char **argv)
{
    struct dirs dirs;
    struct rusage usage;
    uint64_t n = 100000;
    if (argc > 1)
        assert_int_equal(parse_u64(argv[1], 10000000, &n), 0);
    use_cpu_time = argc > 2;
    dirs_make(&dirs, NULL);
    double t = now();
    struct store *store = must_open(&dirs);
    report("make a new store", now() - t, 1);
    bench_messages(store, (uint32_t)n);
    bench_tree(store);
    bench_bodies(store, &dirs);
    t = now();
    store_close(store);
    report("close", now() - t, 1);
    t = now();
    store = must_open(&dirs);
    report("open again", now() - t, 1);
    bench_removal(store, (uint32_t)n);
    store_close(store);
    dirs_remove(&dirs);
    getrusage(RUSAGE_SELF, &usage);
    printf("peak memory %ld MiB\n", usage.ru_maxrss / 1024);
    return 0;
}
