#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "control_socket.h"

#define ANSWER_MS  60000 /* longest silence */
#define CONNECT_MS 20000
#define READ_SIZE  65536

/* Everything that could be mistaken for a separator, and `%`, becomes %XX. */
static void append_word(struct str *line, const char *word)
{
    for (const unsigned char *c = (const unsigned char *)word; *c; c++) {
        if (*c <= ' ' || *c == '%' || *c == 0x7f)
            str_printf_append(line, "%%%02X", *c);
        else
            str_append_char(line, (char)*c);
    }
}

static int make_line(int argc, const char *const *argv, struct str *line)
{
    for (int i = 0; i < argc; i++) {
        if (i > 0)
            str_append_char(line, ' ');
        append_word(line, argv[i]);
    }
    str_append_char(line, '\n');
    bool too_long = argc < 1 || argc > CONTROL_ARGS_MAX || str_error(line) == -EMSGSIZE;
    return too_long ? -E2BIG : str_error(line);
}

static int send_line(int fd, const char *data, size_t n)
{
    int64_t deadline = clock_mono_ms() + ANSWER_MS;
    while (n > 0) {
        int r = control_poll(fd, POLLOUT, -1, deadline);
        if (r < 0)
            return r;
        ssize_t w = send(fd, data, n, MSG_NOSIGNAL);
        if (w < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        /* A daemon that has heard enough may answer and close: then its answer counts. */
        if (w < 0 && errno == EPIPE)
            return 0;
        if (w < 0)
            return -errno;
        data += w;
        n -= (size_t)w;
    }
    return 0;
}

/* ---- frames */

#define HEAD_MAX 96
#define WHAT_MAX 4096 /* of progress */

enum frame_kind { FRAME_NONE, FRAME_OUT, FRAME_ERR, FRAME_PROGRESS, FRAME_EXIT };

/* An answer as far as it has come. */
struct answer {
    const struct control_sink *sink;
    enum frame_kind kind; /* of the frame whose bytes are coming */
    uint64_t left;        /* bytes of it still to come */
    uint64_t done, total; /* of FRAME_PROGRESS */
    char head[HEAD_MAX];
    size_t head_len;
    char what[WHAT_MAX + 1];
    size_t what_len;
    int code; /* of FRAME_EXIT */
};

/* Up to three decimal numbers separated by single blanks; their number, or -EPROTO. */
static int read_numbers(char *text, uint64_t *numbers, int max)
{
    int n = 0;
    char *rest = text;
    for (char *word; (word = strsep(&rest, " "));) {
        if (n == max || strlen(word) > 20 || parse_u64(word, UINT64_MAX, &numbers[n++]) < 0)
            return -EPROTO;
    }
    return n;
}

static int begin_frame(struct answer *answer)
{
    static const struct {
        const char *word;
        enum frame_kind kind;
        int numbers;
    } kinds[] = {{"alive", FRAME_NONE, 0},
                 {"out", FRAME_OUT, 1},
                 {"err", FRAME_ERR, 1},
                 {"progress", FRAME_PROGRESS, 3},
                 {"exit", FRAME_EXIT, 1}};
    uint64_t numbers[3] = {0};
    if (memchr(answer->head, '\0', answer->head_len))
        return -EPROTO;
    answer->head[answer->head_len] = '\0';
    answer->head_len = 0;
    char *rest = answer->head;
    const char *word = strsep(&rest, " ");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(word, kinds[i].word) != 0)
            continue;
        if ((rest ? read_numbers(rest, numbers, 3) : 0) != kinds[i].numbers)
            return -EPROTO;
        answer->kind = kinds[i].kind;
        if (answer->kind == FRAME_EXIT) {
            answer->code = (int)numbers[0];
            return numbers[0] <= 255 ? 0 : -EPROTO;
        }
        answer->left = numbers[kinds[i].numbers > 0 ? kinds[i].numbers - 1 : 0];
        answer->done = numbers[0];
        answer->total = numbers[1];
        answer->what_len = 0;
        return answer->kind == FRAME_PROGRESS && answer->left > WHAT_MAX ? -EPROTO : 0;
    }
    return -EPROTO;
}

static int take_bytes(struct answer *answer, const char *data, size_t n)
{
    const struct control_sink *sink = answer->sink;
    answer->left -= n;
    switch (answer->kind) {
    case FRAME_OUT:
        return sink->out ? sink->out(sink->ctx, data, n) : 0;
    case FRAME_ERR:
        return sink->err ? sink->err(sink->ctx, data, n) : 0;
    case FRAME_PROGRESS:
        memcpy(answer->what + answer->what_len, data, n);
        answer->what_len += n;
        answer->what[answer->what_len] = '\0';
        if (answer->left > 0 || !sink->progress)
            return 0;
        return sink->progress(sink->ctx, answer->what, answer->done, answer->total);
    default:
        return -EPROTO;
    }
}

/* Bytes of the answer as they came.  1: that was its end. */
static int feed(struct answer *answer, const char *data, size_t n)
{
    while (n > 0) {
        size_t take = answer->left < n ? (size_t)answer->left : n;
        int r = 0;
        if (answer->left > 0) {
            r = take_bytes(answer, data, take);
        } else {
            const char *end = memchr(data, '\n', n);
            take = end ? (size_t)(end - data) : n;
            if (answer->head_len + take >= HEAD_MAX)
                return -EPROTO;
            memcpy(answer->head + answer->head_len, data, take);
            answer->head_len += take;
            take += end ? 1 : 0;
            r = end ? begin_frame(answer) : 0;
            if (end && r == 0 && answer->kind == FRAME_EXIT)
                return 1;
        }
        if (r != 0)
            return r;
        data += take;
        n -= take;
    }
    return 0;
}

static int read_answer(int fd, struct answer *answer)
{
    CLEANUP_FREE char *buffer = malloc(READ_SIZE);
    if (!buffer)
        return -ENOMEM;
    for (;;) {
        int r = control_poll(fd, POLLIN, -1, clock_mono_ms() + ANSWER_MS);
        if (r < 0)
            return r;
        ssize_t n = read(fd, buffer, READ_SIZE);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        /* The rest of a request that was too long makes a reset of the end. */
        if (n <= 0)
            return n == 0 || errno == ECONNRESET ? -EPROTO : -errno;
        r = feed(answer, buffer, (size_t)n);
        if (r != 0)
            return r > 0 ? 0 : r;
    }
}

/* A daemon with many callers waiting refuses more for a moment. */
static int connect_patiently(const char *path)
{
    int64_t deadline = clock_mono_ms() + CONNECT_MS;
    for (;;) {
        int fd = control_connect(path);
        if (fd != -EAGAIN || clock_mono_ms() >= deadline)
            return fd;
        poll(NULL, 0, 50);
    }
}

int control_stream(const char *path, int argc, const char *const *argv,
                   const struct control_sink *sink, int *ret_exit)
{
    CLEANUP_STR struct str line = STR_INIT(CONTROL_REQUEST_MAX);
    struct answer answer = {.sink = sink};
    int r = make_line(argc, argv, &line);
    if (r < 0)
        return r;
    CLEANUP_FD int fd = connect_patiently(path);
    if (fd < 0)
        return fd;
    r = control_check_peer(fd);
    if (r == 0)
        r = send_line(fd, line.data, line.len);
    if (r == 0)
        r = read_answer(fd, &answer);
    if (r == 0)
        *ret_exit = answer.code;
    return r;
}

static int collect(void *ctx, const char *data, size_t n)
{
    return str_append(ctx, data, n);
}

int control_call(const char *path, int argc, const char *const *argv, struct str *out,
                 int *ret_exit)
{
    CLEANUP_STR struct str all = STR_INIT(CONTROL_ANSWER_MAX);
    const struct control_sink sink = {.ctx = &all, .out = collect, .err = collect};
    int code = 0;
    int r = control_stream(path, argc, argv, &sink, &code);
    if (r == 0)
        r = str_append(out, all.data ? all.data : "", all.len);
    if (r == 0)
        *ret_exit = code;
    return r;
}
