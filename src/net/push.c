/*
 * DESIGN.  Waiting is a look for the next line that may end without one (stream.wake_at): nothing
 * is taken from the reader meanwhile, so the look can be given up and taken up again, also in the
 * middle of a line and of a TLS record.  A line that has come is read as everywhere.
 */
#include <errno.h>

#include "conn.h"

/* Octets of a line without end to look at before it is read in the ordinary way. */
#define LOOK_MAX 4096

/* 0 when a line is there, -ETIME, -EINTR (woken), or the sticky error. */
static int look_for_line(struct imap *im, int64_t until, int wake_fd)
{
    struct span head;
    im->stream.wake_at = until;
    im->stream.wake_fd = wake_fd;
    int r = reader_stream_peek(&im->in, LOOK_MAX, &head);
    im->stream.wake_at = 0;
    im->stream.wake_fd = -1;
    return r;
}

/* Until something has come and nothing more is there to read at once, or the time is up, or
 * somebody wants the connection, or `command` (NULL: none) has been answered. */
static int wait_for_news(struct imap *im, const struct imap_result *command, int64_t until,
                         int wake_fd, enum imap_wake *ret)
{
    for (;;) {
        int64_t now = clock_mono_ms();
        bool news = im->news || im->overflow;
        int r = look_for_line(im, news ? now : until, wake_fd);
        if (r == -EINTR || r == -ETIME) {
            *ret = r == -EINTR ? IMAP_WAKE_FD : IMAP_WAKE_TIMEOUT;
            return 0;
        }
        r = r < 0 ? conn_abandon(im, r) : conn_step(im);
        if (r < 0)
            return r;
        if ((command && command->done) || now >= until) { /* even if it never stops talking */
            *ret = IMAP_WAKE_TIMEOUT;
            return 0;
        }
    }
}

/* Reads until the command is answered, or *enough (NULL: not before). */
static int wait_for_answer(struct imap *im, const struct imap_result *result, const bool *enough,
                           const char *late)
{
    int r = 0;
    im->stream.deadline = clock_mono_ms() + im->answer_ms;
    im->stream.late = late;
    while (r == 0 && !result->done && !(enough && *enough)) {
        r = conn_step(im);
        if (r == 0 && !result->done && clock_mono_ms() >= im->stream.deadline)
            r = conn_abandon(im, stream_fail(&im->stream, ETIMEDOUT, "%s", late));
    }
    im->stream.deadline = 0;
    return r;
}

static enum imap_wake reason(struct imap *im, enum imap_wake wake)
{
    if (im->overflow) {
        im->overflow = false;
        return IMAP_WAKE_OVERFLOW;
    }
    return wake == IMAP_WAKE_TIMEOUT && im->news ? IMAP_WAKE_NEWS : wake;
}

static int send_done(struct imap *im, const struct imap_result *result)
{
    im->done_sent = true;
    if (str_append(&im->out, "DONE\r\n", 6) < 0)
        return conn_abandon(im, stream_fail(&im->stream, ENOMEM, "out of memory"));
    return wait_for_answer(im, result, NULL, "no answer to the end of IDLE");
}

int imap_check(struct imap *im)
{
    struct imap_result result;
    if (!im->stream.error && im->first)
        return -EBUSY;
    int r = imap_send_noop(im, &result);
    if (r == 0)
        r = wait_for_answer(im, &result, NULL, "the server does not answer any more");
    return r; /* a NO or BAD is an answer, too */
}

int imap_idle(struct imap *im, unsigned max_ms, int wake_fd, struct imap_result *result,
              enum imap_wake *ret)
{
    int64_t until = clock_mono_ms() + max_ms;
    enum imap_wake wake = IMAP_WAKE_TIMEOUT;
    *result = (struct imap_result){0};
    if (!im->stream.error) {
        if (!(im->caps.bits & IMAP_CAP_IDLE))
            return -ENOTSUP;
        if (im->first)
            return -EBUSY;
        if (!im->selected)
            return -EINVAL;
    }
    int r = conn_send(im, "IDLE", COMMAND_IDLE, result);
    if (r < 0)
        return r;
    im->news = im->continued = false;
    r = wait_for_answer(im, result, &im->continued, "no answer to IDLE");
    if (r < 0)
        return r;
    if (result->done) { /* the server never idled */
        if (result->status == 0)
            result->status = -EPROTO;
        return result->status;
    }
    r = wait_for_news(im, result, until, wake_fd, &wake);
    if (r == 0 && !result->done)
        r = send_done(im, result);
    if (r < 0 || result->status < 0)
        return r < 0 ? r : result->status;
    *ret = reason(im, wake);
    return 0;
}

int imap_listen(struct imap *im, unsigned max_ms, int wake_fd, enum imap_wake *ret)
{
    enum imap_wake wake = IMAP_WAKE_TIMEOUT;
    if (im->stream.error)
        return im->stream.error;
    if (im->first)
        return -EBUSY;
    im->news = false;
    im->untagged = (struct untagged){0};
    im->listening = true;
    int r = wait_for_news(im, NULL, clock_mono_ms() + max_ms, wake_fd, &wake);
    im->listening = false;
    if (r < 0)
        return r;
    *ret = reason(im, wake);
    return 0;
}
