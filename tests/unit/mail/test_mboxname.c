#include "mboxname.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define CAP 4096

static void test_show(void **state)
{
    static const struct {
        const char *raw, *name;
    } table[] = {
        {"INBOX", "INBOX"},
        {"Sent Items", "Sent Items"},
        {"Entw&APw-rfe", "Entwürfe"},
        {"&ZeVnLIqe-", "日本語"},
        {"&2D3eAA-", "😀"},
        {"Tom &- Jerry", "Tom & Jerry"},
        {"a/b", "a%2Fb"},
        {".hidden", "%2Ehidden"},
        {".", "%2E"},
        {"..", "%2E."},
        {"a.b", "a.b"},
        {"100%", "100%"},
        {"100%25", "100%2525"},
        {"%41", "%2541"},
        {"%4g", "%4g"},
        {"%%41", "%%2541"},
        {"%af", "%25af"},
        {"%", "%"},
        {"", "%25"},
        {"a:b*?\"<>|\\", "a:b*?\"<>|\\"},
        {"&AAE-", "%01"},
        {"a&AH8-b", "a%7Fb"},
        {"a&IAs-b", "a%E2%80%8Bb"}, /* zero width */
        {"a&IC4-b", "a%E2%80%AEb"}, /* bidi */
        {"a&,v8-b", "a%EF%BB%BFb"}, /* byte order mark */
        /* not modified UTF-7, or not its one form */
        {"AT&T", "AT%26T"},
        {"&", "%26"},
        {"&-&", "%26-%26"},
        {"&AGE-", "%26AGE-"}, /* a letter needs no encoding */
        {"&APw-&AOQ-", "%26APw-%26AOQ-"},
        {"&APx-", "%26APx-"}, /* bits left */
        {"&APw", "%26APw"},
        {"&A-", "%26A-"},
        {"&2D0-", "%262D0-"}, /* half a pair */
        {"&3gDYPQ-", "%263gDYPQ-"},
        {"&AAA-", "%26AAA-"}, /* NUL */
        {"&AP/-", "%26AP%2F-"},
        {"Entw\xc3\xbcrfe", "Entw%C3%BCrfe"},
        {"Entw\xfcrfe", "Entw%FCrfe"},
        {"\x01", "%01%25"},
        {"a\x7f", "a%7F%25"},
        {"\xe2\x80\x8b", "%E2%80%8B%25"},
        {"a\r\nb", "a%0D%0Ab%25"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct str name = STR_INIT(CAP), raw = STR_INIT(CAP);
        assert_int_equal(mboxname_show(table[i].raw, strlen(table[i].raw), &name), 0);
        assert_string_equal(name.data, table[i].name);
        assert_int_equal(mboxname_raw(name.data, '\0', &raw), 0);
        assert_string_equal(raw.data, table[i].raw);
        str_release(&name);
        str_release(&raw);
    }
}

static void test_escape_first(void **state)
{
    static const struct {
        const char *name, *alias;
    } table[] = {
        {"foo", "%66oo"},         {"%2Efoo", "%2E%66oo"},     {"& b", "& %62"},
        {"日本", "日本%25%25"},   {"%", "%%25%25"},           {"%25", "%25%25%25"},
        {"foo/bar", "%66oo/bar"}, {"日/bar", "日%25%25/bar"},
    };
    char longest[MBOXNAME_MAX + 1 + 300];
    struct str alias = STR_INIT(CAP);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        str_clear(&alias);
        assert_int_equal(mboxname_escape_first(table[i].name, &alias), 0);
        assert_string_equal(alias.data, table[i].alias);
    }
    /* Only the first component of a path is escaped, and cut where it is too long then. */
    memset(longest, 'x', sizeof(longest) - 1);
    longest[MBOXNAME_MAX] = '/';
    longest[sizeof(longest) - 1] = '\0';
    str_clear(&alias);
    assert_int_equal(mboxname_escape_first(longest, &alias), 0);
    assert_int_equal(alias.len, sizeof(longest) - 1);
    assert_string_equal(alias.data + MBOXNAME_MAX, longest + MBOXNAME_MAX);
    assert_memory_equal(alias.data, "%78xx", 5);
    assert_int_equal(alias.data[MBOXNAME_MAX - 9], '~');
    str_release(&alias);
}

/* Names as mkdir has them. */
static void test_raw(void **state)
{
    static const struct {
        const char *name;
        char delimiter;
        const char *raw; /* NULL: -EINVAL */
    } table[] = {
        {"Entwürfe", '/', "Entw&APw-rfe"},
        {"a & b", '/', "a &- b"},
        {"a%2Fb", '.', "a/b"},
        {"a%2Fb", '/', NULL},
        {"a.b", '/', "a.b"},
        {"a.b", '.', NULL},
        {"a.b", '\0', "a.b"},
        {"%2Ea", '/', ".a"},
        {"%2Ea", '.', NULL},
        {"50%", '/', "50%"},
        {"%41", '/', "A"}, /* an alias of A */
        {"%41B", '/', "AB"},
        {"A%42", '/', NULL},
        {"%2fa", '/', NULL},
        {"%2541", '/', "%41"},
        {"%20", '/', NULL},
        {".a", '/', NULL},
        {"a/b", '.', NULL},
        {"a\x01", '/', NULL},
        {"\xff", '/', NULL},
        {"a\xe2\x80\x8b", '/', NULL},
        {"%26", '/', "&"},
        {"%FF", '/', "\xff"},
        {"%C3%BC", '/', "\xc3\xbc"},
        {"", '/', NULL},
        {"%25", '/', ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct str raw = STR_INIT(CAP);
        int r = mboxname_raw(table[i].name, table[i].delimiter, &raw);
        if (r != (table[i].raw ? 0 : -EINVAL))
            fail_msg("%s: %d", table[i].name, r);
        if (table[i].raw)
            assert_string_equal(raw.data, table[i].raw);
        else
            assert_int_equal(raw.len, 0);
        str_release(&raw);
    }
}

static void test_long(void **state)
{
    char raw[1024];
    (void)state;
    for (size_t len = 230; len < 300; len++) {
        struct str name = STR_INIT(CAP), back = STR_INIT(CAP);
        memset(raw, 'x', len);
        assert_int_equal(mboxname_show(raw, len, &name), 0);
        assert_int_equal(name.len, len <= MBOXNAME_MAX ? len : MBOXNAME_MAX);
        assert_int_equal(mboxname_raw(name.data, '/', &back), len <= MBOXNAME_MAX ? 0 : -EINVAL);
        str_release(&name);
        str_release(&back);
    }
    /* A name that looks like a cut one is cut itself: it cannot pass for the other. */
    struct str name = STR_INIT(CAP), other = STR_INIT(CAP);
    memset(raw, 'x', 400);
    assert_int_equal(mboxname_show(raw, 400, &name), 0);
    assert_int_equal(name.data[246], '~');
    assert_int_equal(strspn(name.data + 247, "0123456789abcdef"), 8);
    assert_int_equal(mboxname_show(name.data, name.len, &other), 0);
    assert_true(other.len <= MBOXNAME_MAX);
    assert_string_not_equal(name.data, other.data);
    /* Another long name with the same beginning. */
    str_clear(&other);
    raw[399] = 'y';
    assert_int_equal(mboxname_show(raw, 400, &other), 0);
    assert_string_not_equal(name.data, other.data);
    assert_memory_equal(name.data, other.data, 247);
    str_release(&name);
    str_release(&other);
}

/* Neither a character nor a %XX is cut in two. */
static void test_long_borders(void **state)
{
    static const char *const units[] = {"&ZeU-", "/", "\xff", "&AP8-", "&2D3eAA-"};
    (void)state;
    for (size_t u = 0; u < ARRAY_LEN(units); u++) {
        for (size_t lead = 0; lead < 8; lead++) {
            struct str raw = STR_INIT(CAP), name = STR_INIT(CAP);
            for (size_t i = 0; i < lead; i++)
                str_append_char(&raw, 'x');
            for (size_t i = 0; i < 200; i++) {
                str_append_text(&raw, units[u]);
                str_append_char(&raw, 'x');
            }
            assert_int_equal(mboxname_show(raw.data, raw.len, &name), 0);
            assert_in_range(name.len, 250, MBOXNAME_MAX);
            size_t cut = name.len - 9;
            assert_int_equal(name.data[cut], '~');
            assert_true(name.data[cut - 1] != '%' && name.data[cut - 2] != '%');
            for (size_t i = 0; i < cut; i++) {
                size_t n = (unsigned char)name.data[i] >= 0xf0   ? 4
                           : (unsigned char)name.data[i] >= 0xe0 ? 3
                           : (unsigned char)name.data[i] >= 0xc0 ? 2
                                                                 : 1;
                assert_true(i + n <= cut);
            }
            str_release(&raw);
            str_release(&name);
        }
    }
}

/* ---- properties */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Pieces that meet in the rules: base64, broken base64, escapes, marks, bytes, delimiters. */
static size_t random_raw(uint32_t *seed, char *out)
{
    static const char *const pieces[] = {
        "a",     "F",     "2",        "5",        "%",     "%25",  "%2",
        "&",     "-",     "&-",       "&AGE",     "&APw-", "APw-", "&AAE",
        "&IAs-", "/",     ".",        "\xc3\xbc", "\x01",  "\x7f", "\xff",
        "\xe2",  "\x80",  "\x8b",     "~",        "26",    "&ZeU", "&2D3eAA-",
        "&2D0-", "%2E",   "+",        ",",        "日",    " ",    "\xe2\x80\x8b",
        "%01",   "&AAA-", "&AAEAAg-", "AE-",      "%26",
    };
    size_t len = 0;
    for (uint32_t n = next_random(seed) % 5; n > 0; n--) {
        const char *piece = pieces[next_random(seed) % ARRAY_LEN(pieces)];
        memcpy(out + len, piece, strlen(piece));
        len += strlen(piece);
    }
    if (next_random(seed) % 8 == 0)
        out[len++] = (char)(next_random(seed) % 255 + 1);
    return len;
}

struct pair {
    char raw[64], name[256], alias[256];
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

static int compare_aliases(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->alias, ((const struct pair *)b)->alias);
}

static void assert_valid_component(const char *name)
{
    assert_true(*name && *name != '.' && !strchr(name, '/') && strlen(name) <= MBOXNAME_MAX);
    for (const char *p = name; *p; p++)
        assert_true((unsigned char)*p >= ' ' && *p != 0x7f);
}

static void fill_pair(struct pair *pair, size_t len)
{
    struct str name = STR_INIT(CAP), alias = STR_INIT(CAP), back = STR_INIT(CAP);
    assert_int_equal(mboxname_show(pair->raw, len, &name), 0);
    assert_valid_component(name.data);
    assert_int_equal(mboxname_raw(name.data, '\0', &back), 0);
    assert_int_equal(back.len, len);
    assert_string_equal(back.data, pair->raw);
    assert_int_equal(mboxname_escape_first(name.data, &alias), 0);
    assert_valid_component(alias.data);
    assert_string_not_equal(alias.data, name.data);
    str_clear(&back);
    if (mboxname_raw(alias.data, '\0', &back) != 0)
        fail_msg("alias %s of %s", alias.data, name.data);
    assert_string_equal(back.data, pair->raw);
    memcpy(pair->name, name.data, name.len + 1);
    memcpy(pair->alias, alias.data, alias.len + 1);
    str_release(&name);
    str_release(&alias);
    str_release(&back);
}

static void test_random(void **state)
{
    enum { COUNT = 60000 };
    struct pair *pairs = calloc(COUNT, sizeof(*pairs));
    uint32_t seed = 20261122;
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        fill_pair(&pairs[i], random_raw(&seed, pairs[i].raw));
    qsort(pairs, COUNT, sizeof(*pairs), compare_names);
    size_t distinct = 1;
    for (size_t i = 1; i < COUNT; i++) {
        if (strcmp(pairs[i - 1].name, pairs[i].name) == 0)
            assert_string_equal(pairs[i - 1].raw, pairs[i].raw);
        else
            distinct++;
    }
    assert_true(distinct > COUNT / 4);
    /* No alias is the name or the alias of another. */
    for (size_t i = 0; i < COUNT; i++) {
        struct pair key;
        memcpy(key.name, pairs[i].alias, sizeof(key.name));
        assert_null(bsearch(&key, pairs, COUNT, sizeof(*pairs), compare_names));
    }
    qsort(pairs, COUNT, sizeof(*pairs), compare_aliases);
    for (size_t i = 1; i < COUNT; i++)
        if (strcmp(pairs[i - 1].alias, pairs[i].alias) == 0)
            assert_string_equal(pairs[i - 1].raw, pairs[i].raw);
    free(pairs);
}

/* All raw names of up to two bytes, and of three of the bytes that the rules are about. */
static void test_short_names(void **state)
{
    static const char odd[] = "&-%25AEa./~,+\x01\x7f\x80\xc3\xa9\xff";
    struct str name = STR_INIT(CAP), raw = STR_INIT(CAP);
    (void)state;
    for (unsigned i = 1; i < 65536 + 8000; i++) {
        char text[4] = {(char)(i & 0xff), (char)(i >> 8 & 0xff), 0, 0};
        size_t len = i < 256 ? 1 : 2;
        if (i >= 65536) {
            for (unsigned k = 0, rest = i - 65536; k < 3; k++, rest /= sizeof(odd) - 1)
                text[k] = odd[rest % (sizeof(odd) - 1)];
            len = 3;
        }
        str_clear(&name);
        str_clear(&raw);
        assert_int_equal(mboxname_show(text, len, &name), 0);
        assert_int_equal(mboxname_raw(name.data, '\0', &raw), 0);
        assert_int_equal(raw.len, len);
        assert_memory_equal(raw.data, text, len);
    }
    str_release(&name);
    str_release(&raw);
}

/* ---- globs */

static void test_glob(void **state)
{
    static const struct {
        const char *glob, *path;
        bool matches;
    } table[] = {
        {"INBOX", "INBOX", true},
        {"INBOX", "inbox", false},
        {"INBOX", "INBOX/a", false},
        {"A/*", "A/b", true},
        {"A/*", "A", false},
        {"A/*", "A/b/c", false},
        {"A/*", "A/", true},
        {"A/**", "A/b/c", true},
        {"A/**", "AA/b", false},
        {"**", "", true},
        {"**", "a/b/c", true},
        {"*", "a", true},
        {"*", "a/b", false},
        {"", "", true},
        {"", "a", false},
        {"*b", "aab", true},
        {"*b*", "aabaa", true},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbY/Zc", false},
        {"a**c", "aXbY/Zc", true},
        {"**/x", "a/b/x", true},
        {"**/x", "x", false},
        {"**x*", "a/x/xy", true},
        {"**x*", "a/x/y", false},
        {"***", "a/b", true},
        {"a?c", "abc", true},
        {"a?c", "a/c", false},
        {"a?c", "aéc", true},
        {"a?c", "a日c", true},
        {"a??c", "a日c", false},
        {"?", "", false},
        {"*?", "日", true},
        {"*??", "日", false},
        {"a%3Ab", "a:b", true},
        {"a:b", "a:b", true},
        {"%3A*", ":x", true},
        {"a%2Fb", "a%2Fb", true},
        {"[ab]", "a", false},
        {"[ab]", "[ab]", true},
        {"a\\*", "a*", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (mboxname_glob(table[i].glob, table[i].path) != table[i].matches)
            fail_msg("%s, %s", table[i].glob, table[i].path);
}

/* The same by trying everything. */
static bool slow_glob(const char *glob, const char *path)
{
    if (!*glob)
        return !*path;
    if (*glob == '*') {
        bool twice = glob[1] == '*';
        if (slow_glob(glob + 1 + twice, path))
            return true;
        return *path && (twice || *path != '/') && slow_glob(glob, path + 1);
    }
    return *path && (*glob == *path || (*glob == '?' && *path != '/')) &&
           slow_glob(glob + 1, path + 1);
}

static void test_glob_random(void **state)
{
    uint32_t seed = 5;
    size_t matches = 0;
    (void)state;
    for (int i = 0; i < 300000; i++) {
        char glob[9] = {0}, path[13] = {0};
        for (uint32_t k = 0, n = next_random(&seed) % 9; k < n; k++)
            glob[k] = "ab/?***/"[next_random(&seed) % 8];
        for (uint32_t k = 0, n = next_random(&seed) % 13; k < n; k++)
            path[k] = "aab/"[next_random(&seed) % 4];
        bool expected = slow_glob(glob, path);
        matches += expected;
        if (mboxname_glob(glob, path) != expected)
            fail_msg("%s, %s", glob, path);
    }
    assert_in_range(matches, 10000, 290000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_show),         cmocka_unit_test(test_raw),
        cmocka_unit_test(test_escape_first), cmocka_unit_test(test_long),
        cmocka_unit_test(test_long_borders), cmocka_unit_test(test_random),
        cmocka_unit_test(test_short_names),  cmocka_unit_test(test_glob),
        cmocka_unit_test(test_glob_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
