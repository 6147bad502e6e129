/* tests of src/base/conf.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "str.h"

static const char *const keys[] = {"url", "ro", "passcmd", "connections", NULL};

struct fixture {
    char dir[64];
    char path[128];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/mm-conf-XXXXXX");
    if (!f || !mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/config", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void write_conf(const struct fixture *f, const char *text)
{
    assert_int_equal(file_replace(f->dir, "config", text, strlen(text)), 0);
}

static int collect(void *ctx, const struct conf_value *v)
{
    return str_printf_append(ctx, "%s%s=%s:%u;", v->is_default ? "D" : "", v->key, v->value,
                             v->line);
}

static void test_values(void **state)
{
    const struct fixture *f = *state;
    write_conf(f, "# a comment\n"
                  "defaults {\n"
                  "  connections = 3\n"
                  "}\n"
                  "account work {\n"
                  "  url = \"imaps://me@example.com\"\n"
                  "  ro = true\n"
                  "  passcmd = 'pass show \"a b\"'\n"
                  "}\n"
                  "account \"me@example.com\" { url = 'imap://h' connections = 7 }\n"
                  "/* not\n"
                  "account x { */\n"
                  "account empty {} // nothing {\n"
                  "account odd { passcmd=a//c url='x#{y' # \"z\n"
                  "  ro = \"/*\\\"\" }\n");
    CLEANUP(conf_freep) struct conf *conf = NULL;
    struct errtext err = {""};
    assert_int_equal(conf_read(f->path, keys, &conf, &err), 0);
    assert_true(conf_is_private(conf));
    assert_string_equal(conf_account_name(conf, 0), "work");
    assert_string_equal(conf_account_name(conf, 1), "me@example.com");
    assert_string_equal(conf_account_name(conf, 2), "empty");
    assert_string_equal(conf_account_name(conf, 3), "odd");
    assert_null(conf_account_name(conf, 4));
    static const struct {
        const char *account, *want;
    } rows[] = {
        {NULL, "Dconnections=3:3;"},
        {"work", "Dconnections=3:3;url=imaps://me@example.com:6;ro=true:7;"
                 "passcmd=pass show \"a b\":8;"},
        {"me@example.com", "Dconnections=3:3;url=imap://h:10;connections=7:10;"},
        {"empty", "Dconnections=3:3;"},
        {"odd", "Dconnections=3:3;passcmd=a//c:14;url=x#{y:14;ro=/*\":15;"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_STR struct str got = STR_INIT(1000);
        assert_int_equal(conf_account(conf, rows[i].account, collect, &got), 0);
        assert_string_equal(got.data, rows[i].want);
    }
    CLEANUP_STR struct str none = STR_INIT(1000);
    assert_int_equal(conf_account(conf, "nobody", collect, &none), -ENOENT);
    assert_int_equal(none.len, 0);
}

static int refuse(void *ctx, const struct conf_value *v)
{
    (void)v;
    (*(int *)ctx)++;
    return -EDOM;
}

static void test_callback_ends(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(conf_freep) struct conf *conf = NULL;
    int calls = 0;
    write_conf(f, "account a { url = x ro = true }\n");
    assert_int_equal(conf_read(f->path, keys, &conf, NULL), 0);
    assert_int_equal(conf_account(conf, "a", refuse, &calls), -EDOM);
    assert_int_equal(calls, 1);
}

static void test_errors(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *text, *line, *word;
    } rows[] = {
        {"account a {\n url = x\n colour = red\n}\n", ":3: ", "colour"},
        {"\n\nfolders = x\n", ":3: ", "folders"},
        {"account {\n url = x\n}\n", ":1: ", ""},
        {"account a {\n url = x\n", ":3: ", "}"},
        {"account a { url = x }\naccount a { url = y }\n", ":2: ", "a"},
        {"account a {\n url = x\n url = y\n}\n", ":3: ", "url: is set twice"},
        {"defaults {\n connections = \n}\n", ":3: ", ""},
        {"account a { url = \"x }\n", ":", ""},
        {"account a {\n url = x*\n}", ":2: ", "quotes"},
        {"account a {\n url = 'x\n' ro = A,B\n}", ":3: ", "quotes"},
        {"account a {\n url = a#b\n}", ":2: ", "quotes"},
        {"account a {\n url += a\n}", ":2: ", "quotes"},
        {"include(\"/etc/passwd\")\n", ":1: ", "quotes"},
        {"# one\n// two\n/* three\n */ account a {\n  # five\n  colour = x\n}", ":6: ", "colour"},
        {"\x01\xff", ":1: ", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf *conf = NULL;
        struct errtext err = {""};
        write_conf(f, rows[i].text);
        assert_int_equal(conf_read(f->path, keys, &conf, &err), -EINVAL);
        assert_null(conf);
        size_t n = strlen(f->path);
        assert_memory_equal(err.text, f->path, n);
        if (strncmp(err.text + n, rows[i].line, strlen(rows[i].line)) != 0 ||
            !strstr(err.text + n, rows[i].word))
            fail_msg("row %zu: %s", i, err.text);
    }
}

static void test_unsafe(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        mode_t file, dir;
        int want;
        bool is_private;
    } rows[] = {
        {0600, 0700, 0, true},   {0400, 0700, 0, true},       {0644, 0755, 0, false},
        {0640, 0700, 0, false},  {0666, 0700, -EPERM, false}, {0620, 0700, -EPERM, false},
        {0600, 0777, -EPERM, 0}, {0600, 0770, -EPERM, false}, {0600, 01777, 0, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(conf_freep) struct conf *conf = NULL;
        struct errtext err = {""};
        write_conf(f, "account a { url = x }\n");
        assert_int_equal(chmod(f->path, rows[i].file), 0);
        assert_int_equal(chmod(f->dir, rows[i].dir), 0);
        assert_int_equal(conf_read(f->path, keys, &conf, &err), rows[i].want);
        if (conf)
            assert_int_equal(conf_is_private(conf), rows[i].is_private);
        assert_int_equal(chmod(f->dir, 0700), 0);
    }
}

static void test_absent_and_odd(void **state)
{
    const struct fixture *f = *state;
    struct conf *conf = NULL;
    struct errtext err = {""};
    unlink(f->path);
    assert_int_equal(conf_read(f->path, keys, &conf, &err), -ENOENT);
    assert_int_equal(conf_read(f->dir, keys, &conf, &err), -EINVAL);
    CLEANUP_FREE char *big = malloc(CONF_FILE_MAX + 2);
    assert_non_null(big);
    memset(big, '#', CONF_FILE_MAX + 1);
    big[CONF_FILE_MAX + 1] = '\0';
    write_conf(f, big);
    assert_int_equal(conf_read(f->path, keys, &conf, &err), -EINVAL);
    assert_null(conf);
    CLEANUP(conf_freep) struct conf *empty = NULL;
    write_conf(f, "");
    assert_int_equal(conf_read(f->path, keys, &empty, &err), 0);
    assert_null(conf_account_name(empty, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_callback_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsafe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absent_and_odd, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
