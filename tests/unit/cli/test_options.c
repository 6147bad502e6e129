/* tests of src/cli/options.c, optable.c, fuseopts.c, become.c and paths.c: the command line */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "optable.h"
#include "options.h"
#include "str.h"

static char dir[] = "/tmp/mm-options-XXXXXX";

static int setup(void **state)
{
    (void)state;
    static const char *const gone[] = {"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME",
                                       "XDG_RUNTIME_DIR"};
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        unsetenv(gone[i]);
    return mkdtemp(dir) && setenv("HOME", dir, 1) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(dir);
}

#define URL "imaps://me@example.com"

/* Parses a command line whose words are separated by `|`. */
static int parse(const char *words, struct mount_command *ret, struct errtext *err)
{
    CLEANUP_FREE char *copy = str_printf("mailmount|%s", words);
    char *argv[30];
    int argc = 0;
    for (char *c = copy; c; argc++) {
        char *bar = strchr(c, '|');
        argv[argc] = c;
        if (bar)
            *bar++ = '\0';
        c = bar;
    }
    argv[argc] = NULL;
    return options_parse(argc, argv, ret, err);
}

static struct mount_command parse_ok(const char *words)
{
    struct mount_command command = {0};
    struct errtext err = {""};
    int code = parse(words, &command, &err);
    if (code != EXIT_OK)
        fail_msg("%s: %d %s", words, code, err.text);
    return command;
}

static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        bool foreground, debug, ro;
    } rows[] = {
        {URL "|/mnt", false, false, false},
        {"-f|" URL "|/mnt", true, false, false},
        {URL "|-f|/mnt", true, false, false},
        {URL "|/mnt|-f", true, false, false},
        {URL "|/mnt|-d", true, true, false},
        {"-fd|" URL "|/mnt", true, true, false},
        {"-o|ro|" URL "|/mnt", false, false, true},
        {"-oro|" URL "|/mnt", false, false, true},
        {"-foro|" URL "|/mnt", true, false, true},
        {URL "|-fo|ro|/mnt", true, false, true},
        {URL "|/mnt|-o|rw,nosuid,nodev,ro,_netdev", false, false, true},
        {URL "|/mnt|-o|rw|-o|ro", false, false, true},
        {URL "|/mnt|-o|rw", false, false, false},
        {"-o|,,ro,|" URL "|/mnt", false, false, true},
        {"-f|--|" URL "|/mnt", true, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(mount_command_release) struct mount_command c = parse_ok(rows[i].words);
        assert_string_equal(c.mountpoint, "/mnt");
        assert_string_equal(c.settings.account, URL);
        assert_int_equal(c.settings.foreground, rows[i].foreground);
        assert_int_equal(c.settings.debug, rows[i].debug);
        assert_int_equal(c.settings.read_only, rows[i].ro);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    CLEANUP(mount_command_release) struct mount_command c = parse_ok(URL "|--|-odd");
    const struct settings *s = &c.settings;
    CLEANUP_FREE char *cache = str_printf("%s/.cache/mailmount/me@example.com", dir);
    CLEANUP_FREE char *state_dir = str_printf("%s/.local/state/mailmount/me@example.com", dir);
    CLEANUP_FREE char *want_socket = str_printf("%s/socket", state_dir);
    CLEANUP_FREE char *socket = options_socket_path(s);
    assert_string_equal(c.mountpoint, "-odd");
    assert_string_equal(s->slug, "me@example.com");
    assert_string_equal(s->user, "me");
    assert_string_equal(s->host, "example.com");
    assert_int_equal(s->port, 993);
    assert_int_equal(s->tls, SETTINGS_TLS_IMPLICIT);
    assert_string_equal(s->cache_dir, cache);
    assert_string_equal(s->state_dir, state_dir);
    assert_string_equal(socket, want_socket);
    assert_int_equal(s->connections, 4);
    assert_int_equal(s->timeout_s, 30);
    assert_int_equal(s->poll_s, 300);
    assert_int_equal(s->cache_size, 0);
    assert_false(s->mtime_date || s->read_only || s->offline);
    assert_null(s->folder);
    assert_null(s->folders);
    assert_null(s->passcmd);
    assert_null(s->passfile);
    assert_null(s->auth);
    assert_null(s->cafile);
    assert_null(s->fuse_options);
}

static void test_values(void **state)
{
    (void)state;
    CLEANUP(mount_command_release)
    struct mount_command c =
        parse_ok("-o|folders=INBOX:/Work/**/:a%3Ab:c\\,d,passcmd=pass 'a\\,b' c\\d,cafile=/ca.pem,"
                 "auth=SCRAM-SHA-256,cache=/c,state=~/s,cache_size=20M,connections=10,timeout=1,"
                 "poll=86400,mtime=date,offline|imap://me@h:1143/Work|/mnt");
    const struct settings *s = &c.settings;
    CLEANUP_FREE char *state_dir = str_printf("%s/s", dir);
    static const char *const globs[] = {"INBOX", "Work/**", "a:b", "c,d"};
    for (size_t i = 0; i < ARRAY_LEN(globs); i++)
        assert_string_equal(s->folders[i], globs[i]);
    assert_null(s->folders[ARRAY_LEN(globs)]);
    assert_string_equal(s->passcmd, "pass 'a,b' c\\d");
    assert_string_equal(s->cafile, "/ca.pem");
    assert_string_equal(s->auth, "scram-sha-256");
    assert_string_equal(s->cache_dir, "/c");
    assert_string_equal(s->state_dir, state_dir);
    assert_int_equal(s->cache_size, 20 << 20);
    assert_int_equal(s->connections, 10);
    assert_int_equal(s->timeout_s, 1);
    assert_int_equal(s->poll_s, 86400);
    assert_true(s->mtime_date && s->offline);
    assert_string_equal(s->folder, "Work");
    assert_int_equal(s->tls, SETTINGS_TLS_STARTTLS);
    assert_string_equal(s->slug, "me@h:1143%2FWork");
}

static void test_later_wins(void **state)
{
    (void)state;
    CLEANUP(mount_command_release)
    struct mount_command c =
        parse_ok("-o|poll=5,folders=a,mtime=date,ro|" URL "|/mnt|-o|poll=7,folders=b:c,ro=no,"
                 "mtime=internal");
    assert_int_equal(c.settings.poll_s, 7);
    assert_string_equal(c.settings.folders[0], "b");
    assert_string_equal(c.settings.folders[1], "c");
    assert_null(c.settings.folders[2]);
    assert_false(c.settings.read_only || c.settings.mtime_date);
}

static void test_relative_paths(void **state)
{
    (void)state;
    CLEANUP_FREE char *cwd = getcwd(NULL, 0);
    CLEANUP_FREE char *want = str_printf("%s/pw", cwd);
    CLEANUP(mount_command_release) struct mount_command c = parse_ok("-o|passfile=pw|" URL "|/mnt");
    assert_string_equal(c.settings.passfile, want);
}

static void test_tls_none(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int want;
        const char *why;
    } rows[] = {
        {"imap://me@127.0.0.1:1143", EXIT_OK, ""},
        {"imap://me@127.9.9.9", EXIT_OK, ""},
        {"imap://me@[::1]:1143", EXIT_OK, ""},
        {"imap://me@localhost", EXIT_OK, ""},
        {"imaps://me@127.0.0.1", EXIT_USAGE, "imaps"},
        {"imap://me@example.com", EXIT_USAGE, "example.com"},
        {"imap://me@10.0.0.1", EXIT_USAGE, "10.0.0.1"},
        {"imap://me@[fe80::1]", EXIT_USAGE, "fe80::1"},
        {"imap://me@localhost.example.com", EXIT_USAGE, "localhost.example.com"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(mount_command_release) struct mount_command c = {0};
        CLEANUP_FREE char *words = str_printf("-o|tls=none|%s|/mnt", rows[i].url);
        struct errtext err = {""};
        assert_int_equal(parse(words, &c, &err), rows[i].want);
        if (rows[i].want == EXIT_OK)
            assert_int_equal(c.settings.tls, SETTINGS_TLS_NONE);
        else if (!strstr(err.text, rows[i].why))
            fail_msg("%s", err.text);
    }
}

static void test_fuse_options(void **state)
{
    (void)state;
    static const struct {
        const char *words, *want;
    } rows[] = {
        {"allow_other", "allow_other"},
        {"allow_other,ro,max_read=4096,noatime", "allow_other,max_read=4096,noatime"},
        {"context=\"a:b:c0\\,c1\"", "context=\"a:b:c0\\,c1\""},
        {"context=a\\b", "context=a\\\\b"},
        {"auto,noauto,user,users,nofail,rw,dev,suid,exec,_netdev,defaults,x-systemd.automount,"
         "x-gvfs-show,X-mount.mkdir=0700,nosuid,nodev,noexec,default_permissions,user=bob,comment="
         "c",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char *words = str_printf(URL "|/mnt|-o|%s", rows[i].words);
        CLEANUP(mount_command_release) struct mount_command c = parse_ok(words);
        if (rows[i].want)
            assert_string_equal(c.settings.fuse_options, rows[i].want);
        else
            assert_null(c.settings.fuse_options);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int want;
        const char *why;
    } rows[] = {
        {"", EXIT_USAGE, "usage"},
        {URL, EXIT_USAGE, "usage"},
        {"|/mnt", EXIT_USAGE, "usage"},
        {URL "|/mnt|extra", EXIT_USAGE, "extra"},
        {"-x|" URL "|/mnt", EXIT_USAGE, "-x"},
        {"-s|" URL "|/mnt", EXIT_USAGE, "-s"},
        {"--foreground|" URL "|/mnt", EXIT_USAGE, "--foreground"},
        {URL "|/mnt|-o", EXIT_USAGE, "-o needs"},
        {URL "|/mnt|-o|colour=red", EXIT_USAGE, "colour"},
        {URL "|/mnt|-o|rO", EXIT_USAGE, "rO"},
        {URL "|/mnt|-o|=x", EXIT_USAGE, "no such option"},
        {URL "|/mnt|-o|kernel_cache", EXIT_USAGE, "kernel_cache"},
        {URL "|/mnt|-o|fsname=x", EXIT_USAGE, "fsname"},
        {URL "|/mnt|-o|subtype=x", EXIT_USAGE, "subtype"},
        {URL "|/mnt|-o|max_read=lots", EXIT_USAGE, "max_read"},
        {URL "|/mnt|-o|max_read", EXIT_USAGE, "max_read"},
        {URL "|/mnt|-o|allow_other=1", EXIT_USAGE, "allow_other"},
        {URL "|/mnt|-o|connections=0", EXIT_USAGE, "connections"},
        {URL "|/mnt|-o|connections=11", EXIT_USAGE, "1 to 10"},
        {URL "|/mnt|-o|connections=", EXIT_USAGE, "connections"},
        {URL "|/mnt|-o|connections", EXIT_USAGE, "needs a value"},
        {URL "|/mnt|-o|timeout=0", EXIT_USAGE, "timeout"},
        {URL "|/mnt|-o|timeout=3x", EXIT_USAGE, "timeout"},
        {URL "|/mnt|-o|poll=99999999999999999999", EXIT_USAGE, "poll"},
        {URL "|/mnt|-o|cache_size=much", EXIT_USAGE, "cache_size"},
        {URL "|/mnt|-o|cache_size=0", EXIT_USAGE, "cache_size"},
        {URL "|/mnt|-o|mtime=ctime", EXIT_USAGE, "mtime"},
        {URL "|/mnt|-o|auth=digest-md5", EXIT_USAGE, "auth"},
        {URL "|/mnt|-o|tls=off", EXIT_USAGE, "tls"},
        {URL "|/mnt|-o|ro=maybe", EXIT_USAGE, "ro"},
        {URL "|/mnt|-o|folders=", EXIT_USAGE, "folders"},
        {URL "|/mnt|-o|folders=a::b", EXIT_USAGE, "folders"},
        {URL "|/mnt|-o|folders=/", EXIT_USAGE, "folders"},
        {URL "|/mnt|-o|passcmd=", EXIT_USAGE, "passcmd"},
        {URL "|/mnt|-o|passcmd=a 'b", EXIT_USAGE, "quotes"},
        {URL "|/mnt|-o|passfile=", EXIT_USAGE, "passfile"},
        {URL "|/mnt|-o|insecure_password=x", EXIT_USAGE, "configuration file"},
        {URL "|/mnt|-o|url=" URL, EXIT_USAGE, "configuration file"},
        {URL "|/mnt|-o|trash=Bin", EXIT_USAGE, "trash: not supported yet"},
        {URL "|/mnt|-o|delete=expunge", EXIT_USAGE, "delete: not supported yet"},
        {URL "|/mnt|-o|bulk_limit=5", EXIT_USAGE, "bulk_limit: not supported yet"},
        {URL "|/mnt|-o|setuid=no-such-user-here", EXIT_USAGE, "no-such-user-here"},
        {"imaps://me:pw@h|/mnt", EXIT_USAGE, "password"},
        {"http://me@h|/mnt", EXIT_USAGE, "expected imaps"},
        {"status|/mnt", EXIT_USAGE, "verb"},
        {"-f|sync|/mnt", EXIT_USAGE, "verb"},
        {"work|/mnt", EXIT_NOT_FOUND, "work: no such account"},
        {"work|/mnt|-o|colour", EXIT_USAGE, "colour"},
        {"me@example.com|/mnt", EXIT_NOT_FOUND, "imaps://me@example.com@HOST"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mount_command c = {0};
        struct errtext err = {""};
        int code = parse(rows[i].words, &c, &err);
        if (code != rows[i].want || !strstr(err.text, rows[i].why))
            fail_msg("%s: %d %s", rows[i].words, code, err.text);
        assert_null(c.mountpoint);
    }
}

static void test_many_words(void **state)
{
    (void)state;
    CLEANUP_STR struct str words = STR_INIT(100000);
    struct mount_command c = {0};
    struct errtext err = {""};
    str_append_text(&words, URL "|/mnt|-o|");
    for (int i = 0; i < 201; i++)
        str_append_text(&words, "auto,");
    assert_int_equal(parse(words.data, &c, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "more than 200"));
}

/* setuid= is tried in a child, because there is no way back. */
static void test_setuid(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        struct mount_command c = {0};
        struct errtext err = {""};
        assert_int_equal(parse(URL "|/mnt|-o|setuid=root", &c, &err), EXIT_USAGE);
        assert_non_null(strstr(err.text, "only root"));
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        struct mount_command c = {0};
        setenv("XDG_STATE_HOME", "/of-root/state", 1);
        if (parse(URL "|/mnt|-o|poll=6,setuid=nobody,poll=7", &c, NULL) != EXIT_OK)
            _exit(10);
        if (geteuid() == 0 || getuid() != geteuid() || getegid() == 0 || setuid(0) == 0)
            _exit(11);
        if (strcmp(getenv("USER"), "nobody") != 0 || getenv("XDG_STATE_HOME") ||
            strncmp(c.settings.state_dir, getenv("HOME"), strlen(getenv("HOME"))) != 0)
            _exit(12);
        int code = c.settings.poll_s == 7 ? 0 : 13;
        mount_command_release(&c);
        _exit(code);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    CLEANUP(mount_command_release)
    struct mount_command c = parse_ok(URL "|/mnt|-o|setuid=root,setuid=0");
    assert_non_null(c.mountpoint);
    assert_int_equal(geteuid(), 0);
}

static void test_directories(void **state)
{
    (void)state;
    CLEANUP(mount_command_release) struct mount_command c = {0};
    setenv("XDG_CACHE_HOME", "/x/cache", 1);
    setenv("XDG_STATE_HOME", "relative/is/ignored", 1);
    setenv("XDG_RUNTIME_DIR", dir, 1);
    c = parse_ok(URL "/a|/mnt");
    CLEANUP_FREE char *state_dir = str_printf("%s/.local/state/mailmount/me@example.com%%2Fa", dir);
    CLEANUP_FREE char *want = str_printf("%s/mailmount/me@example.com%%2Fa.sock", dir);
    CLEANUP_FREE char *socket = options_socket_path(&c.settings);
    assert_string_equal(c.settings.cache_dir, "/x/cache/mailmount/me@example.com%2Fa");
    assert_string_equal(c.settings.state_dir, state_dir);
    assert_string_equal(socket, want);
    /* A runtime directory that is not there, or not ours, does not count. */
    CLEANUP_FREE char *in_state = str_printf("%s/socket", state_dir);
    setenv("XDG_RUNTIME_DIR", "/no/such/dir", 1);
    CLEANUP_FREE char *fallback = options_socket_path(&c.settings);
    assert_string_equal(fallback, in_state);
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("XDG_STATE_HOME");
    unsetenv("XDG_CACHE_HOME");
}

static void test_no_home(void **state)
{
    (void)state;
    unsetenv("HOME");
    CLEANUP(mount_command_release) struct mount_command c = parse_ok(URL "|/mnt");
    assert_int_equal(c.settings.state_dir[0], '/');
    assert_null(strstr(c.settings.state_dir, "mm-options"));
    setenv("HOME", dir, 1);
}

/* Each option of --help is one -o understands, with its value or without. */
static void test_usage(void **state)
{
    (void)state;
    struct option_usage u;
    unsigned n = 0;
    for (; option_describe(n, &u); n++) {
        CLEANUP(option_values_release) struct option_values values = {0};
        struct errtext err = {""};
        int r = option_set(&values, OPTION_COMMAND, u.key, u.arg ? "" : NULL, &err);
        assert_int_equal(r, u.arg ? -EINVAL : 0);
        assert_true(strlen(u.help) > 5 && strlen(u.help) < 75);
    }
    assert_true(n >= 15); /* not cut off at the first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),         cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),         cmocka_unit_test(test_later_wins),
        cmocka_unit_test(test_relative_paths), cmocka_unit_test(test_tls_none),
        cmocka_unit_test(test_fuse_options),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many_words),     cmocka_unit_test(test_setuid),
        cmocka_unit_test(test_directories),    cmocka_unit_test(test_no_home),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
