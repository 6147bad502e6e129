/* Opening and closing, small values, the plans of all statements, damage, and inode numbers. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "store_db.h"

static char *path_in(const char *dir, const char *name)
{
    char *path = str_printf("%s/%s", dir, name);
    assert_non_null(path);
    return path;
}

static void write_file(const char *dir, const char *name, const char *text)
{
    assert_int_equal(mkdir_private(dir), 0);
    assert_int_equal(file_replace(dir, name, text, strlen(text)), 0);
}

static unsigned file_epoch(const struct dirs *dirs, enum epoch_state *ret_state)
{
    struct epoch epoch;
    assert_int_equal(epoch_load(dirs->state, &epoch), 0);
    assert_true(epoch.known && epoch.same_boot);
    if (ret_state)
        *ret_state = epoch.state;
    return epoch.epoch;
}

/* ---- statements */

static void plan_of(sqlite3 *db, const char *sql, struct str *out)
{
    sqlite3_stmt *st = NULL;
    CLEANUP_FREE char *explain = str_printf("EXPLAIN QUERY PLAN %s", sql);
    assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        if (out->len)
            str_append_text(out, "; ");
        str_append_text(out, (const char *)sqlite3_column_text(st, 3));
    }
    sqlite3_finalize(st);
    assert_int_equal(str_append_text(out, ""), 0);
}

static void test_plans(void **state)
{
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    must_add(store, inbox, 1, 2000);
    size_t scans = 0;
    for (size_t i = 0; i < STMT_COUNT; i++) {
        CLEANUP_STR struct str plan = STR_INIT(4096);
        const struct stmt_def *def = &store_stmt_defs[i];
        assert_non_null(def->name);
        plan_of(store->db, def->sql, &plan);
        if (strcmp(plan.data, def->plan) != 0)
            fail_msg("%s: planned as `%s`, expected `%s`", def->name, plan.data, def->plan);
        scans += strstr(plan.data, "SCAN") != NULL;
        assert_null(strstr(plan.data, "TEMP B-TREE"));
    }
    /* folder_all, segment_all and pin_all, see stmt.c. */
    assert_int_equal(scans, 3);
    store_close(store);
}

static void test_pragmas(void **state)
{
    static const struct {
        const char *pragma, *value;
    } rows[] = {{"journal_mode", "wal"},
                {"locking_mode", "exclusive"},
                {"synchronous", "0"},
                {"wal_autocheckpoint", "0"},
                {"mmap_size", "0"},
                {"foreign_keys", "0"},
                {"application_id", "1835885361"},
                {"user_version", "2"}};
    struct dirs *dirs = *state;
    struct store *store = must_open(dirs);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        sqlite3_stmt *st = NULL;
        CLEANUP_FREE char *sql = str_printf("PRAGMA %s", rows[i].pragma);
        assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(st, 0), rows[i].value);
        sqlite3_finalize(st);
    }
    CLEANUP_FREE char *shm = path_in(dirs->cache, "cache.db-shm");
    assert_int_equal(access(shm, F_OK), -1);
    CLEANUP_FREE char *db = path_in(dirs->cache, "cache.db");
    struct stat st;
    assert_int_equal(stat(db, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    store_close(store);
}

/* ---- small values */

static void test_meta(void **state)
{
    CLEANUP_STR struct str out = STR_INIT(100);
    struct store *store = must_open(*state);
    assert_int_equal(store_get_meta(store, "prefix", &out), -ENOENT);
    assert_int_equal(store_set_meta(store, "prefix", "INBOX."), 0);
    assert_int_equal(store_set_meta(store, "prefix", "INBOX/"), 0);
    store_close(store);
    store = must_open(*state);
    assert_int_equal(store_get_meta(store, "prefix", &out), 0);
    assert_string_equal(out.data, "INBOX/");
    store_close(store);
}

/* ---- opening what is there */

static void test_refusals(void **state)
{
    struct dirs *dirs = *state;
    struct errtext err;
    struct store *store = NULL;
    struct store *second = NULL;
    assert_int_equal(mkdir(dirs->cache, 0755), 0);
    assert_int_equal(chmod(dirs->cache, 0755), 0);
    assert_int_equal(store_open(dirs->cache, dirs->state, IDENTITY, &store, &err), -EPERM);
    assert_non_null(strstr(err.text, dirs->cache));
    assert_int_equal(chmod(dirs->cache, 0700), 0);
    store = must_open(dirs);
    /* Locks between processes; in one process the second would share them. */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(store_open(dirs->cache, dirs->state, IDENTITY, &second, &err) == -EBUSY ? 0 : 1);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    store_close(store);
    write_file(dirs->state, "epoch", "65535 damaged x\n");
    assert_int_equal(store_open(dirs->cache, dirs->state, IDENTITY, &store, &err), -EOVERFLOW);
}

enum reopening { KEPT, ANEW };

struct opening {
    const char *name;
    void (*spoil)(const struct dirs *dirs);
    enum reopening want;
};

static void spoil_nothing(const struct dirs *dirs)
{
    (void)dirs;
}
static void spoil_header(const struct dirs *dirs)
{
    CLEANUP_FREE char *db = path_in(dirs->cache, "cache.db");
    damage(db, 0, 16);
}
static void spoil_schema(const struct dirs *dirs)
{
    CLEANUP_FREE char *db = path_in(dirs->cache, "cache.db");
    damage(db, 100, 300);
}
static void spoil_empty(const struct dirs *dirs)
{
    CLEANUP_FREE char *db = path_in(dirs->cache, "cache.db");
    assert_int_equal(truncate(db, 0), 0);
}
static void spoil_cut(const struct dirs *dirs)
{
    CLEANUP_FREE char *db = path_in(dirs->cache, "cache.db");
    assert_int_equal(truncate(db, 8192), 0);
}
static void spoil_text(const struct dirs *dirs)
{
    write_file(dirs->cache, "cache.db", "this is no database, whatever it may look like\n");
}
static void spoil_version(const struct dirs *dirs)
{
    sqlite3 *db;
    CLEANUP_FREE char *path = path_in(dirs->cache, "cache.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}
static void spoil_identity(const struct dirs *dirs)
{
    sqlite3 *db;
    CLEANUP_FREE char *path = path_in(dirs->cache, "cache.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE meta SET value='bob' WHERE key='store.identity'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}
static void spoil_gone(const struct dirs *dirs)
{
    CLEANUP_FREE char *db = path_in(dirs->cache, "cache.db");
    assert_int_equal(unlink(db), 0);
}
static void spoil_epoch_gone(const struct dirs *dirs)
{
    CLEANUP_FREE char *path = path_in(dirs->state, "epoch");
    assert_int_equal(unlink(path), 0);
}
static void spoil_epoch_garbage(const struct dirs *dirs)
{
    write_file(dirs->state, "epoch", "what is this\n");
}
static void spoil_power_cut(const struct dirs *dirs)
{
    write_file(dirs->state, "epoch", "1 dirty 00000000-0000-0000-0000-000000000000\n");
}
static void spoil_reboot(const struct dirs *dirs)
{
    write_file(dirs->state, "epoch", "1 clean 00000000-0000-0000-0000-000000000000\n");
}
static void spoil_marked(const struct dirs *dirs)
{
    write_file(dirs->state, "epoch", "1 damaged 00000000-0000-0000-0000-000000000000\n");
}
static void spoil_older(const struct dirs *dirs)
{
    write_file(dirs->state, "epoch", "5 clean 00000000-0000-0000-0000-000000000000\n");
}

static const struct opening openings[] = {
    {"nothing", spoil_nothing, KEPT},
    {"reboot", spoil_reboot, KEPT},
    {"header", spoil_header, ANEW},
    {"schema", spoil_schema, ANEW},
    {"empty", spoil_empty, ANEW},
    {"cut", spoil_cut, ANEW},
    {"text", spoil_text, ANEW},
    {"version", spoil_version, ANEW},
    {"identity", spoil_identity, ANEW},
    {"gone", spoil_gone, ANEW},
    {"epoch gone", spoil_epoch_gone, ANEW},
    {"epoch garbage", spoil_epoch_garbage, ANEW},
    {"power cut", spoil_power_cut, ANEW},
    {"marked", spoil_marked, ANEW},
    {"older cache", spoil_older, ANEW},
};

static void test_openings(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(openings); i++) {
        const struct opening *o = &openings[i];
        struct dirs dirs;
        struct store_message m;
        dirs_make(&dirs, NULL);
        struct store *store = must_open(&dirs);
        uint64_t inbox = must_inbox(store);
        must_add(store, inbox, 1, 600);
        assert_int_equal(store_message_by_uid(store, inbox, 600, &m), 0);
        uint64_t highest = m.ino;
        store_close(store);
        assert_int_equal(file_epoch(&dirs, NULL), 1);
        o->spoil(&dirs);
        store = must_open(&dirs);
        int r = store_message_by_ino(store, highest, &m);
        if (r != (o->want == KEPT ? 0 : -ENOENT))
            fail_msg("%s: %d", o->name, r);
        CLEANUP_FREE char *aside = path_in(dirs.cache, "cache.db.damaged");
        bool was_there = o->spoil != spoil_gone && o->want == ANEW;
        if ((access(aside, F_OK) == 0) != was_there)
            fail_msg("%s: set aside wrongly", o->name);
        /* A number given before is never given again. */
        inbox = must_inbox(store);
        if (inbox <= highest && o->spoil != spoil_epoch_gone && o->spoil != spoil_epoch_garbage &&
            o->want == ANEW)
            fail_msg("%s: inode %llx after %llx", o->name, (unsigned long long)inbox,
                     (unsigned long long)highest);
        assert_true(o->want == KEPT || inbox >> EPOCH_SHIFT != highest >> EPOCH_SHIFT);
        store_close(store);
        dirs_remove(&dirs);
    }
}

/* Bytes flipped anywhere: every call still ends, and one that fails says -EIO; afterwards the
 * next open works. */
static void test_flipped_bytes(void **state)
{
    (void)state;
    size_t noticed = 0;
    for (long page = 1; page < 60; page += 4) {
        struct dirs dirs;
        struct store_message m[64];
        dirs_make(&dirs, NULL);
        struct store *store = must_open(&dirs);
        uint64_t inbox = must_inbox(store);
        must_add(store, inbox, 1, 1000);
        store_close(store);
        CLEANUP_FREE char *db = path_in(dirs.cache, "cache.db");
        damage(db, page * 4096, 200);
        store = must_open(&dirs);
        uint64_t after = 0;
        bool failed = false;
        for (int r; (r = store_read_messages(store, inbox, after, m, 64)) != 0;
             after = m[r - 1].ino) {
            failed = r < 0;
            if (failed)
                assert_int_equal(r, -EIO);
            if (failed || m[r - 1].ino <= after)
                break;
        }
        for (uint32_t uid = 1; uid <= 1000; uid += 7) {
            int r = store_message_by_uid(store, inbox, uid, m);
            assert_true(r == 0 || r == -ENOENT || r == -EIO);
            failed |= r == -EIO;
        }
        store_close(store);
        enum epoch_state mark;
        unsigned epoch = file_epoch(&dirs, &mark);
        assert_true(!failed || mark == EPOCH_DAMAGED);
        noticed += failed;
        store = must_open(&dirs);
        assert_true(!failed || file_epoch(&dirs, NULL) == epoch + 1);
        store_close(store);
        dirs_remove(&dirs);
    }
    assert_true(noticed > 3);
}

/* ---- crashes */

/* Runs `work` in a process that is killed without closing anything. */
static void in_killed_process(const struct dirs *dirs, void (*work)(struct store *store))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct errtext err;
        struct store *store = NULL;
        if (store_open(dirs->cache, dirs->state, IDENTITY, &store, &err) == 0)
            work(store);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void work_add(struct store *store)
{
    must_add(store, must_folder(store, "INBOX"), 100, 199);
}

static void work_add_ten(struct store *store)
{
    must_add(store, must_folder(store, "INBOX"), 300, 309);
}

static void test_killed(void **state)
{
    struct dirs *dirs = *state;
    struct store_message m;
    enum epoch_state mark;
    struct store *store = must_open(dirs);
    uint64_t inbox = must_inbox(store);
    must_add(store, inbox, 1, 99);
    store_close(store);
    file_epoch(dirs, &mark);
    assert_int_equal(mark, EPOCH_CLEAN);

    in_killed_process(dirs, work_add);
    file_epoch(dirs, &mark);
    assert_int_equal(mark, EPOCH_DIRTY);
    store = must_open(dirs);
    assert_int_equal(store_message_by_uid(store, inbox, 199, &m), 0);
    uint64_t last = must_add_named(store, inbox, 200, NULL, NULL);
    assert_true(last > m.ino);
    store_close(store);

    /* A WAL cut short after the crash loses the ten messages, but their numbers were shown. */
    in_killed_process(dirs, work_add_ten);
    CLEANUP_FREE char *wal = path_in(dirs->cache, "cache.db-wal");
    assert_int_equal(truncate(wal, 32 + 24), 0);
    store = must_open(dirs);
    assert_int_equal(file_epoch(dirs, NULL), 1);
    assert_int_equal(store_message_by_uid(store, inbox, 309, &m), -ENOENT);
    assert_true(must_add_named(store, inbox, 1000, NULL, NULL) > last + 10);
    store_close(store);
}

static void test_highest_deleted(void **state)
{
    CLEANUP_UIDSET struct uidset uids = {0};
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    uint64_t highest = 0;
    assert_int_equal(uidset_add(&uids, 1, UINT32_MAX), 0);
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t uid = 1; uid <= 3; uid++) {
            uint64_t ino = must_add_named(store, inbox, uid, NULL, NULL);
            assert_true(ino > highest);
            highest = ino;
        }
        assert_int_equal(store_remove_messages(store, inbox, &uids, NULL, NULL), 0);
        if (round & 1) {
            store_close(store);
            store = must_open(*state);
        }
    }
    store_close(store);
}

/* Durable after a pause in writing, not durable any more with the next write. */
static void test_clean_when_idle(void **state)
{
    struct dirs *dirs = *state;
    enum epoch_state mark;
    struct store *store = must_open(dirs);
    uint64_t inbox = must_inbox(store);
    must_add(store, inbox, 1, 10);
    store_checkpoint(store);
    file_epoch(dirs, &mark);
    assert_int_equal(mark, EPOCH_DIRTY);
    store->last_write_ms = clock_mono_ms() - 3600000;
    store_checkpoint(store);
    file_epoch(dirs, &mark);
    assert_int_equal(mark, EPOCH_CLEAN);
    assert_int_equal(store_set_meta(store, "a", "b"), 0);
    file_epoch(dirs, &mark);
    assert_int_equal(mark, EPOCH_DIRTY);
    store_close(store);
}

static void test_checkpoint(void **state)
{
    struct dirs *dirs = *state;
    struct stat st;
    CLEANUP_FREE char *db = path_in(dirs->cache, "cache.db");
    CLEANUP_FREE char *wal = path_in(dirs->cache, "cache.db-wal");
    struct store *store = must_open(dirs);
    uint64_t inbox = must_inbox(store);
    must_add(store, inbox, 1, 60000);
    /* Without the thread the WAL is bounded all the same. */
    assert_int_equal(stat(wal, &st), 0);
    assert_in_range(st.st_size, 1, 20 << 20);
    store_checkpoint(store);
    assert_true(store->wal_frames < 1000);
    assert_int_equal(stat(db, &st), 0);
    assert_in_range(st.st_size, 2 << 20, 40 << 20);
    store_close(store);
    assert_int_equal(stat(wal, &st), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plans, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_pragmas, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_meta, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, dirs_setup, dirs_teardown),
        cmocka_unit_test(test_openings),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test_setup_teardown(test_killed, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_highest_deleted, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_clean_when_idle, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_checkpoint, dirs_setup, dirs_teardown),
    };
    log_set_stderr(false); /* the damage is made on purpose */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
