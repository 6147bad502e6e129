/*
 * DESIGN.  A frame's head and its bytes are sent as they are made; there is no buffer of ours, the
 * socket's is enough.  A client that pauses for control_client_ms in taking them, or closes, breaks
 * the reply: then nothing more is sent and every call says -EPIPE.
 */
#include "control_reply.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "control_socket.h"

#define STOP_MS     1000 /* for what is being sent when the daemon ends */
#define ALIVE_MS    10000
#define PROGRESS_MS 100
#define LOOK_MS     1000 /* how often a waiting verb looks whether something is to be said */

static int send_bytes(struct reply *reply, const char *data, size_t n)
{
    int64_t deadline = clock_mono_ms() + control_client_ms;
    int stop_fd = reply->stop_fd;
    while (n > 0 && !reply->broken) {
        int r = control_poll(reply->fd, POLLOUT, stop_fd, deadline);
        if (r == -ECANCELED) {
            stop_fd = -1;
            deadline = clock_mono_ms() + STOP_MS;
            continue;
        }
        ssize_t w = r < 0 ? r : send(reply->fd, data, n, MSG_NOSIGNAL);
        if (w < 0 && r == 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (w < 0) {
            reply->broken = true;
            break;
        }
        data += w;
        n -= (size_t)w;
        if (stop_fd >= 0)
            deadline = clock_mono_ms() + control_client_ms;
    }
    reply->said_ms = clock_mono_ms();
    return reply->broken ? -EPIPE : 0;
}

static int send_frame(struct reply *reply, const char *kind, const char *data, size_t n)
{
    char head[96];
    int length = snprintf(head, sizeof(head), "%s %zu\n", kind, n);
    int r = send_bytes(reply, head, (size_t)length);
    return r < 0 ? r : send_bytes(reply, data, n);
}

int reply_text(struct reply *reply, const char *data, size_t n)
{
    return n == 0 ? 0 : send_frame(reply, "out", data, n);
}

PRINTF(3, 0)
static int send_formatted(struct reply *reply, const char *kind, const char *format, va_list args)
{
    char *text = NULL;
    int n = vasprintf(&text, format, args);
    if (n < 0)
        return -ENOMEM;
    int r = n == 0 ? 0 : send_frame(reply, kind, text, (size_t)n);
    free(text);
    return r;
}

int reply_printf(struct reply *reply, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = send_formatted(reply, "out", format, args);
    va_end(args);
    return r;
}

int reply_error(struct reply *reply, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = send_formatted(reply, "err", format, args);
    va_end(args);
    return r;
}

int reply_progress(struct reply *reply, const char *what, uint64_t done, uint64_t total)
{
    char kind[64];
    int64_t now = clock_mono_ms();
    bool last = total > 0 && done >= total;
    if (!last && reply->progress_ms && now - reply->progress_ms < PROGRESS_MS)
        return reply->broken ? -EPIPE : 0;
    reply->progress_ms = now;
    snprintf(kind, sizeof(kind), "progress %" PRIu64 " %" PRIu64, done, total);
    return send_frame(reply, kind, what, strlen(what));
}

/* A client says nothing after its request: what can be read is the end. */
static bool client_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

bool reply_gone(struct reply *reply, int ms)
{
    int64_t until = clock_mono_ms() + ms;
    for (;;) {
        int64_t now = clock_mono_ms();
        int64_t left = until > now ? until - now : 0;
        struct pollfd p[] = {{.fd = reply->fd, .events = POLLRDHUP},
                             {.fd = reply->stop_fd, .events = POLLIN}};
        if (reply->broken)
            return true;
        int n = poll(p, ARRAY_LEN(p), (int)(left < LOOK_MS ? left : LOOK_MS));
        if (n > 0 && (p[1].revents || (p[0].revents & (POLLHUP | POLLERR))))
            return true;
        if (n > 0 && p[0].revents && client_closed(reply->fd))
            return true;
        if (clock_mono_ms() - reply->said_ms >= ALIVE_MS && send_bytes(reply, "alive\n", 6) < 0)
            return true;
        if (clock_mono_ms() >= until)
            return false;
    }
}

void reply_exit(struct reply *reply, int code)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "exit %d\n", code & 255);
    int r = send_bytes(reply, text, (size_t)n);
    (void)r; /* nobody is left to be told */
}
