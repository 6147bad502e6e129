/* tests of src/cli/verbs.c, verb_*.c and daemons.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "mountpoint.h"
#include "options.h"
#include "verbs.h"

static char dir[] = "/tmp/mm-verbs-XXXXXX";
static char run_dir[64], state_dir[80], out_path[64], err_path[64];

static bool isolated; /* no mounts but the test's: outputs are compared whole */

static void detach(void *ctx, const char *path)
{
    (void)ctx;
    umount2(path, MNT_DETACH);
}

/* Mounts of this user outside the test would be reported too; root can leave them behind. */
static void isolate(void)
{
    isolated = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
               mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mountpoint_each(detach, NULL) == 0;
}

static int setup(void **state)
{
    (void)state;
    isolate();
    if (!mkdtemp(dir))
        return -1;
    snprintf(run_dir, sizeof(run_dir), "%s/run", dir);
    snprintf(state_dir, sizeof(state_dir), "%s/state/mailmount/b[*]", dir);
    snprintf(out_path, sizeof(out_path), "%s/out", dir);
    snprintf(err_path, sizeof(err_path), "%s/err", dir);
    setenv("HOME", dir, 1);
    setenv("XDG_RUNTIME_DIR", run_dir, 1);
    CLEANUP_FREE char *state_home = str_printf("%s/state", dir);
    setenv("XDG_STATE_HOME", state_home, 1);
    return mkdir(run_dir, 0700);
}

static int teardown(void **state)
{
    static const char *const left[] = {
        "out",   "err", "run/mailmount", "run", "state/mailmount/b[*]", "state/mailmount",
        "state", ""};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        CLEANUP_FREE char *path = str_printf("%s/%s", dir, left[i]);
        if (unlink(path) < 0)
            rmdir(path);
    }
    return access(dir, F_OK) == 0 ? -1 : 0;
}

/* ---- running a verb with its output caught */

static char *out, *err; /* of the last run */

static void redirect(int fd, const char *path)
{
    CLEANUP_FD int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0 && dup2(file, fd) == fd);
}

/* Words separated by `|`. */
static int run(const char *words)
{
    CLEANUP_FREE char *copy = strdup(words);
    char *argv[10];
    int argc = 0;
    for (char *c = copy; c; argc++) {
        char *bar = strchr(c, '|');
        argv[argc] = c;
        if (bar)
            *bar++ = '\0';
        c = bar;
    }
    argv[argc] = NULL;
    fflush(NULL);
    int old_out = dup(STDOUT_FILENO), old_err = dup(STDERR_FILENO);
    redirect(STDOUT_FILENO, out_path);
    redirect(STDERR_FILENO, err_path);
    int code = verb_run(argc, argv);
    fflush(NULL);
    dup2(old_out, STDOUT_FILENO);
    dup2(old_err, STDERR_FILENO);
    close(old_out);
    close(old_err);
    free(out);
    free(err);
    assert_int_equal(file_read(out_path, 1 << 20, &out, NULL), 0);
    assert_int_equal(file_read(err_path, 1 << 20, &err, NULL), 0);
    return code;
}

static void check(const char *words, int code, const char *in_out, const char *in_err)
{
    int got = run(words);
    if (got != code || !strstr(out, in_out) || !strstr(err, in_err))
        fail_msg("%s: %d\nout: %s\nerr: %s", words, got, out, err);
    /* Either a result or one line of error. */
    assert_true(code == 0 ? !*err : strchr(err, '\n') == err + strlen(err) - 1);
}

/* ---- */

static void test_words(void **state)
{
    (void)state;
    static const char *const later[] = {"setup",   "login",   "flag",       "undo",
                                        "retry",   "discard", "allow-bulk", "empty-trash",
                                        "expunge", "doctor"};
    static const char *const now[] = {"status",    "unmount", "help", "--help",
                                      "--version", "-h",      "-V"};
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        assert_true(verb_known(later[i]));
        check(later[i], EXIT_USAGE, "", "not supported yet in this version");
        assert_non_null(strstr(err, later[i]));
        assert_string_equal(out, "");
    }
    for (size_t i = 0; i < ARRAY_LEN(now); i++)
        assert_true(verb_known(now[i]));
    assert_false(verb_known("work") || verb_known("") || verb_known("Status") || verb_known("-f"));
    check("nonsense", EXIT_USAGE, "", "--help");
}

static void test_help(void **state)
{
    (void)state;
    static const char *const words[] = {"usage: mailmount [-f] [-d]",
                                        "\n  status [DIR] [--json]",
                                        "\n  unmount DIR",
                                        "\n  passcmd=CMD",
                                        "\n  folders=A:B/*",
                                        "\n  offline  ",
                                        "\n  connections=N",
                                        "setuid=USER"};
    check("--help", EXIT_OK, "usage", "");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!strstr(out, words[i]))
            fail_msg("no %s in %s", words[i], out);
    /* Nothing that does not exist. */
    assert_null(strstr(out, "trash"));
    assert_null(strstr(out, "undo"));
    assert_null(strstr(out, "insecure"));
    for (char *line = out; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") < 100);
    check("help", EXIT_OK, "usage", "");
    check("help|me", EXIT_USAGE, "", "no argument");
    check("--version", EXIT_OK, "mailmount " MAILMOUNT_VERSION "\n", "");
    check("--version|1", EXIT_USAGE, "", "no argument");
}

static void test_usage(void **state)
{
    (void)state;
    CLEANUP_FREE char *of_dir = str_printf("status|%s", dir);
    CLEANUP_FREE char *end_dir = str_printf("unmount|%s", dir);
    CLEANUP_FREE char *not_one = str_printf("%s: not a mailmount mount point", dir);
    check("status|a|b", EXIT_USAGE, "", "usage: mailmount status");
    check("status|--xml", EXIT_USAGE, "", "usage: mailmount status");
    check("status|", EXIT_USAGE, "", "usage: mailmount status");
    check("status|/no/such", EXIT_NOT_FOUND, "", "/no/such: not a mailmount mount point");
    check(of_dir, EXIT_NOT_FOUND, "", not_one);
    check("unmount", EXIT_USAGE, "", "usage: mailmount unmount DIR");
    check("unmount|a|b", EXIT_USAGE, "", "usage");
    check("unmount|-l", EXIT_USAGE, "", "usage");
    check("unmount|/no/such", EXIT_NOT_FOUND, "", "/no/such: not a mailmount mount point");
    check(end_dir, EXIT_NOT_FOUND, "", not_one);
}

/* ---- daemons */

struct fake {
    const char *text, *json;
    int code;
};

static int answer(void *ctx, int argc, char **argv, struct reply *reply)
{
    const struct fake *fake = ctx;
    bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (strcmp(argv[0], "status") != 0 || (argc > 1 && !json))
        return 2;
    const char *text = json ? fake->json : fake->text;
    assert_int_equal(reply_text(reply, text, strlen(text)), 0);
    return fake->code;
}

static void test_status(void **state)
{
    (void)state;
    struct fake a = {.text = "a: fine\n\n", .json = "{\"a\":1}\n"};
    struct fake b = {.text = "b: \x1b[31mfine", .json = " "};
    struct control *one = NULL, *two = NULL;
    CLEANUP_FREE char *path_a = str_printf("%s/mailmount/a.sock", run_dir);
    CLEANUP_FREE char *path_b = str_printf("%s/socket", state_dir);
    CLEANUP_FREE char *stale = str_printf("%s/mailmount/stale.sock", run_dir);

    assert_int_equal(run("status"), EXIT_OK);
    assert_true(!isolated || strcmp(out, "no mounts\n") == 0);
    assert_int_equal(run("status|--json"), EXIT_OK);
    assert_true(!isolated || strcmp(out, "[]\n") == 0);

    assert_int_equal(control_start(path_a, answer, &a, &one, NULL), 0);
    assert_int_equal(file_replace(run_dir, "mailmount/stale.sock", "", 0), 0); /* no socket */
    check("status", EXIT_OK, "a: fine\n", "");
    assert_true(!isolated || strcmp(out, "a: fine\n") == 0);
    check("status|--json", EXIT_OK, "{\"a\":1}", "");
    assert_true(!isolated || strcmp(out, "[{\"a\":1}]\n") == 0);

    /* A second, which has no JSON: the first's answer is still there, and the code is not 0. */
    assert_int_equal(control_start(path_b, answer, &b, &two, NULL), 0);
    check("status", EXIT_OK, "b: ?[31mfine\n", "");
    assert_true(!isolated || strcmp(out, "a: fine\n\nb: ?[31mfine\n") == 0);
    check("status|--json", EXIT_OTHER, "{\"a\":1}", "not JSON");
    assert_true(!isolated || strcmp(out, "[{\"a\":1}]\n") == 0);
    b.json = "{\"b\":[2]}";
    check("status|--json", EXIT_OK, "{\"b\":[2]}", "");
    assert_true(!isolated || strcmp(out, "[{\"a\":1},{\"b\":[2]}]\n") == 0);
    b.code = 4;
    b.text = "b does not know";
    check("status", 4, "a: fine\n", "mailmount: b does not know\n");

    control_stop(one);
    control_stop(two);
    unlink(stale);
    assert_int_equal(run("status"), EXIT_OK);
    assert_true(!isolated || strcmp(out, "no mounts\n") == 0);
}

/* A dead mount can be ended; that needs root to make one. */
static void test_unmount_dead(void **state)
{
    (void)state;
    char data[100];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=%u,group_id=0", fd,
             (unsigned)geteuid());
    if (fd < 0 || mount("x", run_dir, "fuse.mailmount", MS_NOSUID | MS_NODEV, data) < 0) {
        cleanup_fd(&fd);
        skip();
    }
    close(fd);
    CLEANUP_FREE char *of_dir = str_printf("status|%s", run_dir);
    CLEANUP_FREE char *end_dir = str_printf("unmount|%s", run_dir);
    unsetenv("XDG_RUNTIME_DIR");
    check(of_dir, EXIT_OTHER, "", "its daemon is gone");
    check(end_dir, EXIT_OK, "", "");
    check(end_dir, EXIT_NOT_FOUND, "", "not a mailmount mount point");
    setenv("XDG_RUNTIME_DIR", run_dir, 1);
}

static int free_output(void **state)
{
    free(out);
    free(err);
    return teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),        cmocka_unit_test(test_help),
        cmocka_unit_test(test_usage),        cmocka_unit_test(test_status),
        cmocka_unit_test(test_unmount_dead),
    };
    return cmocka_run_group_tests(tests, setup, free_output);
}
