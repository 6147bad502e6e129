#include "flags.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct parsed {
    unsigned flags;
    struct str keywords;
};

/* Adds the atoms of a list, as FETCH FLAGS would. */
static int add_list(struct parsed *p, const char *list)
{
    while (*list) {
        size_t n = strcspn(list, " ");
        int r = flags_add(&p->flags, &p->keywords, list, n);
        if (r < 0)
            return r;
        list += n + strspn(list + n, " ");
    }
    return 0;
}

static const char *keywords_of(const struct parsed *p)
{
    return p->keywords.len ? p->keywords.data : "";
}

static void test_lists(void **state)
{
    static const struct {
        const char *list, *formatted, *tags;
    } table[] = {
        {"", "", "unread"},
        {"\\Seen", "\\Seen", ""},
        {"\\sEEN", "\\Seen", ""},
        {"\\Flagged \\Seen", "\\Seen \\Flagged", "flagged"},
        {"\\Recent", "", "unread"},
        {"\\Seen \\Answered \\Flagged \\Deleted \\Draft",
         "\\Seen \\Answered \\Flagged \\Deleted \\Draft", "flagged,replied,draft"},
        {"$Forwarded \\Seen", "\\Seen $Forwarded", "passed"},
        {"$forwarded work", "$forwarded work", "unread,passed,work"},
        {"\\Seen work home Work", "\\Seen work home", "work,home"},
        {"\\Seen a,b", "\\Seen a,b", "a%2Cb"},
        {"\\Seen \\X-Odd $MDNSent", "\\Seen \\X-Odd $MDNSent", "\\X-Odd,$MDNSent"},
        {"\\Seen workshop work", "\\Seen workshop work", "workshop,work"},
        {"\\Seen \\SeenX", "\\Seen \\SeenX", "\\SeenX"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct parsed p = {.keywords = STR_INIT(KEYWORDS_MAX)};
        struct str formatted = STR_INIT(8192), tags = STR_INIT(8192);
        assert_int_equal(add_list(&p, table[i].list), 0);
        str_append(&tags, "", 0);
        str_append(&formatted, "", 0);
        assert_int_equal(flags_format(p.flags, keywords_of(&p), &formatted), 0);
        assert_string_equal(formatted.data, table[i].formatted);
        assert_int_equal(flags_format_tags(p.flags, keywords_of(&p), &tags), 0);
        assert_string_equal(tags.data, table[i].tags);
        str_release(&p.keywords);
        str_release(&formatted);
        str_release(&tags);
    }
}

static void test_appends(void **state)
{
    struct str out = STR_INIT(100);
    (void)state;
    str_append_text(&out, "tags=");
    assert_int_equal(flags_format_tags(FLAG_DRAFT, "x", &out), 0);
    assert_string_equal(out.data, "tags=unread,draft,x");
    str_release(&out);
}

static void test_bits(void **state)
{
    (void)state;
    assert_int_equal(flag_bit("\\Deleted", 8), FLAG_DELETED);
    assert_int_equal(flag_bit("\\RECENT", 7), FLAG_RECENT);
    assert_int_equal(flag_bit("\\Seen", 4), 0);
    assert_int_equal(flag_bit("Seen", 4), 0);
    assert_int_equal(flag_bit("", 0), 0);
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {"", "a b", "a\tb", "a\x1b[0m", "\x7f"};
    struct parsed p = {.keywords = STR_INIT(KEYWORDS_MAX)};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(flags_add(&p.flags, &p.keywords, bad[i], strlen(bad[i])), -EINVAL);
    assert_int_equal(flags_add(&p.flags, &p.keywords, "a\0b", 3), -EINVAL);
    assert_int_equal(p.flags, 0);
    assert_int_equal(p.keywords.len, 0);
}

/* Whole atoms are dropped; a shorter one may still fit. */
static void test_cap(void **state)
{
    struct parsed p = {.keywords = STR_INIT(KEYWORDS_MAX)};
    char atom[16];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        int n = snprintf(atom, sizeof(atom), "key%06d", i);
        assert_int_equal(flags_add(&p.flags, &p.keywords, atom, (size_t)n), 0);
    }
    assert_true(p.keywords.len <= KEYWORDS_MAX);
    assert_int_equal(p.keywords.len, 409 * 10 - 1); /* 409 atoms and the blanks between */
    assert_int_equal(flags_add(&p.flags, &p.keywords, "abcdef", 6), 0);
    assert_int_equal(p.keywords.len, KEYWORDS_MAX);
    assert_memory_equal(p.keywords.data + KEYWORDS_MAX - 7, " abcdef", 7);
    char huge[KEYWORDS_MAX + 1];
    memset(huge, 'x', sizeof(huge));
    assert_int_equal(flags_add(&p.flags, &p.keywords, huge, sizeof(huge)), 0);
    assert_int_equal(p.keywords.len, KEYWORDS_MAX);
    str_release(&p.keywords);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),   cmocka_unit_test(test_appends), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_refuses), cmocka_unit_test(test_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
