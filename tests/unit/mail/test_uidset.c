#include "uidset.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The whole set as text, for comparison. */
static void assert_set(const struct uidset *set, const char *text)
{
    struct str out = STR_INIT(1 << 20);
    uint32_t cursor = 0;
    str_append(&out, "", 0);
    assert_true(uidset_next_chunk(set, &cursor, UINT64_MAX, 1 << 20, &out) >= 0);
    assert_string_equal(out.data, text);
    str_release(&out);
}

static void test_parse(void **state)
{
    static const struct {
        const char *text, *set; /* NULL: -EINVAL */
        uint64_t count;
    } table[] = {
        {"1", "1", 1},
        {"1:3,7,9:8", "1:3,7:9", 6},
        {"3,2,1", "1:3", 3},
        {"5:1", "1:5", 5},
        {"1,3,5", "1,3,5", 3},
        {"1:10,2:3,5", "1:10", 10},
        {"10:20,1:5,6:9", "1:20", 20},
        {"4294967295", "4294967295", 1},
        {"1:4294967295", "1:4294967295", 4294967295u},
        {"4294967294,4294967295,1", "1,4294967294:4294967295", 3},
        {"4294967295,4294967295:4294967294", "4294967294:4294967295", 2},
        {"0000000000001", "1", 1},
        {"", NULL, 0},
        {"0", NULL, 0},
        {"0:5", NULL, 0},
        {"1:0", NULL, 0},
        {"4294967296", NULL, 0},
        {"99999999999999999999999", NULL, 0},
        {"18446744073709551617", NULL, 0},
        {"1,", NULL, 0},
        {",1", NULL, 0},
        {"1,,2", NULL, 0},
        {"1:", NULL, 0},
        {":1", NULL, 0},
        {"1:2:3", NULL, 0},
        {"1:*", NULL, 0},
        {"*", NULL, 0},
        {"-1", NULL, 0},
        {"+1", NULL, 0},
        {" 1", NULL, 0},
        {"1 2", NULL, 0},
        {"1;2", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct uidset set = {0};
        int r = uidset_parse(table[i].text, strlen(table[i].text), &set);
        if (!table[i].set) {
            assert_int_equal(r, -EINVAL);
            assert_int_equal(set.n, 0);
            continue;
        }
        assert_int_equal(r, 0);
        uidset_normalize(&set);
        assert_set(&set, table[i].set);
        assert_int_equal(uidset_count(&set), table[i].count);
        uidset_release(&set);
    }
}

static void test_parse_adds(void **state)
{
    struct uidset set = {0};
    (void)state;
    assert_int_equal(uidset_parse("5:6", 3, &set), 0);
    assert_int_equal(uidset_parse("1,7", 3, &set), 0);
    assert_int_equal(uidset_parse("20,x", 4, &set), -EINVAL);
    assert_int_equal(uidset_parse("30junk", 2, &set), 0);
    uidset_normalize(&set);
    assert_set(&set, "1,5:7,30");
    uidset_release(&set);
    assert_int_equal(uidset_count(&set), 0);
    assert_false(uidset_contains(&set, 1));
}

static void test_add(void **state)
{
    struct uidset set = {0};
    (void)state;
    assert_int_equal(uidset_add(&set, 0, 5), -EINVAL);
    assert_int_equal(uidset_add(&set, 5, 0), -EINVAL);
    for (uint32_t uid = 10; uid <= 1000; uid++)
        assert_int_equal(uidset_add(&set, uid, uid), 0);
    assert_int_equal(set.n, 1);
    assert_true(set.normalized);
    assert_int_equal(uidset_add(&set, UINT32_MAX, UINT32_MAX), 0);
    assert_int_equal(uidset_add(&set, UINT32_MAX, UINT32_MAX), 0);
    assert_int_equal(uidset_add(&set, 1, 8), 0);
    assert_false(set.normalized);
    uidset_normalize(&set);
    assert_set(&set, "1:8,10:1000,4294967295");
    assert_true(uidset_contains(&set, 1));
    assert_true(uidset_contains(&set, 8));
    assert_false(uidset_contains(&set, 9));
    assert_true(uidset_contains(&set, 10));
    assert_false(uidset_contains(&set, 1001));
    assert_false(uidset_contains(&set, UINT32_MAX - 1));
    assert_true(uidset_contains(&set, UINT32_MAX));
    assert_false(uidset_contains(&set, 0));
    uidset_release(&set);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* All odd numbers, then all even ones, a million in random order: one range is left. */
static void test_random_order(void **state)
{
    enum { COUNT = 1000000 };
    struct uidset set = {0};
    uint32_t *uids = malloc(COUNT * sizeof(*uids)), seed = 7;
    (void)state;
    for (uint32_t i = 0; i < COUNT; i++)
        uids[i] = i + 1;
    for (uint32_t i = COUNT - 1; i > 0; i--) {
        uint32_t j = next_random(&seed) % (i + 1), swap = uids[i];
        uids[i] = uids[j];
        uids[j] = swap;
    }
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(uidset_add(&set, uids[i], uids[i]), 0);
    uidset_normalize(&set);
    assert_set(&set, "1:1000000");
    free(uids);
    uidset_release(&set);
}

static void test_cap(void **state)
{
    struct uidset set = {.max_ranges = 100};
    (void)state;
    for (uint32_t i = 1; i <= 100; i++)
        assert_int_equal(uidset_add(&set, i * 10, i * 10), 0);
    assert_int_equal(uidset_add(&set, 5000, 5000), -EMSGSIZE);
    assert_int_equal(set.n, 100);
    assert_int_equal(uidset_add(&set, 1001, 1009), 0); /* no range more */
    uidset_release(&set);
    assert_int_equal(set.max_ranges, 100);

    /* Many pieces in descending order that are one range in the end. */
    for (uint32_t i = 100000; i >= 1; i--)
        assert_int_equal(uidset_add(&set, i, i), 0);
    assert_true(set.alloc <= 256);
    uidset_normalize(&set);
    assert_set(&set, "1:100000");
    uidset_release(&set);

    /* Descending, never touching: refused, in time and with bounded memory. */
    int r = 0;
    uint32_t uid = 100000;
    for (; uid > 2 && r == 0; uid -= 2)
        r = uidset_add(&set, uid, uid);
    assert_int_equal(r, -EMSGSIZE);
    assert_true(set.alloc <= 256);
    uidset_release(&set);
}

static void test_minus(void **state)
{
    static const struct {
        const char *a, *b, *left;
    } table[] = {
        {"1:10", "", "1:10"},
        {"", "1:10", ""},
        {"1:10", "1:10", ""},
        {"1:10", "5", "1:4,6:10"},
        {"1:10", "1,10", "2:9"},
        {"1:10", "5:20", "1:4"},
        {"5:20", "1:10", "11:20"},
        {"1:3,7:9,20", "2,8:20", "1,3,7"},
        {"1:4294967295", "4294967295", "1:4294967294"},
        {"1:4294967295", "2:4294967295", "1"},
        {"1:4294967295", "1", "2:4294967295"},
        {"4294967295", "4294967295", ""},
        {"1,3,5,7", "2,4,6,8", "1,3,5,7"},
        {"10:20,30:40", "1:50", ""},
        {"10:20,30:40", "15:35", "10:14,36:40"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct uidset a = {0}, b = {0}, left = {0};
        if (*table[i].a)
            assert_int_equal(uidset_parse(table[i].a, strlen(table[i].a), &a), 0);
        if (*table[i].b)
            assert_int_equal(uidset_parse(table[i].b, strlen(table[i].b), &b), 0);
        assert_int_equal(uidset_minus(&a, &b, &left), 0);
        assert_set(&left, table[i].left);
        uidset_release(&a);
        uidset_release(&b);
        uidset_release(&left);
    }
}

static void test_chunks(void **state)
{
    static const struct {
        const char *set;
        uint64_t max_uids;
        size_t max_text;
        const char *chunks; /* separated by a bar */
    } table[] = {
        {"1:10", 4, 100, "1:4|5:8|9:10"},
        {"1:10", 1, 100, "1|2|3|4|5|6|7|8|9|10"},
        {"1:3,7,9:12", 5, 100, "1:3,7,9|10:12"},
        {"1:3,7,9:12", 100, 10, "1:3,7,9:12"},
        {"1:3,7,9:12", 100, 9, "1:3,7,9|10:12"},
        {"1:3,7,9:12", 100, 5, "1:3,7|9:12"},
        {"1000:1002,3000", 5000, 8, "1000|1001|1002|3000"},
        {"4294967294:4294967295", 1, 10, "4294967294|4294967295"},
        {"", 1, 10, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct uidset set = {0};
        if (*table[i].set)
            assert_int_equal(uidset_parse(table[i].set, strlen(table[i].set), &set), 0);
        struct str all = STR_INIT(1000), chunk = STR_INIT(1000);
        uint32_t cursor = 0;
        uint64_t total = 0;
        int64_t n;
        str_append(&all, "", 0);
        while ((n = uidset_next_chunk(&set, &cursor, table[i].max_uids, table[i].max_text,
                                      &chunk)) > 0) {
            assert_true(chunk.len <= table[i].max_text);
            assert_true((uint64_t)n <= table[i].max_uids);
            total += (uint64_t)n;
            if (all.len)
                str_append_char(&all, '|');
            str_append_text(&all, chunk.data);
            str_clear(&chunk);
        }
        assert_int_equal(n, 0);
        assert_int_equal(total, uidset_count(&set));
        assert_string_equal(all.data, table[i].chunks);
        uidset_release(&set);
        str_release(&all);
        str_release(&chunk);
    }
}

static void test_chunk_errors(void **state)
{
    struct uidset set = {0};
    struct str out = STR_INIT(3);
    uint32_t cursor = 0;
    (void)state;
    assert_int_equal(uidset_add(&set, 12345, 12350), 0);
    assert_int_equal(uidset_next_chunk(&set, &cursor, 10, 4, &out), -EMSGSIZE);
    assert_int_equal(cursor, 0);
    assert_int_equal(uidset_next_chunk(&set, &cursor, 10, 100, &out), -EMSGSIZE);
    assert_int_equal(cursor, 0);
    str_clear(&out);
    assert_int_equal(uidset_next_chunk(&set, &cursor, 0, 100, &out), -EINVAL);
    cursor = UINT32_MAX;
    assert_int_equal(uidset_next_chunk(&set, &cursor, 10, 100, &out), 0);
    uidset_release(&set);
    str_release(&out);
}

/* Against a plain table of bits, with random sets. */
static void test_against_bits(void **state)
{
    enum { LIMIT = 200, ROUNDS = 500 };
    uint32_t seed = 42;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        bool in[2][LIMIT + 1] = {{false}};
        struct uidset sets[2] = {0}, left = {0};
        for (int k = 0; k < 2; k++) {
            for (uint32_t i = next_random(&seed) % 30; i > 0; i--) {
                uint32_t first = next_random(&seed) % LIMIT + 1;
                uint32_t last = first + next_random(&seed) % 8;
                last = last > LIMIT ? LIMIT : last;
                for (uint32_t uid = first; uid <= last; uid++)
                    in[k][uid] = true;
                bool swapped = next_random(&seed) % 2;
                assert_int_equal(
                    uidset_add(&sets[k], swapped ? last : first, swapped ? first : last), 0);
            }
            uidset_normalize(&sets[k]);
            for (size_t i = 1; i < sets[k].n; i++)
                assert_true(sets[k].ranges[i - 1].last + 1 < sets[k].ranges[i].first);
        }
        assert_int_equal(uidset_minus(&sets[0], &sets[1], &left), 0);
        for (uint32_t uid = 1; uid <= LIMIT; uid++) {
            assert_int_equal(uidset_contains(&sets[0], uid), in[0][uid]);
            assert_int_equal(uidset_contains(&left, uid), in[0][uid] && !in[1][uid]);
        }
        uidset_release(&sets[0]);
        uidset_release(&sets[1]);
        uidset_release(&left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),        cmocka_unit_test(test_parse_adds),
        cmocka_unit_test(test_add),          cmocka_unit_test(test_random_order),
        cmocka_unit_test(test_cap),          cmocka_unit_test(test_minus),
        cmocka_unit_test(test_chunks),       cmocka_unit_test(test_chunk_errors),
        cmocka_unit_test(test_against_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
