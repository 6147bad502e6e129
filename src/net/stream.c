#include "stream.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolve.h"
#include "tls.h"

/* One TLS record; more at once gains nothing. */
#define WRITE_PIECE 16384
/* While other addresses are left, one of them gets no more time than this. */
#define ADDRESS_TIMEOUT_MS 10000

int stream_fail(struct stream *stream, int code, const char *format, ...)
{
    if (stream->error)
        return stream->error;
    char text[sizeof(stream->err.text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    stream->error = err_set(&stream->err, code, "%s: %s", stream->where, text);
    return stream->error;
}

/* ---- waiting */

static int time_left(const struct stream *stream, unsigned timeout_ms)
{
    int64_t left = timeout_ms;
    if (stream->wake_at && timeout_ms > 0)
        left = stream->wake_at - clock_mono_ms();
    if (stream->deadline) {
        int64_t until = stream->deadline - clock_mono_ms();
        if (until < left)
            left = until;
    }
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* Waits for `events` on the socket; timeout_ms 0 only looks.  Returns 1 when something is ready,
 * 0 when not (only with timeout_ms 0), the sticky error, or with wake_at -EINTR or -ETIME. */
static int stream_poll(struct stream *stream, short events, unsigned timeout_ms)
{
    struct pollfd fds[] = {{.fd = stream->fd, .events = events},
                           {.fd = stream->interrupt_fd, .events = POLLIN},
                           {.fd = stream->wake_at ? stream->wake_fd : -1, .events = POLLIN}};
    for (;;) {
        int n = poll(fds, ARRAY_LEN(fds), time_left(stream, timeout_ms));
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return stream_fail(stream, errno, "poll: %s", strerror(errno));
        if (n > 0 && fds[1].revents)
            return stream_fail(stream, ECANCELED, "interrupted");
        if (n > 0)
            return fds[2].revents ? -EINTR : 1;
        if (n == 0 && timeout_ms == 0)
            return 0;
        if (n == 0 && stream->wake_at) {
            if (clock_mono_ms() >= stream->wake_at)
                return -ETIME;
            continue;
        }
        if (n == 0 && stream->deadline && clock_mono_ms() >= stream->deadline)
            return stream_fail(stream, ETIMEDOUT, "%s", stream->late);
        if (n == 0)
            return stream_fail(stream, ETIMEDOUT, "no answer for %.1f seconds",
                               timeout_ms / 1000.0);
    }
}

/* ---- reading and writing */

static ssize_t read_some(struct stream *stream, void *data, size_t n)
{
    stream->read_wants = POLLIN;
    if (stream->tls)
        return tls_read(stream->tls, data, n, &stream->read_wants);
    ssize_t r = recv(stream->fd, data, n, 0);
    if (r < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return r == 0 ? -ECONNRESET : r;
}

static ssize_t write_some(struct stream *stream, const void *data, size_t n)
{
    stream->write_wants = POLLOUT;
    if (n > WRITE_PIECE)
        n = WRITE_PIECE;
    if (stream->tls)
        return tls_write(stream->tls, data, n, &stream->write_wants);
    ssize_t r = send(stream->fd, data, n, MSG_NOSIGNAL);
    if (r < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return r;
}

static int connection_lost(struct stream *stream, int error)
{
    if (error == -ETIMEDOUT)
        return stream_fail(stream, ETIMEDOUT, "the connection timed out");
    return stream_fail(stream, ECONNRESET, "the server closed the connection");
}

/* Writes what can be written now.  0, or the sticky error.  A server that has said its last word
 * may have stopped reading: a broken pipe is left for the reader to tell, who finds that word. */
int stream_try_write(struct stream *stream, const void *out, size_t out_len, size_t *sent)
{
    while (*sent < out_len) {
        ssize_t n = write_some(stream, (const char *)out + *sent, out_len - *sent);
        if (n == -EAGAIN)
            return 0;
        if (n == -EPIPE || n == -ECONNRESET) {
            stream->write_wants = POLLIN;
            return 0;
        }
        if (n < 0)
            return connection_lost(stream, (int)n);
        *sent += (size_t)n;
        stream->bytes_up += (size_t)n;
    }
    return 0;
}

ssize_t stream_read(struct stream *stream, void *data, size_t n, const void *out, size_t out_len,
                    size_t *sent)
{
    for (;;) {
        if (stream->error)
            return stream->error;
        int r = stream_try_write(stream, out, out_len, sent);
        if (r < 0)
            return r;
        /* Look at the interrupt even when a fast server lets us read without ever waiting. */
        bool ready = stream->tls && tls_pending(stream->tls);
        short events = stream->read_wants;
        if (*sent < out_len)
            events |= stream->write_wants;
        r = stream_poll(stream, events, ready ? 0 : stream->timeout_ms);
        if (r < 0)
            return r;
        ssize_t got = read_some(stream, data, n);
        if (got > 0) {
            stream->bytes_down += (size_t)got;
            return got;
        }
        if (got != -EAGAIN)
            return connection_lost(stream, (int)got);
    }
}

int stream_write(struct stream *stream, const void *data, size_t n)
{
    size_t sent = 0;
    while (sent < n) {
        if (stream->error)
            return stream->error;
        ssize_t done = write_some(stream, (const char *)data + sent, n - sent);
        if (done == -EAGAIN) {
            int r = stream_poll(stream, stream->write_wants, stream->timeout_ms);
            if (r < 0)
                return r;
            continue;
        }
        if (done < 0)
            return connection_lost(stream, (int)done);
        sent += (size_t)done;
        stream->bytes_up += (size_t)done;
    }
    return 0;
}

/* ---- connecting */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    if (address->sa_family != AF_INET6)
        return false;
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

static void set_options(const struct stream *stream)
{
    int on = 1, idle = 60, interval = 15, count = 4;
    unsigned user_timeout = stream->timeout_ms > 120000 ? stream->timeout_ms : 120000;
    /* Each is an improvement, none a need: failures do not matter. */
    setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(stream->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(stream->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(stream->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(stream->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    setsockopt(stream->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout));
}

/* 0, -ECANCELED, or the errno of this address. */
static int connect_address(struct stream *stream, const struct addrinfo *info, bool last)
{
    stream->fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (stream->fd < 0)
        return -errno;
    set_options(stream);
    if (connect(stream->fd, info->ai_addr, info->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS && errno != EINTR)
        return -errno;
    unsigned timeout = stream->timeout_ms;
    if (!last && timeout > ADDRESS_TIMEOUT_MS)
        timeout = ADDRESS_TIMEOUT_MS;
    struct pollfd fds[] = {{.fd = stream->fd, .events = POLLOUT},
                           {.fd = stream->interrupt_fd, .events = POLLIN}};
    int n;
    do
        n = poll(fds, 2, time_left(stream, timeout));
    while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n > 0 && fds[1].revents)
        return stream_fail(stream, ECANCELED, "interrupted");
    if (n <= 0)
        return -ETIMEDOUT;
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    return -error;
}

static int connect_any(struct stream *stream, const struct addrinfo *found, bool plain)
{
    int r = -ENETUNREACH;
    for (const struct addrinfo *info = found; info; info = info->ai_next) {
        if (plain && !is_loopback(info->ai_addr))
            return stream_fail(stream, EKEYREJECTED,
                               "tls=none is for this machine only, the address is not loopback");
        r = connect_address(stream, info, !info->ai_next);
        if (r == 0 || r == -ECANCELED)
            return r;
        if (stream->fd >= 0)
            close(steal_fd(&stream->fd));
    }
    int code = r == -ECONNREFUSED || r == -EHOSTUNREACH || r == -ETIMEDOUT ? -r : ENETUNREACH;
    return stream_fail(stream, code, "cannot connect: %s", strerror(-r));
}

static void set_names(struct stream *stream, const struct imap_settings *settings)
{
    const char *host = settings->host;
    size_t len = strlen(host);
    bool brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';
    snprintf(stream->host, sizeof(stream->host), "%.*s", (int)(brackets ? len - 2 : len),
             brackets ? host + 1 : host);
    snprintf(stream->where, sizeof(stream->where), strchr(stream->host, ':') ? "[%s]:%u" : "%s:%u",
             stream->host, settings->port);
}

int stream_open(struct stream *stream, const struct imap_settings *settings)
{
    stream->interrupt_fd = settings->interrupt_fd;
    stream->timeout_ms = settings->timeout_ms ? settings->timeout_ms : 30000;
    stream->read_wants = POLLIN;
    stream->write_wants = POLLOUT;
    set_names(stream, settings);
    if (strlen(settings->host) >= sizeof(stream->host))
        return stream_fail(stream, ENETUNREACH, "the host name is too long");
    const char *cafile = settings->cafile ? settings->cafile : "";
    if ((size_t)snprintf(stream->cafile, sizeof(stream->cafile), "%s", cafile) >=
        sizeof(stream->cafile))
        return stream_fail(stream, EKEYREJECTED, "the path of cafile is too long");
    struct addrinfo *found = NULL;
    struct errtext err = {0};
    int r = resolve_host(stream->host, settings->port, stream->interrupt_fd,
                         time_left(stream, stream->timeout_ms), &found, &err);
    if (r < 0)
        return stream_fail(stream, -r, "%s", err.text);
    r = connect_any(stream, found, settings->tls == IMAP_TLS_NONE);
    freeaddrinfo(found);
    if (r < 0)
        return r;
    stream->trusted = settings->tls == IMAP_TLS_NONE;
    return settings->tls == IMAP_TLS_IMPLICIT ? stream_start_tls(stream) : 0;
}

int stream_start_tls(struct stream *stream)
{
    struct errtext err = {0};
    const char *cafile = *stream->cafile ? stream->cafile : NULL;
    struct tls *tls = NULL;
    int r = tls_new(stream->fd, stream->host, cafile, &tls, &err);
    if (r < 0)
        return stream_fail(stream, -r, "%s", err.text);
    short want = 0;
    while ((r = tls_handshake(tls, &want, &err)) == -EAGAIN) {
        r = stream_poll(stream, want, stream->timeout_ms);
        if (r < 0)
            break;
    }
    if (r < 0) {
        tls_free(tls);
        return stream_fail(stream, -r, "%s", err.text);
    }
    stream->tls = tls;
    stream->trusted = true;
    return 0;
}

void stream_release(struct stream *stream)
{
    tls_free(stream->tls);
    stream->tls = NULL;
    if (stream->fd >= 0)
        close(steal_fd(&stream->fd));
}
