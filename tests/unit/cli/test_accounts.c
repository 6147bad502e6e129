/* tests of src/cli/accounts.c: the configuration file, seen through options_account */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"

static char dir[] = "/tmp/mm-accounts-XXXXXX";
static char conf_dir[64], conf_path[80];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(conf_dir, sizeof(conf_dir), "%s/mailmount", dir);
    snprintf(conf_path, sizeof(conf_path), "%s/config", conf_dir);
    setenv("HOME", "/home/x", 1);
    setenv("XDG_CONFIG_HOME", dir, 1);
    unsetenv("XDG_CACHE_HOME");
    return mkdir(conf_dir, 0700);
}

static int teardown(void **state)
{
    (void)state;
    unlink(conf_path);
    rmdir(conf_dir);
    return rmdir(dir);
}

static void write_conf(const char *text)
{
    assert_int_equal(file_replace(conf_dir, "config", text, strlen(text)), 0);
}

static struct settings account_ok(const char *account)
{
    struct settings s = {0};
    struct errtext err = {""};
    int code = options_account(account, &s, &err);
    if (code != EXIT_OK)
        fail_msg("%s: %d %s", account, code, err.text);
    return s;
}

static void account_fails(const char *account, int want, const char *why)
{
    struct settings s = {0};
    struct errtext err = {""};
    int code = options_account(account, &s, &err);
    if (code != want || !strstr(err.text, why))
        fail_msg("%s: %d %s", account, code, err.text);
    assert_null(s.host);
}

static const char good[] = "defaults {\n"
                           "  poll = 60\n"
                           "  passcmd = 'default command'\n"
                           "  cafile = ~/ca.pem\n"
                           "}\n"
                           "account work {\n"
                           "  url = \"imaps://me%40work.example@imap.work.example:1993/Shared\"\n"
                           "  ro = true\n"
                           "  poll = 70\n"
                           "  passfile = /secret\n"
                           "}\n"
                           "account home { url = \"imap://me@home.example\" }\n"
                           "account home2 { url = \"imap://me@home.example@other\" }\n"
                           "account \"x@y\" { url = \"imaps://someone@h\" offline = yes }\n"
                           "account twice { url = \"imaps://me@home.example@third\" }\n";

static void test_names(void **state)
{
    (void)state;
    write_conf(good);
    CLEANUP_SETTINGS struct settings work = account_ok("work");
    assert_string_equal(work.account, "work");
    assert_string_equal(work.slug, "work");
    assert_string_equal(work.user, "me@work.example");
    assert_string_equal(work.host, "imap.work.example");
    assert_int_equal(work.port, 1993);
    assert_string_equal(work.folder, "Shared");
    assert_true(work.read_only);
    assert_int_equal(work.poll_s, 70);
    assert_string_equal(work.cafile, "/home/x/ca.pem");
    assert_string_equal(work.cache_dir, "/home/x/.cache/mailmount/work");
    /* The account's own secret replaces the default one. */
    assert_string_equal(work.passfile, "/secret");
    assert_null(work.passcmd);

    CLEANUP_SETTINGS struct settings home = account_ok("home");
    assert_int_equal(home.poll_s, 60);
    assert_string_equal(home.passcmd, "default command");
    assert_int_equal(home.tls, SETTINGS_TLS_STARTTLS);
    assert_false(home.read_only);
}

static void test_addresses(void **state)
{
    (void)state;
    write_conf(good);
    CLEANUP_SETTINGS struct settings by_name = account_ok("x@y");
    assert_string_equal(by_name.user, "someone");
    assert_true(by_name.offline);
    CLEANUP_SETTINGS struct settings by_user = account_ok("me@work.example");
    assert_string_equal(by_user.account, "work");
    assert_string_equal(by_user.slug, "work");
    account_fails("me@home.example", EXIT_NOT_FOUND, "home2, twice");
    account_fails("you@example.com", EXIT_NOT_FOUND, "imaps://you@example.com@HOST");
    account_fails("nobody", EXIT_NOT_FOUND, "nobody: no such account");
    account_fails("status", EXIT_USAGE, "verb");
}

static void test_url(void **state)
{
    (void)state;
    write_conf(good);
    CLEANUP_SETTINGS struct settings s = account_ok("imaps://u@h");
    assert_string_equal(s.account, "imaps://u@h");
    assert_int_equal(s.poll_s, 60); /* the defaults hold for it too */
    assert_string_equal(s.passcmd, "default command");
}

static void test_command_line_wins(void **state)
{
    (void)state;
    write_conf(good);
    char *argv[] = {(char *)"mailmount",
                    (char *)"work",
                    (char *)"/mnt",
                    (char *)"-o",
                    (char *)"passcmd=mine,poll=9,ro=false",
                    NULL};
    CLEANUP(mount_command_release) struct mount_command c = {0};
    assert_int_equal(options_parse(5, argv, &c, NULL), EXIT_OK);
    assert_string_equal(c.settings.passcmd, "mine");
    assert_null(c.settings.passfile);
    assert_int_equal(c.settings.poll_s, 9);
    assert_false(c.settings.read_only);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where, *why;
    } rows[] = {
        {"account a {\n url = \"imaps://u@h\"\n colour = red\n}", ":3: ", "colour"},
        {"account a {\n url = \"http://u@h\"\n}", ":2: ", "expected imaps"},
        {"account a {\n url = \"imaps://u:p@h\"\n}", ":2: ", "password"},
        {"account a {\n url = \"imaps://u@h\"\n connections = 20\n}", ":3: ", "connections"},
        {"account a {\n url = \"imaps://u@h\"\n trash = Bin\n}", ":3: ", "not supported yet"},
        {"account a {\n url = \"imaps://u@h\"\n oauth = google\n}", ":3: ", "not supported yet"},
        {"account a {\n url = \"imaps://u@h\"\n cafile = ca.pem\n}", ":3: ", "begin with /"},
        {"account a {\n url = \"imaps://u@h\"\n ro = 2\n}", ":3: ", "ro"},
        {"account a {\n url = \"imaps://u@h\"\n fsname = x\n}", ":3: ", "fsname"},
        {"account a {\n url = \"imaps://u@h\"\n setuid = x\n}", ":3: ", "setuid"},
        {"account a {\n ro = true\n}", ": ", "account a has no url"},
        {"defaults {\n url = \"imaps://u@h\"\n}", ":2: ", "inside `account`"},
        {"defaults {\n poll = 0\n}", ":2: ", "poll"},
        {"account sync { url = \"imaps://u@h\" }", ": ", "verb"},
        {"account allow-bulk { url = \"imaps://u@h\" }", ": ", "verb"},
        {"account \"imaps://u@h\" { url = \"imaps://u@h\" }", ": ", "name of an account"},
        {"account \"\" { url = \"imaps://u@h\" }", ": ", ""},
        {"account a {", ":1: ", "}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char where[100];
        write_conf(rows[i].text);
        snprintf(where, sizeof(where), "%s%s", conf_path, rows[i].where);
        account_fails("imaps://x@y", EXIT_USAGE, where);
        account_fails("a", EXIT_USAGE, rows[i].why);
    }
}

static void test_insecure_password(void **state)
{
    (void)state;
    write_conf("account a {\n url = \"imaps://u@h\"\n insecure_password = \"pw # \"\n}\n");
    CLEANUP_SETTINGS struct settings s = account_ok("a");
    assert_string_equal(s.insecure_password, "pw # ");
    assert_int_equal(chmod(conf_path, 0640), 0);
    account_fails("a", EXIT_USAGE, ":3: insecure_password");
    assert_int_equal(chmod(conf_path, 0666), 0);
    account_fails("a", EXIT_USAGE, "chmod");
}

static void test_no_file(void **state)
{
    (void)state;
    unlink(conf_path);
    CLEANUP_SETTINGS struct settings s = account_ok("imaps://u@h");
    assert_int_equal(s.poll_s, 300);
    account_fails("work", EXIT_NOT_FOUND, "no such file");
    setenv("XDG_CONFIG_HOME", "/dev/null", 1);
    CLEANUP_SETTINGS struct settings again = account_ok("imaps://u@h");
    assert_string_equal(again.user, "u");
    setenv("XDG_CONFIG_HOME", dir, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_url),      cmocka_unit_test(test_command_line_wins),
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_insecure_password),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
