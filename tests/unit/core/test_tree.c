/* Tests of core/tree: from LIST to paths. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tree.h"

struct listed {
    const char *raw;
    char delimiter;
    unsigned attrs;
};

struct expected {
    const char *path, *raw;
};

struct tree_case {
    const char *what, *prefix, *root;
    const char *folders[4]; /* folders=, ends with NULL */
    struct listed listed[8];
    struct expected expected[10]; /* sorted by path */
};

static const struct tree_case cases[] = {
    {"plain",
     "",
     NULL,
     {0},
     {{"INBOX", '/', 0}, {"Work", '/', 0}, {"Work/2026", '/', 0}},
     {{"INBOX", "INBOX"}, {"Work", "Work"}, {"Work/2026", "Work/2026"}}},
    {"INBOX in any case", "", NULL, {0}, {{"inbox", '/', 0}}, {{"INBOX", "inbox"}}},
    {"prefix is not shown",
     "INBOX.",
     NULL,
     {0},
     {{"INBOX", '.', 0}, {"INBOX.Sent", '.', 0}, {"INBOX.a.b", '.', 0}},
     {{"INBOX", "INBOX"}, {"Sent", "INBOX.Sent"}, {"a", NULL}, {"a/b", "INBOX.a.b"}}},
    {"below the prefix, but called INBOX",
     "INBOX.",
     NULL,
     {0},
     {{"INBOX", '.', 0}, {"INBOX.INBOX", '.', 0}, {"INBOX.inbox", '.', 0}},
     {{"%49NBOX", "INBOX.INBOX"}, {"%69nbox", "INBOX.inbox"}, {"INBOX", "INBOX"}}},
    {"outside of the prefix with the same path",
     "INBOX.",
     NULL,
     {0},
     {{"Sent", '.', 0}, {"INBOX.Sent", '.', 0}, {"INBOX", '.', 0}},
     {{"%53ent", "Sent"}, {"INBOX", "INBOX"}, {"Sent", "INBOX.Sent"}}},
    {"\\Noselect is a plain directory",
     "",
     NULL,
     {0},
     {{"INBOX", '/', 0}, {"[Gmail]", '/', IMAP_ATTR_NOSELECT}, {"[Gmail]/Spam", '/', 0}},
     {{"INBOX", "INBOX"}, {"[Gmail]", NULL}, {"[Gmail]/Spam", "[Gmail]/Spam"}}},
    {"NIL delimiter: one component, slashes escaped",
     "",
     NULL,
     {0},
     {{"INBOX", 0, 0}, {"a/b.c", 0, 0}},
     {{"INBOX", "INBOX"}, {"a%2Fb.c", "a/b.c"}}},
    {"dots with delimiter slash stay, leading ones do not",
     "",
     NULL,
     {0},
     {{"INBOX", '/', 0}, {"a.b/..", '/', 0}},
     {{"INBOX", "INBOX"}, {"a.b", NULL}, {"a.b/%2E.", "a.b/.."}}},
    {"folders= keeps what it names and the way there",
     "",
     NULL,
     {"INBOX", "Work/*"},
     {{"INBOX", '/', 0}, {"Work", '/', 0}, {"Work/a", '/', 0}, {"Work/a/b", '/', 0}, {"x", '/', 0}},
     {{"INBOX", "INBOX"}, {"Work", NULL}, {"Work/a", "Work/a"}}},
    {"/FOLDER: that folder, what is below, and the way to it",
     "",
     "Work/a",
     {0},
     {{"INBOX", '/', 0},
      {"Work", '/', 0},
      {"Work/a", '/', 0},
      {"Work/a/b", '/', 0},
      {"Work/ab", '/', 0},
      {"W", '/', 0}},
     {{"Work", NULL}, {"Work/a", "Work/a"}, {"Work/a/b", "Work/a/b"}}},
    {"named twice",
     "",
     NULL,
     {0},
     {{"INBOX", '/', 0}, {"a", '/', 0}, {"a", '/', 0}},
     {{"INBOX", "INBOX"}, {"a", "a"}}},
    {"a trailing delimiter",
     "",
     NULL,
     {0},
     {{"INBOX", '/', 0}, {"a/", '/', IMAP_ATTR_NOSELECT}, {"a/b", '/', 0}},
     {{"INBOX", "INBOX"}, {"a", NULL}, {"a/b", "a/b"}}},
};

static void run_case(const struct tree_case *c)
{
    CLEANUP_SETTINGS struct settings settings = {0};
    char *folders[4] = {0};
    CLEANUP(tree_freep) struct tree *tree = NULL;
    const struct store_folder_entry *entries;
    size_t n = 0;
    for (size_t i = 0; i < 4; i++)
        folders[i] = (char *)c->folders[i];
    settings.folders = c->folders[0] ? folders : NULL;
    settings.folder = (char *)c->root;
    assert_int_equal(tree_new(&settings, c->prefix, &tree), 0);
    for (const struct listed *l = c->listed; l->raw; l++) {
        struct imap_list_entry entry = {l->raw, l->delimiter, l->attrs};
        assert_int_equal(tree_add(tree, &entry), 0);
    }
    assert_int_equal(tree_finish(tree, &entries, &n), 0);
    size_t i = 0;
    for (; c->expected[i].path; i++) {
        if (i >= n)
            fail_msg("%s: %s is missing", c->what, c->expected[i].path);
        if (strcmp(entries[i].path, c->expected[i].path) != 0)
            fail_msg("%s: %s instead of %s", c->what, entries[i].path, c->expected[i].path);
        const char *raw = entries[i].raw ? entries[i].raw : "(plain)";
        if (strcmp(raw, c->expected[i].raw ? c->expected[i].raw : "(plain)") != 0)
            fail_msg("%s: %s is %s", c->what, entries[i].path, raw);
    }
    if (i != n)
        fail_msg("%s: %s too many", c->what, entries[i].path);
    settings = (struct settings){0}; /* nothing in it was ours to free */
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        run_case(&cases[i]);
}

static void test_ten_thousand(void **state)
{
    (void)state;
    CLEANUP_SETTINGS struct settings settings = {0};
    CLEANUP(tree_freep) struct tree *tree = NULL;
    const struct store_folder_entry *entries;
    size_t n = 0;
    assert_int_equal(tree_new(&settings, "", &tree), 0);
    for (int i = 0; i < 10000; i++) {
        CLEANUP_FREE char *raw = str_printf("top%d/middle%d/leaf%d", i % 10, i % 100, i);
        struct imap_list_entry entry = {raw, '/', 0};
        assert_int_equal(tree_add(tree, &entry), 0);
    }
    assert_int_equal(tree_finish(tree, &entries, &n), 0);
    assert_int_equal(n, 10000 + 100 + 10);
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(entries[i - 1].path, entries[i].path) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_ten_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
