/* tests of src/cli/url.c, and of the slugs in src/cli/paths.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "paths.h"
#include "url.h"

#define IMPLICIT SETTINGS_TLS_IMPLICIT
#define STARTTLS SETTINGS_TLS_STARTTLS

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum settings_tls tls;
        const char *user, *host;
        uint16_t port;
        const char *folder, *slug;
    } rows[] = {
        {"imaps://me@example.com", IMPLICIT, "me", "example.com", 993, NULL, "me@example.com"},
        {"imap://me@example.com", STARTTLS, "me", "example.com", 143, NULL, "me@example.com"},
        {"IMAPS://me@EXAMPLE.com", IMPLICIT, "me", "example.com", 993, NULL, "me@example.com"},
        {"imaps://me@x.org@imap.x.org", IMPLICIT, "me@x.org", "imap.x.org", 993, NULL,
         "me@x.org@imap.x.org"},
        {"imaps://me%40x.org@imap.x.org/", IMPLICIT, "me@x.org", "imap.x.org", 993, NULL,
         "me@x.org@imap.x.org"},
        {"imaps://a%3Ab%2fc%25@h", IMPLICIT, "a:b/c%", "h", 993, NULL, "a:b%2Fc%25@h"},
        {"imaps://caf%C3%A9@h", IMPLICIT, "caf\xc3\xa9", "h", 993, NULL, "caf\xc3\xa9@h"},
        {"imaps://.me@h", IMPLICIT, ".me", "h", 993, NULL, "%2Eme@h"},
        {"imaps://a b@h", IMPLICIT, "a b", "h", 993, NULL, "a%20b@h"},
        {"imaps://me@h:993", IMPLICIT, "me", "h", 993, NULL, "me@h"},
        {"imap://me@h:993", STARTTLS, "me", "h", 993, NULL, "me@h:993"},
        {"imaps://me@h:1", IMPLICIT, "me", "h", 1, NULL, "me@h:1"},
        {"imaps://me@h:65535/", IMPLICIT, "me", "h", 65535, NULL, "me@h:65535"},
        {"imaps://me@127.0.0.1:1143", IMPLICIT, "me", "127.0.0.1", 1143, NULL, "me@127.0.0.1:1143"},
        {"imap://me@[::1]", STARTTLS, "me", "::1", 143, NULL, "me@::1"},
        {"imap://me@[2001:DB8::5]:14/a", STARTTLS, "me", "2001:db8::5", 14, "a",
         "me@2001:db8::5:14%2Fa"},
        {"imaps://me@h/INBOX", IMPLICIT, "me", "h", 993, "INBOX", "me@h%2FINBOX"},
        {"imaps://me@h//a/b//", IMPLICIT, "me", "h", 993, "a/b", "me@h%2Fa%2Fb"},
        {"imaps://me@h/a%20b/c%252F%3F", IMPLICIT, "me", "h", 993, "a b/c%2F?",
         "me@h%2Fa%20b%2Fc%252F%3F"},
        {"imaps://me@h/who@where", IMPLICIT, "me", "h", 993, "who@where", "me@h%2Fwho@where"},
        {"imaps://me@h_1.x-y/%E2%82%AC", IMPLICIT, "me", "h_1.x-y", 993, "\xe2\x82\xac",
         "me@h_1.x-y%2F\xe2\x82\xac"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(url_release) struct url url = {0};
        struct errtext err = {""};
        if (url_parse(rows[i].text, &url, &err) < 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_int_equal(url.tls, rows[i].tls);
        assert_string_equal(url.user, rows[i].user);
        assert_string_equal(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        if (rows[i].folder)
            assert_string_equal(url.folder, rows[i].folder);
        else
            assert_null(url.folder);
        CLEANUP_FREE char *slug = paths_slug_of_url(&url);
        assert_string_equal(slug, rows[i].slug);
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "expected imaps://"},
        {"imaps:/me@h", "expected"},
        {"http://me@h", "expected"},
        {"pop3s://me@h", "expected"},
        {"imapsx://me@h", "expected"},
        {" imaps://me@h", "expected"},
        {"imaps://", "USER@"},
        {"imaps://h", "USER@"},
        {"imaps://h/a@b", "USER@"},
        {"imaps://@h", "no USER"},
        {"imaps://me@", "no HOST"},
        {"imaps://me@/INBOX", "no HOST"},
        {"imaps://me@:993", "no HOST"},
        {"imaps://me:secret@h", "password"},
        {"imaps://me;AUTH=PLAIN@h", "auth="},
        {"imaps://me%@h", "%XX"},
        {"imaps://me%4@h", "%XX"},
        {"imaps://me%4x@h", "%XX"},
        {"imaps://me%00@h", "control"},
        {"imaps://me%0A@h", "control"},
        {"imaps://m\te@h", "control"},
        {"imaps://me@h:", "port"},
        {"imaps://me@h:0", "port"},
        {"imaps://me@h:65536", "port"},
        {"imaps://me@h:00000000000000000993", "port"},
        {"imaps://me@h:imap", "port"},
        {"imaps://me@h:-1", "port"},
        {"imaps://me@h:9:9", "port"},
        {"imaps://me@::1", "HOST"},
        {"imaps://me@h h", "host name"},
        {"imaps://me@-h", "host name"},
        {"imaps://me@.h", "host name"},
        {"imaps://me@h.", "host name"},
        {"imaps://me@a..b", "host name"},
        {"imaps://me@h%2e", "host name"},
        {"imaps://me@b\xc3\xbc.de", "host name"},
        {"imaps://me@[::1", "]"},
        {"imaps://me@[::1]x", "only :PORT"},
        {"imaps://me@[]", "IPv6"},
        {"imaps://me@[127.0.0.1]", "IPv6"},
        {"imaps://me@[::g]", "IPv6"},
        {"imaps://me@h/a%", "%XX"},
        {"imaps://me@h/a%0d", "control"},
        {"imaps://me@h/a//b", "empty component"},
        {"imaps://me@h/a/../b", "component"},
        {"imaps://me@h/.", "component"},
        {"imaps://me@h/%2E%2E", "component"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct url url = {.port = 4711};
        struct errtext err = {""};
        assert_int_equal(url_parse(rows[i].text, &url, &err), -EINVAL);
        assert_int_equal(url.port, 4711);
        if (!strstr(err.text, rows[i].why))
            fail_msg("%s: no \"%s\" in: %s", rows[i].text, rows[i].why, err.text);
        assert_null(strstr(err.text, "secret"));
    }
    char *big = malloc(6000);
    memset(big, 'x', 5999);
    big[5999] = '\0';
    memcpy(big, "imaps://me@", 11);
    struct url url;
    assert_int_equal(url_parse(big, &url, NULL), -EINVAL);
    big[500] = '\0'; /* no host is that long */
    assert_int_equal(url_parse(big, &url, NULL), -EINVAL);
    free(big);
}

static void test_is(void **state)
{
    (void)state;
    assert_true(url_is("imaps://me@h"));
    assert_true(url_is("ftp://x"));
    assert_false(url_is("me@example.com"));
    assert_false(url_is("work"));
}

static void test_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool want;
    } rows[] = {
        {"127.0.0.1", true},
        {"127.255.1.2", true},
        {"::1", true},
        {"localhost", true},
        {"LocalHost", true},
        {"128.0.0.1", false},
        {"0.0.0.0", false},
        {"::", false},
        {"::ffff:127.0.0.1", false},
        {"127.1", false},
        {"localhost.example", false},
        {"127.0.0.1.example.com", false},
        {"mylocalhost", false},
        {"", false},
        {"10.127.0.1", false},
        {"0:0:0:0:0:0:0:1", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (url_host_is_loopback(rows[i].host) != rows[i].want)
            fail_msg("%s", rows[i].host);
}

static void test_slug_of_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"work", "work"},
        {"me@example.com", "me@example.com"},
        {".", "%2E"},
        {"..", "%2E."},
        {"../../etc", "%2E.%2F..%2Fetc"},
        {"a/b", "a%2Fb"},
        {"a%2Fb", "a%252Fb"},
        {"a\nb", "a%0Ab"},
        {"a*b?", "a%2Ab%3F"},
        {"x_y+z=1", "x_y+z=1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char *slug = paths_slug_of_name(rows[i].name);
        assert_string_equal(slug, rows[i].want);
    }
    char one[300], two[300];
    memset(one, 'n', sizeof(one));
    memset(two, 'n', sizeof(two));
    one[299] = two[299] = '\0';
    two[298] = 'm';
    CLEANUP_FREE char *slug_one = paths_slug_of_name(one);
    CLEANUP_FREE char *slug_two = paths_slug_of_name(two);
    assert_int_equal(strlen(slug_one), 200);
    assert_string_not_equal(slug_one, slug_two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_bad),
        cmocka_unit_test(test_is),           cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_slug_of_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
