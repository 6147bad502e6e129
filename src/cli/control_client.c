#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "control_socket.h"

#define ANSWER_MS  60000 /* longest silence */
#define CONNECT_MS 20000

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

static int read_answer(int fd, struct str *answer)
{
    for (;;) {
        int r = control_poll(fd, POLLIN, -1, clock_mono_ms() + ANSWER_MS);
        if (r == 0)
            r = str_reserve(answer, 65536);
        if (r < 0)
            return r;
        ssize_t n = read(fd, answer->data + answer->len, 65536);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        /* The rest of a request that was too long makes a reset of the end. */
        if (n < 0 && !(errno == ECONNRESET && answer->len > 0))
            return -errno;
        if (n <= 0)
            return 0;
        answer->len += (size_t)n;
        answer->data[answer->len] = '\0';
    }
}

/* `exit N\n` and text. */
static int split_answer(const struct str *answer, struct str *out, int *ret_exit)
{
    static const char word[] = "exit ";
    char digits[4] = "";
    uint64_t code;
    const char *text = answer->len > 0 ? memchr(answer->data, '\n', answer->len) : NULL;
    if (!text || strncmp(answer->data, word, strlen(word)) != 0)
        return -EPROTO;
    const char *number = answer->data + strlen(word);
    size_t n = (size_t)(text - number);
    if (n < sizeof(digits))
        memcpy(digits, number, n);
    if (n >= sizeof(digits) || parse_u64(digits, 255, &code) < 0)
        return -EPROTO;
    text++;
    int r = str_append(out, text, answer->len - (size_t)(text - answer->data));
    if (r < 0)
        return r;
    *ret_exit = (int)code;
    return 0;
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

int control_call(const char *path, int argc, const char *const *argv, struct str *out,
                 int *ret_exit)
{
    CLEANUP_STR struct str line = STR_INIT(CONTROL_REQUEST_MAX);
    CLEANUP_STR struct str answer = STR_INIT(CONTROL_ANSWER_MAX + 100);
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
    return r < 0 ? r : split_answer(&answer, out, ret_exit);
}
