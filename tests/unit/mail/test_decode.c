#include "decode.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "msgname.h"

static const struct {
    const char *raw, *text;
} table[] = {
    {"", ""},
    {"plain", "plain"},
    {"a = b ?= c =? d", "a = b ?= c =? d"},
    {"=?utf-8?q?J=C3=BCrgen?=", "Jürgen"},
    {"=?UTF-8?Q?J=c3=bcrgen_M?= x", "Jürgen M x"},
    {"=?utf-8?b?SsO8cmdlbg==?=", "Jürgen"},
    {"=?utf-8*de?q?a?=", "a"},
    /* blanks between words */
    {"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
    {"=?utf-8?q?a?=  \t =?iso-8859-1?q?b?=", "ab"},
    {"=?utf-8?q?a?==?utf-8?q?b?=", "ab"},
    {"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"},
    {" =?utf-8?q?a?= ", " a "},
    {"x=?utf-8?q?a?=y", "xay"},
    {"(=?utf-8?q?a?=)", "(a)"},
    /* characters and groups split over words */
    {"=?utf-8?b?5pel5pw=?= =?utf-8?b?rOiqng==?=", "日本語"},
    {"=?utf-8?b?5pel5pw=?= =?UTF-8?q?=AC=E8=AA=9E?=", "日本語"},
    {"=?utf-8?q?=E6?= =?utf-8?q?=97=A5?=", "日"},
    {"=?utf-8?b?5pel5?= =?utf-8?b?pys6Kqe?=", "日本語"},
    {"=?utf-8?b?YQ?= =?utf-8?b?Yg?=", "ab"},
    {"=?iso-2022-jp?b?GyRCOzNF?= =?iso-2022-jp?b?RBsoQg==?=", "山田"},
    {"=?iso-2022-jp?b?GyRCOzNFRBsoQg==?= =?iso-2022-jp?b?GyRCMnE1RBsoQg==?=", "山田会議"},
    /* character sets */
    {"=?koi8-r?b?8NLJ18XU?=", "Привет"},
    {"=?gb18030?b?1tC5+g==?=", "中国"},
    {"=?gb2312?b?1tC5+g==?=", "中国"},
    {"=?big5?b?pKSk5Q==?=", "中文"},
    {"=?shift_jis?b?k/qWew==?=", "日本"},
    {"=?x-sjis?b?k/qWew==?=", "日本"},
    {"=?euc-kr?b?x9GxuQ==?=", "한국"},
    {"=?windows-1252?q?=80?=", "€"},
    {"=?iso-8859-15?q?=A4?=", "€"},
    {"=?utf-7?q?+AOQ-?=", "ä"},
    /* unknown, empty, wrong or hostile character sets */
    {"=?x-nonsense?q?Gr=FC=DFe?=", "Grüße"},
    {"=?x-nonsense?q?Gr=C3=BC=C3=9Fe?=", "Grüße"},
    {"=??q?abc?=", "abc"},
    {"=?utf-8?q?Gr=FC=DFe?=", "Grüße"},
    {"=?us-ascii?q?Gr=FC=DFe?=", "Grüße"},
    {"=?utf-8//IGNORE?q?=FF?=", "ÿ"},
    {"=?../../x?q?a?=", "a"},
    {"=?\xff?q?a?=", "a"},
    {"=?iso-2022-jp?b?GyRC//8bKEJh?=", "??a"},
    /* broken words */
    {"=?utf-8?q?a b c?= d", "a b c d"},
    {"=?utf-8?Q?a?b?=", "a?b"},
    {"=?utf-8?Q?=41?=", "A"},
    {"=?utf-8?q?=?=", "="},
    {"=?utf-8?q?=4?=", "=4"},
    {"=?utf-8?q?=zz?=", "=zz"},
    {"=?utf-8?q?a=?= x", "a= x"},
    {"=?utf-8?b?YWJj!?=", "abc"},
    {"=?utf-8?b? Y W J j ?=", "abc"},
    {"=?utf-8?b?YWJ?=", "ab"},
    {"=?utf-8?q?\?= x =?utf-8?b?\?=", " x "},
    {"=?utf-8?x?abc?=", "=?utf-8?x?abc?="},
    {"=?utf-8?q?abc", "=?utf-8?q?abc"},
    {"=?utf-8?q?abc?", "=?utf-8?q?abc?"},
    {"=?utf-8?q", "=?utf-8?q"},
    {"=?utf-8?", "=?utf-8?"},
    {"=?", "=?"},
    {"=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"},
    {"=?utf-8?q?J\xc3\xbcrgen?=", "Jürgen"},
    {"=?utf-8?q?=00a=0Ab?=", "\001a\nb"},
    {"=?iso-8859-1?q?=00a?=", "\001a"},
    /* raw bytes */
    {"Gr\xfc\xdf caf\xc3\xa9", "Grüß café"},
    {"\x80\x93\xff", "€“ÿ"},
    {"\x81", "\xc2\x81"},
    {"\xc3", "Ã"},
    {"\xed\xa0\x80", "í\xc2\xa0€"},      /* a surrogate */
    {"\xc0\xaf", "À¯"},                  /* an overlong slash */
    {"\xf4\x90\x80\x80", "ô\xc2\x90€€"}, /* beyond U+10FFFF */
    {"\xf0\x9f\x98\x80", "😀"},
    {"\xfc =?utf-8?q?=C3=BC?= \xfc", "ü ü ü"},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct str out = STR_INIT(DECODE_MAX);
        size_t len = strlen(table[i].raw);
        char *raw = malloc(len + !len);
        memcpy(raw, table[i].raw, len);
        assert_int_equal(decode_text(raw, len, &out), 0);
        free(raw);
        if (strcmp(out.data, table[i].text) != 0)
            fail_msg("%s: \"%s\" is not \"%s\"", table[i].raw, out.data, table[i].text);
        str_release(&out);
    }
}

/* The locale's character set plays no part. */
static void test_other_locale(void **state)
{
    setlocale(LC_ALL, "en_US.ISO-8859-1");
    test_table(state);
    setlocale(LC_ALL, "C");
}

static void test_nul(void **state)
{
    struct str out = STR_INIT(DECODE_MAX);
    (void)state;
    assert_int_equal(decode_text("a\0b", 3, &out), 0);
    assert_string_equal(out.data, "a\001b");
    str_release(&out);
}

static void test_word_length(void **state)
{
    (void)state;
    assert_int_equal(decode_word_length("=?utf-8?q?a?= b", 15), 13);
    assert_int_equal(decode_word_length("=?utf-8?q?a?=", 12), 0);
    assert_int_equal(decode_word_length("a=?utf-8?q?a?=", 14), 0);
    assert_int_equal(decode_word_length("", 0), 0);
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
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_other_locale),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_word_length),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
