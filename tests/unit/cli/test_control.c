/* tests of src/cli/control*.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "control_socket.h"
#include "log.h"

static _Atomic int gone; /* clients that a `wait` saw going */
static char dir[] = "/tmp/mm-control-XXXXXX";
static char sub[64], path[80];

static int setup(void **state)
{
    (void)state;
    log_set_stderr(false);
    control_client_ms = 1000;
    if (!mkdtemp(dir))
        return -1;
    snprintf(sub, sizeof(sub), "%s/sub", dir);
    snprintf(path, sizeof(path), "%s/x.sock", sub);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rmdir(sub);
    return rmdir(dir);
}

/* `echo` gives its arguments back, `big N` N bytes, `exit N` that code, `wait N` waits so many
 * milliseconds or until the client is gone, `talk` uses every kind of frame. */
static int answer(void *ctx, int argc, char **argv, struct reply *reply)
{
    static char block[1024];
    uint64_t n = 0;
    (*(_Atomic int *)ctx)++;
    memset(block, 'x', sizeof(block));
    if (argc == 2 && parse_u64(argv[1], UINT64_MAX, &n) == 0) {
        if (strcmp(argv[0], "exit") == 0)
            return (int)n;
        if (strcmp(argv[0], "wait") == 0) {
            bool left = reply_gone(reply, (int)n);
            gone += left;
            return left;
        }
        for (; strcmp(argv[0], "big") == 0 && n >= sizeof(block); n -= sizeof(block))
            if (reply_text(reply, block, sizeof(block)) < 0)
                return 1;
        return 0;
    }
    /* On a thread of the daemon's: a client may be gone, and cmocka's checks are not for here. */
    if (strcmp(argv[0], "talk") == 0) {
        int r = reply_progress(reply, "first", 0, 1000);
        for (unsigned i = 1; i < 1000 && r == 0; i++)
            r = reply_progress(reply, "some", i, 1000);
        if (r < 0 || reply_text(reply, "", 0) < 0 || reply_printf(reply, "%s\n", "out") < 0 ||
            reply_error(reply, "%d\n", 5) < 0 || reply_progress(reply, "last", 1000, 1000) < 0)
            return 1;
        return 3;
    }
    for (int i = 1; i < argc; i++)
        if (reply_printf(reply, "[%s]", argv[i]) < 0)
            return 1;
    return argv[argc] ? 1 : 0;
}

static _Atomic int calls;
static struct control *control;

static int start(void **state)
{
    (void)state;
    struct errtext err = {""};
    calls = 0;
    int r = control_start(path, answer, &calls, &control, &err);
    if (r < 0)
        print_error("%s\n", err.text);
    return r;
}

static int stop(void **state)
{
    (void)state;
    control_stop(control);
    control = NULL;
    return access(path, F_OK) == 0 ? -1 : 0;
}

static void test_call(void **state)
{
    (void)state;
    static const struct {
        const char *argv[5];
        const char *want;
        int code;
    } rows[] = {
        {{"echo"}, "", 0},
        {{"echo", "a", "b c", ""}, "[a][b c][]", 0},
        {{"echo", "100%", "%41", "a\nb\t\x7f\x01"}, "[100%][%41][a\nb\t\x7f\x01]", 0},
        {{"echo", "caf\xc3\xa9 \xff", "/x"}, "[caf\xc3\xa9 \xff][/x]", 0},
        {{"exit", "0"}, "", 0},
        {{"exit", "7"}, "", 7},
        {{"exit", "255"}, "", 255},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_STR struct str out = STR_INIT(1000);
        int argc = 0, code = 4711;
        while (rows[i].argv[argc])
            argc++;
        assert_int_equal(control_call(path, argc, rows[i].argv, &out, &code), 0);
        assert_int_equal(code, rows[i].code);
        assert_string_equal(out.data, rows[i].want);
    }
    assert_int_equal(calls, ARRAY_LEN(rows));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(sub, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_sizes(void **state)
{
    (void)state;
    CLEANUP_STR struct str out = STR_INIT(CONTROL_ANSWER_MAX);
    int code = 4711;
    const char *big[] = {"big", "8388608"};
    assert_int_equal(control_call(path, 2, big, &out, &code), 0);
    assert_int_equal(out.len, 8388608);
    assert_int_equal(code, 0);
    /* More than the caller takes: an error as a whole, never cut. */
    CLEANUP_STR struct str little = STR_INIT(1 << 20);
    code = 4711;
    assert_int_equal(control_call(path, 2, big, &little, &code), -EMSGSIZE);
    assert_int_equal(little.len, 0);
    assert_int_equal(code, 4711);

    char *word = malloc(CONTROL_REQUEST_MAX + 1);
    memset(word, 'w', CONTROL_REQUEST_MAX);
    word[CONTROL_REQUEST_MAX - 6] = '\0';
    const char *longest[] = {"echo", word};
    str_clear(&out);
    assert_int_equal(control_call(path, 2, longest, &out, &code), 0);
    assert_int_equal(out.len, CONTROL_REQUEST_MAX - 6 + 2);
    memset(word, 'w', CONTROL_REQUEST_MAX);
    word[CONTROL_REQUEST_MAX] = '\0';
    code = 4711;
    assert_int_equal(control_call(path, 2, longest, &out, &code), -E2BIG);
    assert_int_equal(code, 4711);
    free(word);
}

/* A client that does not keep to the protocol. */
static int raw_connect(void)
{
    int fd = control_connect(path);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    return fd;
}

static void expect_answer(int fd, const char *want)
{
    char got[200] = "";
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 15000), 1);
    assert_true(read_full(fd, got, sizeof(got) - 1) >= 0);
    assert_string_equal(got, want);
}

static void test_garbage(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t n;
        const char *want;
    } rows[] = {
        {"", 0, "err 14\nnot a request\nexit 2\n"},
        {"\n", 1, "err 14\nnot a request\nexit 2\n"},
        {" echo\n", 6, "err 14\nnot a request\nexit 2\n"},
        {"echo", 4, "err 14\nnot a request\nexit 2\n"},
        {"ec\0ho\n", 6, "err 14\nnot a request\nexit 2\n"},
        {"echo %4\n", 8, "err 14\nnot a request\nexit 2\n"},
        {"echo %zz\n", 9, "err 14\nnot a request\nexit 2\n"},
        {"echo %00\n", 9, "err 14\nnot a request\nexit 2\n"},
        {"echo %\n", 7, "err 14\nnot a request\nexit 2\n"},
        {"echo a%20b c\nmore\n", 18, "out 5\n[a b]out 3\n[c]exit 0\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FD int fd = raw_connect();
        assert_int_equal(write_full(fd, rows[i].data, rows[i].n), 0);
        shutdown(fd, SHUT_WR);
        expect_answer(fd, rows[i].want);
    }
    assert_int_equal(calls, 1);

    CLEANUP_STR struct str many = STR_INIT(10000);
    for (int i = 0; i <= CONTROL_ARGS_MAX; i++)
        str_append_text(&many, "w ");
    str_append_char(&many, '\n');
    CLEANUP_FD int fd = raw_connect();
    assert_int_equal(write_full(fd, many.data, many.len), 0);
    expect_answer(fd, "err 14\nnot a request\nexit 2\n");
}

static void test_too_long(void **state)
{
    (void)state;
    CLEANUP_FD int fd = raw_connect();
    char block[4096];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 17; i++)
        if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
            break;
    expect_answer(fd, "err 24\nthe request is too long\nexit 2\n");
    assert_int_equal(calls, 0);
}

/* Clients that say nothing, and one that takes no answer, hold up nobody, and are let go. */
static void test_slow_client(void **state)
{
    (void)state;
    CLEANUP_STR struct str out = STR_INIT(1000);
    CLEANUP_FD int silent = raw_connect();
    const char *argv[] = {"echo", "x"};
    int code;
    int64_t begin = clock_mono_ms();
    assert_int_equal(write_full(silent, "ech", 3), 0);
    assert_int_equal(control_call(path, 2, argv, &out, &code), 0);
    assert_string_equal(out.data, "[x]");
    expect_answer(silent, "");
    assert_true(clock_mono_ms() - begin >= 900);
}

static void test_deaf_client(void **state)
{
    (void)state;
    CLEANUP_STR struct str out = STR_INIT(1000);
    CLEANUP_FD int deaf = raw_connect();
    const char *argv[] = {"echo", "x"};
    int code;
    assert_int_equal(write_full(deaf, "big 8388608\n", 12), 0);
    assert_int_equal(control_call(path, 2, argv, &out, &code), 0);
    assert_string_equal(out.data, "[x]");
}

/* What waits sees its client go. */
static void test_waiting(void **state)
{
    (void)state;
    CLEANUP_STR struct str out = STR_INIT(1000);
    const char *argv[] = {"wait", "50"};
    int code = 4711;
    assert_int_equal(control_call(path, 2, argv, &out, &code), 0);
    assert_int_equal(code, 0);
    gone = 0;
    int fd = raw_connect();
    assert_int_equal(write_full(fd, "wait 60000\n", 11), 0);
    close(fd);
    int64_t until = clock_mono_ms() + 20000;
    while (gone == 0 && clock_mono_ms() < until)
        usleep(1000);
    assert_int_equal(gone, 1);
}

struct heard {
    char text[200];
    unsigned progress;
};

static int hear(void *ctx, const char *data, size_t n)
{
    strncat(((struct heard *)ctx)->text, data, n);
    return 0;
}

static int hear_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    struct heard *heard = ctx;
    assert_int_equal(total, 1000);
    if (done == 0 || done == total)
        strcat(heard->text, what);
    heard->progress++;
    return 0;
}

static int refuse(void *ctx, const char *data, size_t n)
{
    (void)ctx;
    (void)data;
    (void)n;
    return -EPIPE;
}

static void test_frames(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct control_sink sink = {.ctx = &heard, .out = hear, .err = hear, .progress = hear_progress};
    const char *argv[] = {"talk"};
    int code = 4711;
    assert_int_equal(control_stream(path, 1, argv, &sink, &code), 0);
    assert_int_equal(code, 3);
    assert_string_equal(heard.text, "firstout\n5\nlast");
    assert_in_range(heard.progress, 2, 500); /* not each of the thousand */
    sink.out = refuse;
    code = 4711;
    assert_int_equal(control_stream(path, 1, argv, &sink, &code), -EPIPE);
    assert_int_equal(code, 4711);
}

static void test_gone_client(void **state)
{
    (void)state;
    CLEANUP_STR struct str out = STR_INIT(1000);
    const char *argv[] = {"echo", "x"};
    int code;
    for (int i = 0; i < 20; i++) {
        CLEANUP_FD int fd = raw_connect();
        assert_int_equal(write_full(fd, "big 1048576\n", i % 13), 0);
    }
    assert_int_equal(control_call(path, 2, argv, &out, &code), 0);
    assert_string_equal(out.data, "[x]");
}

static void *call_many(void *arg)
{
    const char *argv[] = {"echo", "y"};
    (void)arg;
    for (int i = 0; i < 50; i++) {
        CLEANUP_STR struct str out = STR_INIT(1000);
        int code;
        if (control_call(path, 2, argv, &out, &code) < 0 || strcmp(out.data, "[y]") != 0)
            return (void *)1;
    }
    return NULL;
}

static void test_many_clients(void **state)
{
    (void)state;
    pthread_t threads[30];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_many, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(calls, 50 * ARRAY_LEN(threads));
}

/* A stop with a silent client waits for nobody; an answer under way still arrives. */
static void test_stop_while_busy(void **state)
{
    (void)state;
    CLEANUP_FD int silent = raw_connect();
    assert_true(silent >= 0);
    usleep(50000);
    int64_t begin = clock_mono_ms();
    control_stop(control);
    assert_in_range(clock_mono_ms() - begin, 0, 3000);
    control = NULL;
    assert_int_equal(access(path, F_OK), -1);
}

static void test_one_per_path(void **state)
{
    (void)state;
    struct control *second = NULL;
    struct errtext err = {""};
    assert_int_equal(control_start(path, answer, &calls, &second, &err), -EADDRINUSE);
    assert_null(second);
    assert_non_null(strstr(err.text, "another daemon"));
}

static void test_stale(void **state)
{
    (void)state;
    /* What a killed daemon leaves behind. */
    assert_int_equal(mkdir_private(sub), 0);
    struct sockaddr_un address;
    CLEANUP_FD int address_dir = -1;
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(control_address(path, &address, &address_dir), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(steal_fd(&fd));
    const char *argv[] = {"echo"};
    CLEANUP_STR struct str out = STR_INIT(1000);
    int code = 4711;
    assert_int_equal(control_call(path, 1, argv, &out, &code), -ECONNREFUSED);
    assert_int_equal(start(NULL), 0);
    assert_int_equal(control_call(path, 1, argv, &out, &code), 0);
    assert_int_equal(stop(NULL), 0);
    assert_int_equal(control_call(path, 1, argv, &out, &code), -ENOENT);
}

static void test_not_ours(void **state)
{
    (void)state;
    struct control *c = NULL;
    struct errtext err = {""};
    /* Something else at the path stays. */
    assert_int_equal(mkdir_private(sub), 0);
    assert_int_equal(file_replace(sub, "x.sock", "precious", 8), 0);
    assert_true(control_start(path, answer, &calls, &c, &err) < 0);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    /* A directory that others may enter. */
    assert_int_equal(chmod(sub, 0755), 0);
    assert_int_equal(control_start(path, answer, &calls, &c, &err), -EPERM);
    assert_int_equal(chmod(sub, 0700), 0);
    assert_null(c);
}

static void test_long_path(void **state)
{
    (void)state;
    char part[101], deep[300], far[400];
    memset(part, 'd', 100);
    part[100] = '\0';
    snprintf(deep, sizeof(deep), "%s/%s/%s", dir, part, part);
    snprintf(far, sizeof(far), "%s/x.sock", deep);
    struct control *c = NULL;
    CLEANUP_STR struct str out = STR_INIT(1000);
    const char *argv[] = {"echo", "far"};
    int code = 4711;
    assert_int_equal(control_start(far, answer, &calls, &c, NULL), 0);
    assert_int_equal(control_call(far, 2, argv, &out, &code), 0);
    assert_string_equal(out.data, "[far]");
    control_stop(c);
    assert_int_equal(access(far, F_OK), -1);
    rmdir(deep);
    *strrchr(deep, '/') = '\0';
    rmdir(deep);
}

/* ---- the client against daemons that answer nonsense */

struct fake {
    int listen_fd;
    const char *data;
    size_t n;
};

static void *fake_daemon(void *arg)
{
    const struct fake *fake = arg;
    CLEANUP_FD int fd = accept(fake->listen_fd, NULL, NULL);
    char request[100];
    (void)!read(fd, request, sizeof(request));
    (void)!write(fd, fake->data, fake->n);
    return NULL;
}

static void test_client(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t n;
        int want;
        int code;
        const char *text;
    } rows[] = {
        {"exit 0\n", 7, 0, 0, ""},
        {"out 3\na\nbexit 12\n", 17, 0, 12, "a\nb"},
        {"out 3\na\0bexit 1\n", 16, 0, 1, "a"},
        {"out 1\naerr 1\nbalive\nout 0\nexit 0\nmore", 38, 0, 0, "ab"},
        {"progress 1 2 1\nxexit 0\n", 23, 0, 0, ""},
        {"out 1\na", 7, -EPROTO, 0, NULL},
        {"out 2\naexit 0\n", 14, -EPROTO, 0, NULL},
        {"out\nexit 0\n", 11, -EPROTO, 0, NULL},
        {"out 1 2\naexit 0\n", 16, -EPROTO, 0, NULL},
        {"out -1\nexit 0\n", 14, -EPROTO, 0, NULL},
        {"out 99999999999999999999999\n", 28, -EPROTO, 0, NULL},
        {"progress 1 2\nexit 0\n", 20, -EPROTO, 0, NULL},
        {"progress 1 2 5000\n", 18, -EPROTO, 0, NULL},
        {"alive 1\n", 8, -EPROTO, 0, NULL},
        {"", 0, -EPROTO, 0, NULL},
        {"exit 0", 6, -EPROTO, 0, NULL},
        {"exit \n", 6, -EPROTO, 0, NULL},
        {"exit 256\n", 9, -EPROTO, 0, NULL},
        {"exit -1\n", 8, -EPROTO, 0, NULL},
        {"EXIT 0\n", 7, -EPROTO, 0, NULL},
        {"hello\n", 6, -EPROTO, 0, NULL},
        {"ex\0it 0\n", 8, -EPROTO, 0, NULL},
    };
    assert_int_equal(mkdir_private(sub), 0);
    struct sockaddr_un address;
    int address_dir = -1;
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(control_address(path, &address, &address_dir), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 5), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_STR struct str out = STR_INIT(1000);
        struct fake fake = {fd, rows[i].data, rows[i].n};
        pthread_t thread;
        const char *argv[] = {"status"};
        int code = 4711;
        assert_int_equal(pthread_create(&thread, NULL, fake_daemon, &fake), 0);
        int r = control_call(path, 1, argv, &out, &code);
        pthread_join(thread, NULL);
        if (r != rows[i].want)
            fail_msg("row %zu: %d", i, r);
        assert_int_equal(code, r < 0 ? 4711 : rows[i].code);
        if (r == 0)
            assert_string_equal(out.data, rows[i].text);
        else
            assert_int_equal(out.len, 0);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_call, start, stop),
        cmocka_unit_test_setup_teardown(test_sizes, start, stop),
        cmocka_unit_test_setup_teardown(test_garbage, start, stop),
        cmocka_unit_test_setup_teardown(test_too_long, start, stop),
        cmocka_unit_test_setup_teardown(test_slow_client, start, stop),
        cmocka_unit_test_setup_teardown(test_deaf_client, start, stop),
        cmocka_unit_test_setup_teardown(test_waiting, start, stop),
        cmocka_unit_test_setup_teardown(test_frames, start, stop),
        cmocka_unit_test_setup_teardown(test_gone_client, start, stop),
        cmocka_unit_test_setup_teardown(test_many_clients, start, stop),
        cmocka_unit_test_setup_teardown(test_one_per_path, start, stop),
        cmocka_unit_test_setup(test_stop_while_busy, start),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_long_path),
        cmocka_unit_test(test_client),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
