/*
 * stream.h -- the byte stream of one connection: socket, TLS, time-outs, interruption, counters.
 *
 * The socket never blocks; every wait is a poll() of socket and interrupt_fd, and ends when
 * nothing has moved for timeout_ms, or at the deadline.  The stream also keeps the connection's
 * one sticky error and its text: every layer above reports through stream_fail.
 *
 * Threads: one at a time; only interrupt_fd may be written from another.
 */
#ifndef MAILMOUNT_STREAM_H
#define MAILMOUNT_STREAM_H

#include "imap.h"

struct tls;

struct stream {
    int fd;           /* owned; -1: not connected */
    struct tls *tls;  /* owned; NULL: plain */
    bool trusted;     /* inside TLS or plain loopback: the server's words may be shown */
    int interrupt_fd; /* borrowed; -1: none */
    unsigned timeout_ms;
    int64_t deadline;              /* clock_mono_ms; 0: none */
    const char *late;              /* what a missed deadline means, static */
    int64_t wake_at;               /* clock_mono_ms; not 0: silence is no failure until then, a read
                                    * ends with -ETIME, not sticky */
    int wake_fd;                   /* with wake_at: readable ends a read with -EINTR, not sticky */
    short read_wants, write_wants; /* poll events that a blocked read or write waits for */
    uint64_t bytes_up, bytes_down; /* inside TLS */
    int error;                     /* sticky: 0 or -errno */
    struct errtext err;            /* HOST:PORT: what happened */
    char where[300];
    char host[256];    /* without brackets */
    char cafile[4096]; /* "": the system's */
};

/* Resolves and connects, trying every address; with IMAP_TLS_IMPLICIT also the handshake.  The
 * stream must be released whatever comes back. */
MUST_USE int stream_open(struct stream *stream, const struct imap_settings *settings);
/* The handshake.  From here on nothing that came before may be believed. */
MUST_USE int stream_start_tls(struct stream *stream);
void stream_release(struct stream *stream);

/* Sets the sticky error unless there is one, and returns it. */
int stream_fail(struct stream *stream, int code, const char *format, ...) PRINTF(3, 4);

/* Reads at least one byte, and meanwhile writes from out: never deadlocks when the server stops
 * reading until we read.  *sent counts the bytes of `out` that are written.  Returns the bytes
 * read or the sticky error. */
MUST_USE ssize_t stream_read(struct stream *stream, void *data, size_t n, const void *out,
                             size_t out_len, size_t *sent);
/* Writes what the socket takes at once. */
MUST_USE int stream_try_write(struct stream *stream, const void *out, size_t out_len, size_t *sent);
/* Writes everything. */
MUST_USE int stream_write(struct stream *stream, const void *data, size_t n);

#endif
