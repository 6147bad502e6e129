/* tests of src/core/secret.c, secret_run.c and secret_ask.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "secret.h"
#include "secret_source.h"

static char dir[] = "/tmp/mm-secret-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/f", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void write_file(const void *data, size_t n, mode_t mode)
{
    assert_int_equal(file_replace(dir, "f", data, n), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* Asserts what secret_get gives: `want` is the secret, or a part of the error. */
static void check(const struct settings *settings, int want_r, const char *want)
{
    CLEANUP(secret_freep) struct secret *secret = NULL;
    struct errtext err = {""};
    int r = secret_get(settings, false, NULL, &secret, &err);
    if (r != want_r)
        fail_msg("%d instead of %d for %s: %s", r, want_r, want, err.text);
    if (r == 0)
        assert_string_equal(secret_text(secret), want);
    else if (!strstr(err.text, want))
        fail_msg("no \"%s\" in: %s", want, err.text);
}

static void test_command(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        int want_r;
        const char *want;
    } rows[] = {
        {"printf 'pass word\\n'", 0, "pass word"},
        {"printf 'first\\nsecond\\n'", 0, "first"},
        {"printf 'dos\\r\\nx'", 0, "dos"},
        {"printf bare", 0, "bare"},
        {"printf 'ends with blank \\n'", 0, "ends with blank "},
        {"printf '%s|' 'a b' \"c\" d\\ e", 0, "a b|c|d e|"},
        {"echo $HOME * ~", 0, "$HOME * ~"},
        {"sh -c 'readlink /proc/$$/fd/0'", 0, "/dev/null"},
        {"sh -c '[ -e /proc/$$/fd/50 ] && echo leak || echo none'", 0, "none"},
        {"sh -c 'echo $(($(cut -d\" \" -f5 /proc/$$/stat) - $$))'", 0, "0"},
        {"sh -c 'head -c 65536 /dev/zero | tr \"\\0\" \"x\" | tail -c 3; echo'", 0, "xxx"},
        {"true", -EKEYEXPIRED, "empty password"},
        {"printf '\\nsecond'", -EKEYEXPIRED, "empty password"},
        {"printf 'a\\0b\\n'", -EKEYEXPIRED, "NUL"},
        {"sh -c 'echo right; exit 3'", -EKEYEXPIRED, "sh ended with status 3"},
        {"sh -c 'echo right; kill -9 $$'", -EKEYEXPIRED, "signal 9"},
        {"no-such-command-here secret-argument", -EKEYEXPIRED, "passcmd: no-such-command-here: "},
        {"/ x", -EKEYEXPIRED, "denied"},
        {"'open", -EKEYEXPIRED, "quotes"},
        {"", -EKEYEXPIRED, "empty"},
        {"yes", -EKEYEXPIRED, "yes gave more than 65536 bytes"},
        {"head -c 65537 /dev/zero", -EKEYEXPIRED, "more than 65536 bytes"},
    };
    int leak = dup2(STDERR_FILENO, 50); /* without CLOEXEC, on purpose */
    assert_int_equal(leak, 50);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct settings settings = {.passcmd = (char *)rows[i].command};
        check(&settings, rows[i].want_r, rows[i].want);
    }
    close(leak);
}

static void test_longest(void **state)
{
    (void)state;
    CLEANUP(secret_freep) struct secret *secret = NULL;
    struct settings settings = {.passcmd =
                                    (char *)"sh -c 'head -c 65536 /dev/zero | tr \"\\0\" x'"};
    assert_int_equal(secret_get(&settings, false, NULL, &secret, NULL), 0);
    assert_int_equal(strlen(secret_text(secret)), SECRET_MAX);
}

/* Gone, or a zombie that a lazy init has not collected. */
static bool is_dead(pid_t pid)
{
    char text[1000] = "", name[64];
    snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
    CLEANUP_FD int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read_full(fd, text, sizeof(text) - 1) <= 0)
        return true;
    const char *state = strrchr(text, ')');
    return state && state[2] == 'Z';
}

/* It has been sent SIGKILL; on a busy machine it takes a while to die. */
static bool dies(pid_t pid)
{
    int64_t until = clock_mono_ms() + 60000;
    while (!is_dead(pid) && clock_mono_ms() < until)
        usleep(10000);
    return is_dead(pid);
}

static pid_t pid_in_file(void)
{
    CLEANUP_FREE char *text = NULL;
    uint64_t pid = 0;
    assert_int_equal(file_read(path, 20, &text, NULL), 0);
    text[strcspn(text, "\n")] = '\0';
    assert_int_equal(parse_u64(text, 1 << 30, &pid), 0);
    return (pid_t)pid;
}

static void test_command_timeout(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "sleep 30",             /* output open */
        "exec >&-; sleep 30",   /* output closed */
        "trap \"\" TERM; wait", /* does not want to end */
    };
    unsigned again = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows);) {
        CLEANUP(secret_buffer_release) struct secret_buffer buffer = {0};
        struct errtext err = {""};
        char command[200];
        assert_true(unlink(path) == 0 || errno == ENOENT);
        snprintf(command, sizeof(command), "sh -c 'sleep 300 & echo $! >%s; echo half; %s'", path,
                 rows[i]);
        assert_int_equal(secret_buffer_init(&buffer), 0);
        int64_t begin = clock_mono_ms();
        assert_int_equal(secret_run(command, 1000, &buffer, &err), -EKEYEXPIRED);
        assert_in_range(clock_mono_ms() - begin, 900, 25000);
        assert_string_equal(err.text, "passcmd: sh took longer than 1 s and was ended");
        struct stat st;
        if (stat(path, &st) < 0 || st.st_size == 0) { /* ended before it had begun */
            assert_in_range(again++, 0, 20);
            continue;
        }
        assert_true(dies(pid_in_file()));
        i++;
    }
}

/* An agent that stays behind with the pipe open does not hold us up, and lives on. */
static void test_command_leaves_agent(void **state)
{
    (void)state;
    char command[200];
    snprintf(command, sizeof(command), "sh -c 'sleep 30 & echo $! >%s; echo right'", path);
    struct settings settings = {.passcmd = command};
    int64_t begin = clock_mono_ms();
    check(&settings, 0, "right");
    assert_in_range(clock_mono_ms() - begin, 0, 25000);
    pid_t pid = pid_in_file();
    assert_false(is_dead(pid));
    kill(pid, SIGKILL);
}

static void test_passfile(void **state)
{
    (void)state;
    struct settings settings = {.passfile = path};
    static const struct {
        mode_t mode;
        const char *data;
        size_t n;
        int want_r;
        const char *want;
    } rows[] = {
        {0600, "right\nrest", 10, 0, "right"},
        {0400, "right", 5, 0, "right"},
        {0700, "a", 1, 0, "a"},
        {0644, "x\n", 2, -EKEYEXPIRED, "mode 0644"},
        {0640, "x\n", 2, -EKEYEXPIRED, "chmod"},
        {0604, "x\n", 2, -EKEYEXPIRED, "chmod"},
        {0610, "x\n", 2, -EKEYEXPIRED, "chmod"},
        {0600, "", 0, -EKEYEXPIRED, "empty"},
        {0600, "a\0b", 3, -EKEYEXPIRED, "a NUL"},
        {0600, "a\n\0b", 4, 0, "a"},
        {0600, "\n", 1, -EKEYEXPIRED, "an empty"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_file(rows[i].data, rows[i].n, rows[i].mode);
        check(&settings, rows[i].want_r, rows[i].want);
    }
    CLEANUP_FREE char *big = malloc(SECRET_MAX + 1);
    assert_non_null(big);
    memset(big, 'x', SECRET_MAX + 1);
    write_file(big, SECRET_MAX + 1, 0600);
    check(&settings, -EKEYEXPIRED, "more than 65536");
    if (geteuid() == 0) {
        write_file("x", 1, 0600);
        assert_int_equal(chown(path, 1, 1), 0);
        check(&settings, -EKEYEXPIRED, "another user");
    }
}

static void test_passfile_odd(void **state)
{
    (void)state;
    struct settings settings = {.passfile = path};
    unlink(path);
    check(&settings, -EKEYEXPIRED, "No such file");
    assert_int_equal(mkfifo(path, 0600), 0);
    check(&settings, -EKEYEXPIRED, "regular");
    unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    check(&settings, -EKEYEXPIRED, "symbolic link");
    unlink(path);
    settings.passfile = dir;
    check(&settings, -EKEYEXPIRED, "regular");
}

static void test_order(void **state)
{
    (void)state;
    struct settings settings = {.slug = (char *)"work", .user = (char *)"u", .host = (char *)"h"};
    check(&settings, -EKEYEXPIRED, "no password for u at h");
    settings.insecure_password = (char *)"insecure";
    check(&settings, 0, "insecure");
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    check(&settings, 0, "insecure"); /* none there */
    CLEANUP_FREE char *credential = str_printf("%s/mailmount.work", dir);
    assert_int_equal(file_replace(dir, "mailmount.work", "systemd\n", 8), 0);
    assert_int_equal(chmod(credential, 0440), 0);
    check(&settings, 0, "systemd");
    assert_int_equal(chmod(credential, 0444), 0);
    check(&settings, -EKEYEXPIRED, "chmod");
    assert_int_equal(chmod(credential, 0400), 0);
    write_file("file\n", 5, 0600);
    settings.passfile = path;
    check(&settings, 0, "file");
    settings.passcmd = (char *)"echo command";
    check(&settings, 0, "command");
    settings.passcmd = (char *)"false";
    check(&settings, -EKEYEXPIRED, "status 1"); /* and the file is not tried */
    unlink(credential);
    unsetenv("CREDENTIALS_DIRECTORY");
}

/* ---- the terminal: a child that has one of its own */

static struct settings asking = {.slug = (char *)"x", .user = (char *)"u", .host = (char *)"h"};

/* Exits with 0 when the terminal gave "open sesame", and gives it again without asking. */
static void ask_in_child(void)
{
    struct secret *secret = NULL, *again = NULL;
    struct errtext err = {""};
    if (secret_get(&asking, true, NULL, &secret, &err) < 0)
        _exit(10);
    if (strcmp(secret_text(secret), "open sesame") != 0)
        _exit(11);
    if (secret_get(&asking, false, secret, &again, &err) < 0)
        _exit(12);
    bool same = strcmp(secret_text(again), "open sesame") == 0 && again != secret;
    secret_free(secret);
    secret_free(again);
    _exit(same ? 0 : 13);
}

/* Reads from the terminal's master until `text` has come `times` times. */
static void expect(int master, struct errtext *seen, const char *text, int times)
{
    for (;;) {
        int n = 0;
        for (const char *c = seen->text; (c = strstr(c, text)) != NULL; c++)
            n++;
        if (n >= times)
            return;
        struct pollfd p = {.fd = master, .events = POLLIN};
        if (poll(&p, 1, 10000) != 1)
            fail_msg("no \"%s\" in: %s", text, seen->text);
        size_t len = strlen(seen->text);
        ssize_t got = read(master, seen->text + len, sizeof(seen->text) - 1 - len);
        assert_true(got > 0);
        seen->text[len + (size_t)got] = '\0';
    }
}

static bool echoes(int master)
{
    struct termios t;
    assert_int_equal(tcgetattr(master, &t), 0);
    return t.c_lflag & ECHO;
}

static const char prompt[] = "Password for u at h: ";

static pid_t start_asking(int *ret_master, struct errtext *seen, void (*ask)(void))
{
    pid_t pid = forkpty(ret_master, NULL, NULL, NULL);
    assert_true(pid >= 0);
    if (pid == 0)
        ask();
    *seen = (struct errtext){""};
    expect(*ret_master, seen, prompt, 1);
    assert_false(echoes(*ret_master));
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_terminal(void **state)
{
    (void)state;
    CLEANUP_FD int master = -1;
    struct errtext seen;
    pid_t pid = start_asking(&master, &seen, ask_in_child);
    assert_int_equal(write_full(master, "open sesame\n", 12), 0);
    assert_int_equal(wait_for(pid), 0);
    assert_true(echoes(master));
    assert_null(strstr(seen.text, "sesame"));
}

static void test_terminal_interrupt(void **state)
{
    (void)state;
    CLEANUP_FD int master = -1;
    struct errtext seen;
    pid_t pid = start_asking(&master, &seen, ask_in_child);
    assert_int_equal(write_full(master, "half\x03", 5), 0); /* Ctrl-C */
    int status = wait_for(pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    assert_true(echoes(master));
}

/* A shell with job control: continues its job when that is stopped and the terminal echoes. */
static void ask_under_shell(void)
{
    signal(SIGTTOU, SIG_IGN);
    pid_t job = fork();
    if (job == 0) {
        setpgid(0, 0);
        tcsetpgrp(STDIN_FILENO, getpid());
        signal(SIGTTOU, SIG_DFL);
        ask_in_child();
    }
    int status = 0;
    struct termios t;
    if (waitpid(job, &status, WUNTRACED) != job || !WIFSTOPPED(status))
        _exit(20);
    tcsetpgrp(STDIN_FILENO, getpid());
    if (tcgetattr(STDIN_FILENO, &t) < 0 || !(t.c_lflag & ECHO))
        _exit(21);
    tcsetpgrp(STDIN_FILENO, job);
    kill(-job, SIGCONT);
    if (waitpid(job, &status, 0) != job || !WIFEXITED(status))
        _exit(22);
    _exit(WEXITSTATUS(status));
}

static void test_terminal_stop(void **state)
{
    (void)state;
    CLEANUP_FD int master = -1;
    struct errtext seen;
    pid_t pid = start_asking(&master, &seen, ask_under_shell);
    assert_int_equal(write_full(master, "wrong\x1a", 6), 0); /* Ctrl-Z */
    expect(master, &seen, prompt, 2);
    assert_int_equal(write_full(master, "open sesame\n", 12), 0);
    assert_int_equal(wait_for(pid), 0);
    assert_true(echoes(master));
}

static void test_terminal_none(void **state)
{
    (void)state;
    CLEANUP_FD int master = -1;
    struct errtext seen;
    pid_t pid = start_asking(&master, &seen, ask_in_child);
    assert_int_equal(write_full(master, "\x04", 1), 0); /* end of file */
    int status = wait_for(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 10);
    assert_true(echoes(master));

    pid = fork();
    if (pid == 0) {
        setsid();
        ask_in_child();
    }
    status = wait_for(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_command_timeout),
        cmocka_unit_test(test_command_leaves_agent),
        cmocka_unit_test(test_passfile),
        cmocka_unit_test(test_passfile_odd),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_terminal_interrupt),
        cmocka_unit_test(test_terminal_stop),
        cmocka_unit_test(test_terminal_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
