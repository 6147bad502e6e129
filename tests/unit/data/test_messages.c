/* Messages: added, named, changed, removed; and a random walk against a simple model. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flags.h"
#include "store_db.h"

#define PLAIN     "2026-01-01_0000_a_b~aaaaaa.eml"
#define TWIN(uid) "2026-01-01_0000_a_b~aaaaaa." #uid ".eml"

static void test_fields(void **state)
{
    struct store_message m;
    struct store_new_message batch[3];
    CLEANUP_STR struct str text = STR_INIT(1000);
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    for (uint32_t i = 0; i < 3; i++)
        fill_message(&batch[i], 30 - i * 10, NULL);
    batch[1].flags = FLAG_SEEN | FLAG_RECENT | FLAG_DRAFT;
    batch[1].keywords = "$Forwarded work";
    batch[1].internaldate = -5;
    batch[1].zone = -330;
    batch[1].size = UINT64_MAX;
    batch[1].name.date = 1234567890123;
    assert_int_equal(store_add_messages(store, inbox, batch, 3), 0);
    /* Inodes ascend with UIDs, however they came. */
    assert_true(batch[2].ino < batch[1].ino && batch[1].ino < batch[0].ino);
    assert_int_equal(store_message_by_uid(store, inbox, 20, &m), 0);
    assert_int_equal(m.ino, batch[1].ino);
    assert_int_equal(m.folder, inbox);
    assert_int_equal(m.uid, 20);
    assert_int_equal(m.flags, FLAG_SEEN | FLAG_DRAFT);
    assert_int_equal(m.size, INT64_MAX);
    assert_false(m.size_exact);
    assert_int_equal(m.internaldate, -5);
    assert_int_equal(m.zone, -330);
    assert_int_equal(m.date, 1234567890123);
    assert_string_equal(m.name, batch[1].name.name);
    assert_int_equal(store_message_keywords(store, m.ino, &text), 0);
    assert_string_equal(text.data, "$Forwarded work");
    str_clear(&text);
    assert_int_equal(store_message_id(store, m.ino, &text), 0);
    assert_string_equal(text.data, batch[1].message_id);
    assert_int_equal(store_message_by_name(store, inbox, batch[0].name.name, &m), 0);
    assert_int_equal(m.uid, 30);
    assert_int_equal(store_message_by_name(store, inbox + 1, batch[0].name.name, &m), -ENOENT);
    assert_int_equal(store_message_by_name(store, inbox, "nothing", &m), -ENOENT);
    assert_int_equal(store_message_by_ino(store, batch[2].ino, &m), 0);
    assert_int_equal(m.uid, 10);
    assert_int_equal(store_message_by_ino(store, 3, &m), -ENOENT);
    assert_int_equal(store_message_id(store, 3, &text), -ENOENT);

    fill_message(&batch[0], 20, "another-name.eml");
    assert_int_equal(store_add_messages(store, inbox, batch, 1), 0);
    assert_int_equal(batch[0].ino, 0);
    assert_int_equal(store_message_by_name(store, inbox, "another-name.eml", &m), -ENOENT);
    fill_message(&batch[0], 0, NULL);
    assert_int_equal(store_add_messages(store, inbox, batch, 1), -EINVAL);
    assert_int_equal(store_add_messages(store, inbox, batch, STORE_BATCH_MAX + 1), -EINVAL);
    assert_int_equal(store_add_messages(store, inbox + 99, &batch[1], 1), -ENOENT);
    store_close(store);
}

/* ---- twins */

struct twins {
    const char *what;
    bool listed;          /* between the first batch and the second */
    uint32_t batch[2][4]; /* UIDs, all with one name */
    const char *want[5];  /* by UID from 1 */
};

static const struct twins twins[] = {
    {"one batch", false, {{3, 1, 2}}, {PLAIN, TWIN(2), TWIN(3)}},
    {"ascending", false, {{1}, {2}}, {PLAIN, TWIN(2)}},
    {"lower comes later", false, {{3, 2}, {1}}, {PLAIN, TWIN(2), TWIN(3)}},
    {"lower comes later in a batch",
     false,
     {{5}, {4, 2, 3}},
     {"", PLAIN, TWIN(3), TWIN(4), TWIN(5)}},
    {"listed: names stay", true, {{3}, {1, 2}}, {TWIN(1), TWIN(2), PLAIN}},
    {"the same again", false, {{2, 3}, {2, 3}}, {"", PLAIN, TWIN(3)}},
    {"twice in a batch", false, {{2, 2, 2}}, {"", PLAIN}},
};

static void add_twins(struct store *store, uint64_t folder, const uint32_t uids[4])
{
    struct store_new_message batch[4];
    size_t n = 0;
    for (; n < 4 && uids[n]; n++)
        fill_message(&batch[n], uids[n], PLAIN);
    assert_int_equal(store_add_messages(store, folder, batch, n), 0);
    for (size_t i = 0; i < n; i++) {
        struct store_message m;
        if (!batch[i].ino)
            continue;
        assert_int_equal(store_message_by_ino(store, batch[i].ino, &m), 0);
        assert_string_equal(batch[i].name.name, m.name);
    }
}

static void test_twins(void **state)
{
    struct store *store = must_open(*state);
    for (size_t i = 0; i < ARRAY_LEN(twins); i++) {
        const struct twins *t = &twins[i];
        uint64_t inbox = must_inbox(store);
        assert_int_equal(store_begin_listing(store, inbox, (uint32_t)i + 100, NULL, NULL), 0);
        add_twins(store, inbox, t->batch[0]);
        if (t->listed)
            assert_int_equal(store_set_listed(store, inbox, (uint32_t)i + 100, 9, 0), 0);
        add_twins(store, inbox, t->batch[1]);
        for (uint32_t uid = 1; uid <= 5; uid++) {
            struct store_message m = {0};
            const char *want = t->want[uid - 1] ? t->want[uid - 1] : "";
            int r = store_message_by_uid(store, inbox, uid, &m);
            if (r != (*want ? 0 : -ENOENT) || strcmp(m.name, want) != 0)
                fail_msg("%s: UID %u is `%s`, not `%s`", t->what, uid, m.name, want);
            if (*want)
                assert_int_equal(store_message_by_name(store, inbox, want, &m), 0);
        }
    }
    store_close(store);
}

static void test_names_of_folders(void **state)
{
    char name[MSGNAME_MAX + 1];
    struct store_message m;
    struct store_folder_entry entries[] = {{"INBOX", "\"INBOX\"", '/', 0},
                                           {"INBOX/" PLAIN, "x", '/', 0},
                                           {"INBOX/" TWIN(5), "y", '/', 0},
                                           {"INBOX/taken.eml", "z", '/', 0}};
    struct store *store = must_open(*state);
    assert_int_equal(store_apply_list(store, entries, 3, NULL, NULL), 0);
    uint64_t inbox = must_inbox(store);
    must_add_named(store, inbox, 4, PLAIN, name);
    assert_string_equal(name, TWIN(4));
    must_add_named(store, inbox, 5, PLAIN, name);
    assert_string_equal(name, "5.2.eml");
    assert_int_equal(store_message_by_name(store, inbox, "5.2.eml", &m), 0);

    /* A folder that comes later takes a message's name. */
    must_add_named(store, inbox, 6, "taken.eml", name);
    assert_string_equal(name, "taken.eml");
    CLEANUP_STR struct str out = STR_INIT(1000);
    struct told told = {.text = out};
    assert_int_equal(store_apply_list(store, entries, 4, tell, &told), 0);
    out = told.text;
    assert_int_equal(store_message_by_uid(store, inbox, 6, &m), 0);
    CLEANUP_FREE char *want = str_printf("-taken.eml +%s +taken.eml ", m.name);
    assert_string_equal(out.data, want);
    assert_string_not_equal(m.name, "taken.eml");
    store_close(store);
}

/* Names of one minute share the upper bits, and no name's hash moves between versions. */
static void test_hash(void **state)
{
    (void)state;
    uint64_t a = store_name_hash("2026-11-22_0930_Alice_x~aaaaaa.eml");
    uint64_t b = store_name_hash("2026-11-22_0930_Bob_y~bbbbbb.eml");
    uint64_t c = store_name_hash("2026-11-22_0931_Alice_x~aaaaaa.eml");
    assert_true(a >> 38 == b >> 38 && a != b);
    assert_true(a >> 38 < c >> 38);
    assert_true(store_name_hash("INBOX") >> 38 == 0);
    assert_true(store_name_hash("") != store_name_hash("2"));
}

/* A collision is told apart by the name. */
static void test_collision(void **state)
{
    struct store_message m;
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    uint64_t one = must_add_named(store, inbox, 1, "one.eml", NULL);
    uint64_t two = must_add_named(store, inbox, 2, "two.eml", NULL);
    CLEANUP_FREE char *sql =
        str_printf("UPDATE message SET name_hash=%lld", (long long)store_name_hash("two.eml"));
    assert_int_equal(sqlite3_exec(store->db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_message_by_name(store, inbox, "two.eml", &m), 0);
    assert_int_equal(m.ino, two);
    assert_true(one != two);
    store_close(store);
}

/* ---- changes */

static void test_flags(void **state)
{
    struct store_message before;
    struct store_message after;
    uint64_t ino = 0;
    bool changed = false;
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    uint64_t want = must_add_named(store, inbox, 2, NULL, NULL);
    assert_int_equal(store_message_by_ino(store, want, &before), 0);
    const struct {
        unsigned flags;
        const char *keywords;
        bool changed;
    } rows[] = {{0, "", false},
                {FLAG_RECENT, "", false},
                {FLAG_SEEN, "", true},
                {FLAG_SEEN, "work", true},
                {FLAG_SEEN | FLAG_RECENT, "work", false},
                {FLAG_FLAGGED, "work", true},
                {0, "", true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_STR struct str text = STR_INIT(100);
        assert_int_equal(
            store_set_flags(store, inbox, 2, rows[i].flags, rows[i].keywords, &ino, &changed), 0);
        assert_int_equal(ino, want);
        assert_int_equal(changed, rows[i].changed);
        assert_int_equal(store_message_by_ino(store, ino, &after), 0);
        assert_int_equal(after.flags, rows[i].flags & ~(unsigned)FLAG_RECENT);
        assert_true(rows[i].changed ? after.ctime_ns > before.ctime_ns
                                    : after.ctime_ns == before.ctime_ns);
        assert_int_equal(store_message_keywords(store, ino, &text), 0);
        assert_string_equal(text.data, rows[i].keywords);
        before = after;
    }
    assert_int_equal(store_set_flags(store, inbox, 3, 0, "", &ino, &changed), -ENOENT);
    store_close(store);
}

static void test_size(void **state)
{
    struct store_message m;
    bool changed = true;
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    uint64_t ino = must_add_named(store, inbox, 2, NULL, NULL);
    assert_int_equal(store_set_size(store, ino, 1002, &changed), 0);
    assert_false(changed);
    assert_int_equal(store_message_by_ino(store, ino, &m), 0);
    assert_true(m.size_exact);
    int64_t ctime = m.ctime_ns;
    assert_int_equal(store_set_size(store, ino, 5, &changed), 0);
    assert_true(changed);
    assert_int_equal(store_set_size(store, ino + 1, 5, &changed), -ENOENT);
    store_close(store);
    store = must_open(*state);
    assert_int_equal(store_message_by_ino(store, ino, &m), 0);
    assert_int_equal(m.size, 5);
    assert_true(m.ctime_ns > ctime);
    store_close(store);
}

/* ---- listings */

static void test_begin_listing(void **state)
{
    CLEANUP_STR struct str out = STR_INIT(1 << 20);
    struct told told = {.text = out};
    CLEANUP_STORE_FOLDER struct store_folder f = {0};
    uint64_t messages = 0;
    uint64_t cached = 0;
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    must_add(store, inbox, 1, 1300);
    assert_int_equal(store_set_listed(store, inbox, 7, 1301, 55), 0);
    assert_int_equal(store_begin_listing(store, inbox, 7, tell, &told), 0);
    assert_int_equal(told.n, 0);
    assert_int_equal(store_folder_by_ino(store, inbox, &f), 0);
    assert_true(f.listed && f.synced_ns > 0);
    assert_int_equal(f.uidvalidity, 7);
    assert_int_equal(f.uidnext, 1301);
    assert_int_equal(f.exists, 1300);
    assert_int_equal(f.modseq, 55);
    store_folder_release(&f);
    assert_int_equal(store_set_listed(store, inbox, 7, 47, 56), 0); /* behind the messages */
    assert_int_equal(store_folder_by_ino(store, inbox, &f), 0);
    assert_int_equal(f.uidnext, 1301);
    store_folder_release(&f);

    assert_int_equal(store_begin_listing(store, inbox, 8, tell, &told), 0);
    out = told.text;
    assert_int_equal(told.n, 1300);
    assert_int_equal(store_folder_by_ino(store, inbox, &f), 0);
    assert_false(f.listed);
    assert_int_equal(f.uidvalidity, 8);
    assert_int_equal(f.modseq, 0);
    assert_int_equal(store_folder_counts(store, inbox, &messages, &cached), 0);
    assert_int_equal(messages, 0);
    assert_int_equal(store_set_listed(store, inbox, 7, 1, 1), -ESTALE);
    assert_int_equal(store_set_listed(store, inbox, 8, 1, 1), 0);
    store_folder_release(&f);
    assert_int_equal(store_begin_listing(store, inbox, 9, NULL, NULL), 0);
    assert_int_equal(store_folder_by_ino(store, inbox, &f), 0);
    assert_false(f.listed);
    store_close(store);
}

static void test_remove(void **state)
{
    static const struct {
        const char *set;
        size_t removed;
    } rows[] = {{"1:10", 10},           {"1:20", 10},           {"5000:4294967295", 0},
                {"100,102,104:110", 9}, {"200:2999", 2800 - 0}, {"1:4294967295", 0}};
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    size_t left = 3000;
    must_add(store, inbox, 1, 3000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_STR struct str out = STR_INIT(1 << 20);
        CLEANUP_UIDSET struct uidset uids = {0};
        CLEANUP_UIDSET struct uidset have = {0};
        struct told told = {.text = out};
        size_t want = i + 1 < ARRAY_LEN(rows) ? rows[i].removed : left;
        assert_int_equal(uidset_parse(rows[i].set, strlen(rows[i].set), &uids), 0);
        assert_int_equal(store_remove_messages(store, inbox, &uids, tell, &told), 0);
        out = told.text;
        assert_int_equal(told.n, want);
        left -= want;
        assert_int_equal(store_uids(store, inbox, &have), 0);
        assert_int_equal(uidset_count(&have), left);
    }
    store_close(store);
}

static void test_uids(void **state)
{
    CLEANUP_UIDSET struct uidset have = {0};
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    must_add(store, inbox, 1000, 41500);
    assert_int_equal(uidset_add(&have, 5, 5), 0);
    assert_int_equal(store_uids(store, inbox, &have), 0);
    assert_int_equal(have.n, 2);
    assert_int_equal(have.ranges[1].first, 1000);
    assert_int_equal(have.ranges[1].last, 41500);
    store_close(store);
}

/* Through a folder of two interleaved ones, in every batch size. */
static void test_read(void **state)
{
    struct store_message m[64];
    struct store *store = must_open(*state);
    must_list(store, (const char *[]){"A", "B"}, 2);
    const uint64_t folders[] = {must_folder(store, "A"), must_folder(store, "B")};
    for (uint32_t uid = 1; uid <= 200; uid++)
        must_add(store, folders[uid % 2], uid, uid);
    for (size_t max = 1; max <= 64; max += 9) {
        uint64_t after = 0;
        size_t n = 0;
        for (int r; (r = store_read_messages(store, folders[0], after, m, max)) != 0;) {
            assert_in_range(r, 1, max);
            for (int i = 0; i < r; i++, n++) {
                assert_true(m[i].ino > after && m[i].uid % 2 == 0 && m[i].folder == folders[0]);
                after = m[i].ino;
            }
        }
        assert_int_equal(n, 100);
    }
    store_close(store);
}

/* ---- a random walk */

#define MODEL_UIDS 60

static void check_model(struct store *store, uint64_t inbox, const bool *present)
{
    struct store_message m;
    uint64_t messages = 0;
    uint64_t cached = 0;
    size_t n = 0;
    for (uint32_t uid = 1; uid < MODEL_UIDS; uid++) {
        int r = store_message_by_uid(store, inbox, uid, &m);
        assert_int_equal(r, present[uid] ? 0 : -ENOENT);
        n += present[uid];
        if (r == 0) {
            struct store_message by_name;
            assert_int_equal(store_message_by_name(store, inbox, m.name, &by_name), 0);
            assert_int_equal(by_name.ino, m.ino);
        }
    }
    assert_int_equal(store_folder_counts(store, inbox, &messages, &cached), 0);
    assert_int_equal(messages, n);
}

static void test_random(void **state)
{
    bool present[MODEL_UIDS] = {false};
    uint32_t x = 12345;
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    for (int step = 0; step < 600; step++) {
        struct store_new_message batch[8];
        CLEANUP_UIDSET struct uidset uids = {0};
        x = x * 1664525 + 1013904223;
        uint32_t first = (x >> 8) % (MODEL_UIDS - 8) + 1;
        uint32_t n = (x >> 20) % 8;
        if (x >> 30 == 0) {
            assert_int_equal(uidset_add(&uids, first, first + n), 0);
            assert_int_equal(store_remove_messages(store, inbox, &uids, NULL, NULL), 0);
            memset(present + first, 0, n + 1);
        } else {
            for (uint32_t i = 0; i < n; i++) {
                char plain[64];
                snprintf(plain, sizeof(plain), "2026-01-01_0000_a_b~aaaaa%u.eml", first % 3);
                fill_message(&batch[i], first + i, plain);
                present[first + i] = true;
            }
            assert_int_equal(store_add_messages(store, inbox, batch, n), 0);
        }
        if (step == 300)
            assert_int_equal(store_set_listed(store, inbox, 7, MODEL_UIDS, 0), 0);
        if (step % 20 == 0)
            check_model(store, inbox, present);
    }
    check_model(store, inbox, present);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fields, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_twins, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_names_of_folders, dirs_setup, dirs_teardown),
        cmocka_unit_test(test_hash),
        cmocka_unit_test_setup_teardown(test_collision, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_flags, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_size, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_begin_listing, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_remove, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_uids, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_read, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_random, dirs_setup, dirs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
