/* Complete LISTs and what becomes of the tree. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define E(path, raw, attrs)                                                                        \
    {                                                                                              \
        path, raw, '/', attrs                                                                      \
    }

static void apply(struct store *store, const struct store_folder_entry *entries, size_t n,
                  const char *want)
{
    CLEANUP_STR struct str out = STR_INIT(1 << 20);
    struct told told = {.text = out};
    assert_int_equal(store_apply_list(store, entries, n, tell, &told), 0);
    out = told.text;
    assert_string_equal(out.data ? out.data : "", want);
}

static void test_tree(void **state)
{
    static const struct store_folder_entry first[] = {
        E("INBOX", "INBOX", 0),         E("INBOX/Sub", "INBOX/Sub", 1),
        E("Archive", NULL, 0),          E("Archive/2026", "Archive/2026", 4),
        E("Archive/2026", "a twin", 9),
    };
    CLEANUP_STORE_FOLDER struct store_folder f = {0};
    CLEANUP_STORE_FOLDER struct store_folder sub = {0};
    CLEANUP_STORE_FOLDER struct store_folder by_raw = {0};
    CLEANUP_STORE_FOLDER struct store_folder other = {0};
    struct store *store = must_open(*state);
    apply(store, first, ARRAY_LEN(first), "+INBOX +Sub +Archive +2026 ");
    apply(store, first, ARRAY_LEN(first), "");
    assert_int_equal(store_folder_by_name(store, STORE_ROOT_INODE, "Archive", &f), 0);
    assert_null(f.raw);
    assert_string_equal(f.path, "Archive");
    assert_int_equal(f.parent, STORE_ROOT_INODE);
    assert_false(f.listed);
    assert_int_equal(store_folder_by_name(store, f.ino, "2026", &sub), 0);
    assert_string_equal(sub.raw, "Archive/2026");
    assert_int_equal(sub.attrs, 4);
    assert_int_equal(sub.delimiter, '/');
    assert_int_equal(store_folder_by_raw(store, "Archive/2026", &by_raw), 0);
    assert_int_equal(by_raw.ino, sub.ino);
    assert_int_equal(store_folder_by_raw(store, "a twin", &other), -ENOENT);
    assert_int_equal(store_folder_by_name(store, f.ino, "2027", &other), -ENOENT);
    assert_int_equal(store_folder_by_ino(store, 12345, &other), -ENOENT);
    store_close(store);
}

static void test_walk(void **state)
{
    struct store *store = must_open(*state);
    must_list(store, (const char *[]){"b", "b/y", "b/x", "a"}, 4);
    uint64_t b = must_folder(store, "b");
    const struct {
        uint64_t parent;
        const char *want;
    } rows[] = {{STORE_ROOT_INODE, "b a "}, {b, "y x "}, {0, "b y x a "}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_STR struct str seen = STR_INIT(100);
        uint64_t after = 0;
        for (;;) {
            CLEANUP_STORE_FOLDER struct store_folder f = {0};
            int r = rows[i].parent ? store_folder_next(store, rows[i].parent, after, &f)
                                   : store_folder_next_any(store, after, &f);
            if (r == -ENOENT)
                break;
            assert_int_equal(r, 0);
            assert_true(f.ino > after);
            after = f.ino;
            str_printf_append(&seen, "%s ", f.name);
        }
        assert_string_equal(seen.data, rows[i].want);
    }
    store_close(store);
}

/* Two complete LISTs have to agree before a folder goes; an empty one says nothing. */
static void test_removal(void **state)
{
    static const struct store_folder_entry all[] = {E("INBOX", "INBOX", 0), E("Old", "Old", 0),
                                                    E("Old/Deep", "Old/Deep", 0)};
    struct store *store = must_open(*state);
    struct store_message m;
    CLEANUP_STORE_FOLDER struct store_folder f = {0};
    apply(store, all, 3, "+INBOX +Old +Deep ");
    uint64_t old = must_folder(store, "Old");
    assert_int_equal(store_begin_listing(store, old, 3, NULL, NULL), 0);
    must_add(store, old, 1, 1234);
    assert_int_equal(store_message_by_uid(store, old, 1234, &m), 0);

    apply(store, all, 1, "");
    apply(store, all, 3, ""); /* back again: forgiven */
    assert_int_equal(must_folder(store, "Old"), old);
    apply(store, all, 1, "");
    apply(store, all, 0, "");
    assert_int_equal(must_folder(store, "Old"), old);
    store_close(store);
    store = must_open(*state); /* the first of the two is remembered */
    apply(store, all, 1, "-Deep -Old ");
    assert_int_equal(store_folder_by_name(store, STORE_ROOT_INODE, "Old", &f), -ENOENT);
    assert_int_equal(store_folder_by_ino(store, old, &f), -ENOENT);
    assert_int_equal(store_folder_by_raw(store, "Old", &f), -ENOENT);
    assert_int_equal(store_message_by_ino(store, m.ino, &m), -ENOENT);
    assert_int_equal(store_begin_listing(store, old, 3, NULL, NULL), -ENOENT);
    struct store_new_message late;
    fill_message(&late, 9, NULL);
    assert_int_equal(store_add_messages(store, old, &late, 1), -ENOENT);
    apply(store, all, 3, "+Old +Deep ");
    assert_true(must_folder(store, "Old") > old);
    store_close(store);
}

static void test_changes(void **state)
{
    static const struct store_folder_entry before[] = {E("Work", "Work", 0), E("Plain", NULL, 0)};
    static const struct store_folder_entry attrs[] = {E("Work", "Work", 8), E("Plain", NULL, 0)};
    static const struct store_folder_entry raw[] = {E("Work", "work", 8), E("Plain", NULL, 0)};
    static const struct store_folder_entry none[] = {E("Work", NULL, 8), E("Plain", "Plain", 0)};
    struct store *store = must_open(*state);
    uint64_t messages = 0;
    uint64_t cached = 0;
    apply(store, before, 2, "+Work +Plain ");
    uint64_t work = must_folder(store, "Work");
    assert_int_equal(store_begin_listing(store, work, 3, NULL, NULL), 0);
    uint64_t message = must_add_named(store, work, 1, "2026-01-01_0000_a_b~aaaaaa.eml", NULL);
    assert_int_equal(store_set_listed(store, work, 3, 2, 77), 0);

    apply(store, attrs, 2, "=Work ");
    CLEANUP_STORE_FOLDER struct store_folder f = {0};
    assert_int_equal(store_folder_by_ino(store, work, &f), 0);
    assert_true(f.listed);
    assert_int_equal(f.attrs, 8);

    apply(store, raw, 2, "=Work -2026-01-01_0000_a_b~aaaaaa.eml ");
    store_folder_release(&f);
    assert_int_equal(store_folder_by_name(store, STORE_ROOT_INODE, "Work", &f), 0);
    assert_int_equal(f.ino, work);
    assert_false(f.listed);
    assert_int_equal(f.uidvalidity + f.uidnext + f.exists + f.modseq, 0);
    struct store_message m;
    assert_int_equal(store_message_by_ino(store, message, &m), -ENOENT);
    /* A listing of the old mailbox that was under way is not believed. */
    assert_int_equal(store_set_listed(store, work, 3, 2, 77), -ESTALE);
    apply(store, none, 2, "=Plain =Work ");
    assert_int_equal(store_folder_counts(store, work, &messages, &cached), 0);
    assert_int_equal(messages, 0);
    store_close(store);
}

static void test_bad_lists(void **state)
{
    char name[300];
    memset(name, 'x', sizeof(name));
    name[256] = '\0';
    const struct store_folder_entry rows[][2] = {
        {E("INBOX", "INBOX", 0), E("No/Parent", "a", 0)},
        {E("Child/First", "a", 0), E("Child", "b", 0)},
        {E("INBOX", "INBOX", 0), E("", "a", 0)},
        {E("INBOX", "INBOX", 0), E("INBOX/", "a", 0)},
        {E("INBOX", "INBOX", 0), E(name, "a", 0)},
    };
    CLEANUP_STORE_FOLDER struct store_folder f = {0};
    struct store *store = must_open(*state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(store_apply_list(store, rows[i], 2, NULL, NULL), -EINVAL);
    assert_int_equal(store_folder_next_any(store, 0, &f), -ENOENT);
    store_close(store);
}

static int64_t mtime(struct store *store, uint64_t ino)
{
    CLEANUP_STORE_FOLDER struct store_folder f = {0};
    if (ino == STORE_ROOT_INODE) {
        CLEANUP_STR struct str text = STR_INIT(64);
        uint64_t value;
        assert_int_equal(store_get_meta(store, STORE_META_ROOT_MTIME, &text), 0);
        assert_int_equal(parse_u64(text.data, INT64_MAX, &value), 0);
        return (int64_t)value;
    }
    assert_int_equal(store_folder_by_ino(store, ino, &f), 0);
    return f.mtime_ns;
}

static void test_mtime(void **state)
{
    CLEANUP_UIDSET struct uidset uids = {0};
    uint64_t ino;
    bool changed;
    struct store *store = must_open(*state);
    uint64_t inbox = must_inbox(store);
    int64_t root = mtime(store, STORE_ROOT_INODE);
    int64_t last = mtime(store, inbox);
    for (uint32_t uid = 1; uid <= 300; uid++) {
        must_add(store, inbox, uid, uid);
        if (uid == 250) {
            assert_true(mtime(store, inbox) == last); /* the first listing is no change */
            assert_int_equal(store_set_listed(store, inbox, 7, 251, 1), 0);
            assert_true(mtime(store, inbox) == last);
        }
        if (uid > 250)
            assert_true(mtime(store, inbox) > last);
        last = mtime(store, inbox);
    }
    must_add(store, inbox, 1, 300); /* nothing new */
    assert_int_equal(store_set_flags(store, inbox, 1, 2, "", &ino, &changed), 0);
    assert_true(mtime(store, inbox) == last);
    assert_int_equal(store_set_listed(store, inbox, 7, 301, 2), 0);
    assert_true(mtime(store, inbox) == last);
    assert_int_equal(uidset_add(&uids, 300, 300), 0);
    assert_int_equal(store_remove_messages(store, inbox, &uids, NULL, NULL), 0);
    assert_true(mtime(store, inbox) > last);
    last = mtime(store, inbox);
    /* Another UIDVALIDITY: the listing goes down, and comes back with other messages. */
    assert_int_equal(store_begin_listing(store, inbox, 8, NULL, NULL), 0);
    assert_true(mtime(store, inbox) > last);
    last = mtime(store, inbox);
    assert_int_equal(store_set_listed(store, inbox, 8, 1, 1), 0);
    assert_int_equal(store_begin_listing(store, inbox, 9, NULL, NULL), 0);
    assert_true(mtime(store, inbox) > last); /* although nothing was in it */
    last = mtime(store, inbox);
    assert_true(mtime(store, STORE_ROOT_INODE) == root);
    must_list(store, (const char *[]){"INBOX", "INBOX/new"}, 2);
    assert_true(mtime(store, inbox) > last);
    assert_true(mtime(store, STORE_ROOT_INODE) == root);
    must_list(store, (const char *[]){"INBOX", "INBOX/new", "top"}, 3);
    assert_true(mtime(store, STORE_ROOT_INODE) > root);
    store_close(store);
}

static void test_many(void **state)
{
    enum { FOLDERS = 10000 };
    CLEANUP_FREE char *names = malloc(FOLDERS * 24);
    CLEANUP_FREE const char **paths = calloc(FOLDERS, sizeof(*paths));
    CLEANUP_STORE_FOLDER struct store_folder f = {0};
    struct store *store = must_open(*state);
    assert_true(names && paths);
    for (int i = 0; i < FOLDERS; i++) {
        snprintf(names + i * 24, 24, i % 100 ? "F%02d/Sub%05d" : "F%02d", i / 100, i);
        paths[i] = names + i * 24;
    }
    must_list(store, paths, FOLDERS);
    must_list(store, paths, FOLDERS - 1);
    must_list(store, paths, FOLDERS - 1);
    assert_int_equal(store_folder_by_name(store, must_folder(store, "F99"), "Sub09998", &f), 0);
    store_folder_release(&f);
    assert_int_equal(store_folder_by_name(store, must_folder(store, "F99"), "Sub09999", &f),
                     -ENOENT);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tree, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_walk, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_removal, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_changes, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_bad_lists, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_mtime, dirs_setup, dirs_teardown),
        cmocka_unit_test_setup_teardown(test_many, dirs_setup, dirs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
