#include "msgname.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "date.h"
#include "str.h"

#define NOW INT64_C(1795339860) /* 22-Nov-2026 09:31:00 +0000 */

static void make(const char *block, size_t len, int64_t internaldate, struct msgname *ret)
{
    CLEANUP_HEADER struct mail_header header = {0};
    assert_int_equal(mail_header_parse(block, len, &header), 0);
    assert_int_equal(msgname_make(&header, internaldate, ret), 0);
}

/* What is promised of every name, whatever the message says. */
static void assert_sound(const char *name)
{
    size_t len = strlen(name), underscores = 0;
    assert_true(len >= 28 && len <= 228);
    for (size_t i = 0; i < len; i++) {
        assert_true((unsigned char)name[i] > ' ' && name[i] != '/' && name[i] != 0x7f);
        underscores += name[i] == '_';
    }
    assert_int_equal(underscores, 3);
    assert_int_equal(name[len - 11], '~');
    assert_int_equal(strspn(name + len - 10, "0123456789abcdefghjkmnpqrstvwxyz"), 6);
    assert_string_equal(name + len - 4, ".eml");
}

/* ---- the worked examples of the contract */

static size_t from_base64(const char *text, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned count = 0;
    size_t n = 0;
    for (size_t i = 0; i < len && text[i] != '='; i++) {
        const char *digit = strchr(digits, text[i]);
        assert_non_null(digit);
        bits = bits << 6 | (uint32_t)(digit - digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[n++] = (char)(bits >> count);
        }
    }
    return n;
}

static void check_vector(char *line)
{
    char *fields[4], *rest = line, block[8192];
    for (int i = 0; i < 4; i++) {
        fields[i] = strsep(&rest, "\t\n");
        assert_non_null(fields[i]);
    }
    assert_true(strlen(fields[1]) < sizeof(block));
    size_t len = from_base64(fields[1], strlen(fields[1]), block);
    int64_t internaldate;
    int zone;
    struct msgname made;
    assert_int_equal(date_parse_internal(fields[2], strlen(fields[2]), &internaldate, &zone), 0);
    make(block, len, internaldate, &made);
    if (strcmp(made.name, fields[3]) != 0)
        fail_msg("%s: %s is not %s", fields[0], made.name, fields[3]);
    assert_sound(made.name);
}

static void test_vectors(void **state)
{
    FILE *file = fopen(TEST_DATA_DIR "/name-vectors.tsv", "r");
    char line[16384];
    int count = 0;
    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        assert_non_null(strchr(line, '\t'));
        check_vector(line);
        count++;
    }
    fclose(file);
    assert_int_equal(count, 23);
}

/* ---- FROM and SUBJECT */

static void test_parts(void **state)
{
    static const struct {
        const char *from, *subject, *parts;
    } table[] = {
        {"a@b", "s", "_a_s~"},
        {"", "", "__~"},
        {"\"\" <a@b>", "x", "_a_x~"},
        {"=?utf-8?q?=20?= <a@b>", "x", "_a_x~"},
        {"=?utf-8?q?\?= <a@b>", "x", "_a_x~"},
        {"\"---\" <a@b>", "x", "__x~"}, /* there is a name, but it shows nothing */
        {"\"=?utf-8?q?J=C3=BCrgen?=\" <a@b>", "x", "_Jürgen_x~"},
        {"\"=?utf-8?b?SsO8?= =?utf-8?b?cmdlbg==?=\" <a@b>", "x", "_Jürgen_x~"},
        {"a@b (=?utf-8?q?J=C3=BC?=)", "x", "_Jü_x~"},
        {"=?utf-8?q?a=2C_b?= <a@b>, c@d", "x", "_a,-b_x~"},
        {"Zo\xeb <z@x>", "x", "_Zoë_x~"},
        {"J\xc3\xbc@\xc3\xbc.de", "x", "_Jü_x~"},
        {"a_b@c", "_x_", "_a-b_x~"},
        {"a@b", ".hidden", "_a_hidden~"},
        {"a@b", "-rf", "_a_rf~"},
        {"a@b",
         "a\x1b]0;x\x07"
         "b",
         "_a_a-0-xb~"},
        {"a@b", "=?utf-8?q?a=0D=0A=00b/c?=", "_a_a-b-c~"},
        {"a@b", "=?x-unknown?b?R3L83w==?=", "_a_Grüß~"},
        {"a@b", "=?utf-8?q?x?= =?utf-8?q?y", "_a_x-=-utf-8-q-y~"},
        {"a@b", "Re: [list] Fwd: x", "_a_Re-list-Fwd-x~"},
        {"a@b", "100% = $5", "_a_100-=-5~"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char block[512];
        struct msgname made;
        int n = snprintf(block, sizeof(block), "From: %s\r\nSubject: %s\r\n\r\n", table[i].from,
                         table[i].subject);
        make(block, (size_t)n, NOW, &made);
        assert_sound(made.name);
        if (strncmp(made.name + 15, table[i].parts, strlen(table[i].parts)) != 0)
            fail_msg("%s, %s: %s", table[i].from, table[i].subject, made.name);
    }
}

/* Cut at 40 and 160 bytes, at a character border, and no `-` at the cut. */
static void test_cuts(void **state)
{
    (void)state;
    for (size_t lead = 0; lead < 8; lead++) {
        char block[2048] = "Subject: ", expected[256] = {0};
        size_t n = 9;
        for (size_t i = 0; i < lead; i++)
            block[n++] = 'x';
        for (int i = 0; i < 300; i++, n += 4)
            memcpy(block + n, i % 2 ? "\xe6\x97\xa5-" : "a-bc", 4);
        struct msgname made;
        make(block, n, NOW, &made);
        assert_sound(made.name);
        assert_int_equal(sscanf(made.name + 17, "%255[^~]", expected), 1);
        assert_true(strlen(expected) <= 160 && strlen(expected) >= 157);
        assert_true(expected[strlen(expected) - 1] != '-');
        assert_true(((unsigned char)expected[strlen(expected) - 1] & 0xc0) != 0xc0);
    }
}

/* ---- dates */

static void test_dates(void **state)
{
    static const struct {
        const char *date;
        int64_t internaldate;
        const char *name;
    } table[] = {
        {"Sun, 22 Nov 2026 10:30:00 +0100", NOW, "2026-11-22_0930_"},
        {"Mon, 23 Nov 2026 09:31:00 +0000", NOW, "2026-11-23_0931_"}, /* a day to the second */
        {"Mon, 23 Nov 2026 09:31:01 +0000", NOW, "2026-11-22_0931_"},
        {"Thu, 1 Jan 1970 00:00:00 +0000", NOW, "1970-01-01_0000_"},
        {"Thu, 1 Jan 1970 00:00:00 +0001", NOW, "2026-11-22_0931_"},
        {"1 Jan 1970 00:00:00 +0000", -1, "1970-01-01_0000_"},
        {"1 Jan 1970 00:00:00 +0000", -86401, "1969-12-30_2359_"},
        {"nonsense", NOW, "2026-11-22_0931_"},
        {"nonsense", INT64_MAX, "9999-12-31_2359_"},
        {"nonsense", INT64_MIN, "0000-01-01_0000_"},
        {"31 Dec 9999 23:59:59 -2359", INT64_MAX, "9999-12-31_2359_"},
        {"31 Dec 9999 23:59:59 -2359", INT64_MIN, "0000-01-01_0000_"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char block[256];
        struct msgname made;
        int n = snprintf(block, sizeof(block), "Date: %s\r\n", table[i].date);
        make(block, (size_t)n, table[i].internaldate, &made);
        assert_memory_equal(made.name, table[i].name, 16);
        assert_sound(made.name);
    }
}

/* ---- the hash */

static void test_hash(void **state)
{
    struct msgname a, b;
    (void)state;
    /* Folding and blanks do not matter, nor does what else the block has. */
    static const char one[] = "Message-ID: <1@x>\r\nDate: d\r\nFrom: a  b\r\nSubject: x\ty\r\n";
    static const char two[] =
        "X: 1\nSubject:  x\n y \nFROM:a b\nDate: d\nDate: e\nMessage-Id:<1@x>\n";
    make(one, sizeof(one) - 1, NOW, &a);
    make(two, sizeof(two) - 1, NOW, &b);
    assert_memory_equal(a.hash, b.hash, MSGHASH_SIZE);
    /* A value in another place is another message. */
    make("From: a\n", 8, NOW, &a);
    make("Subject: a\n", 11, NOW, &b);
    assert_memory_not_equal(a.hash, b.hash, MSGHASH_SIZE);
    /* INTERNALDATE has no part in it. */
    make("Subject: a\n", 11, NOW + 100000, &a);
    assert_memory_equal(a.hash, b.hash, MSGHASH_SIZE);
}

/* ---- twins */

static void test_twin(void **state)
{
    static const struct {
        const char *name;
        uint32_t uid;
        const char *twin;
    } table[] = {
        {"2026-11-22_0930_a_b~a6p4e0.eml", 7, "2026-11-22_0930_a_b~a6p4e0.7.eml"},
        {"2026-11-22_0930_a_b~a6p4e0.eml", UINT32_MAX, "2026-11-22_0930_a_b~a6p4e0.4294967295.eml"},
        {".eml", 1, ".1.eml"},
        {"x", 1, "x.1.eml"},
        {"", 1, ".1.eml"},
    };
    char out[MSGNAME_MAX + 1], longest[MSGNAME_MAX + 1];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        msgname_twin(table[i].name, table[i].uid, out);
        assert_string_equal(out, table[i].twin);
    }
    for (size_t i = 0; i < MSGNAME_MAX; i += 3)
        memcpy(longest + i, "\xe6\x97\xa5", 3);
    longest[MSGNAME_MAX] = '\0';
    msgname_twin(longest, UINT32_MAX, out);
    assert_int_equal(strlen(out), 240 + 15);
    assert_string_equal(out + 240, ".4294967295.eml");
}

/* ---- 64 KiB of every nuisance: sound, and soon over (the test's time limit is the judge) */

static void test_hostile(void **state)
{
    static const char *const patterns[] = {
        "=?a?q?x",
        "=?a?q?x ",
        "=?utf-8?q?x?= ",
        "=?a?b?",
        "=?",
        "=?=",
        "=",
        "(",
        "((a)",
        "\"",
        "\\",
        "<",
        ">",
        ",",
        "a,",
        ",a@b",
        "a@b,",
        ":",
        "a:",
        ";",
        "@",
        "\"a\\",
        "(\\",
        "=?a?q?\?==?b?q?\?=",
        "=?shift_jis?q?x?= =?big5?q?x?= ",
        "=?x-none?q?x?= =?x-nine?q?x?= ",
        "=?iso-2022-jp?q?=FF=FF=FF=FF?=",
        "=?utf-8?q?=ff?=",
        "=?utf-8?b?/////?=",
        "\xff",
        "\xe6\x97",
        "\xcc\x81\xcc\xa3",
        "\xcc\xa3",
        "e\xcc\x81",
        "\xe2\x80\x8b",
        "a\xe2\x80\x8b",
        "-",
        "_",
        ".",
        "a b ",
        "\xf0\x9f\x98\x80",
        "=?utf-8?b?zIHMow==?=",
        "\"=?utf-8?q?a?=\" ",
    };
    enum { SIZE = 2 * HEADER_VALUE_MAX };
    char *block = malloc(2 * SIZE + 32);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        size_t n = strlen(patterns[i]), len = 0;
        struct msgname made;
        len += (size_t)snprintf(block, 32, "From: ");
        for (size_t k = 0; k < SIZE; k++)
            block[len++] = patterns[i][k % n];
        len += (size_t)snprintf(block + len, 32, "\nSubject: ");
        for (size_t k = 0; k < SIZE; k++)
            block[len++] = patterns[i][k % n];
        make(block, len, NOW, &made);
        assert_sound(made.name);
    }
    free(block);
}

/* ---- threads */

/* iconv loads its modules under the dynamic linker's lock, and GMime keeps converters under
 * GLib's; ThreadSanitizer sees neither, as both libraries are built without it. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:ld-linux\ncalled_from_lib:libglib-2.0\n";
}

static void *make_many(void *arg)
{
    static const char block[] = "Subject: =?koi8-r?b?8NLJ18XU?= =?gb18030?b?1tC5+g==?= e\xcc\x81\n"
                                "From: =?iso-2022-jp?b?GyRCOzNFRBsoQg==?= <y@x>\n";
    struct msgname *first = arg;
    make(block, sizeof(block) - 1, NOW, first);
    for (int i = 0; i < 500; i++) {
        struct msgname made;
        make(block, sizeof(block) - 1, NOW, &made);
        assert_string_equal(made.name, first->name);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    struct msgname names[ARRAY_LEN(threads)];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, &names[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_non_null(strstr(names[i].name, "_山田_Привет中国-é~"));
}

static int init(void **state)
{
    (void)state;
    msgname_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_parts),   cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_dates),   cmocka_unit_test(test_hash),    cmocka_unit_test(test_twin),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
