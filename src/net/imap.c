/*
 * DESIGN.  One connection, pulled: imap_wait reads responses one after another until the wanted
 * one is there, and whenever the reader wants more octets the pipeline's unwritten commands are
 * written in the same poll().  So neither side can wait for the other with full buffers.
 *
 *   stream.c, tls.c, resolve.c   octets, time-outs, the sticky error
 *   reader.c                     tokens in one fixed buffer
 *   guard.c, auth.c, caps.c      to AUTHENTICATED, through libetpan and cyrus-sasl
 *   imap.c                       life, pipeline, waiting
 *   command.c, search.c          what is sent
 *   push.c                       IDLE and NOTIFY: waiting for what nobody asked for
 *   response.c, numbers.c, fetch.c, text.c   what comes back
 *
 * Invariants: commands in the pipeline are in the order sent; `out` holds whole commands, of
 * which nothing behind the first gate is written; a result in the pipeline is not done.
 */
#include "imap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "flags.h"
#include "conn.h"
#include "tls.h"

#define LOGIN_TIMEOUT_MS  60000
#define ANSWER_TIMEOUT_MS 10000
/* Commands that may wait to be written. */
#define OUT_MAX ((size_t)16 << 20)
/* Longest mailbox name and other strings we keep. */
#define NAME_MAX_OCTETS 8192

int imap_global_init(void)
{
    int r = tls_global_init();
    return r < 0 ? r : auth_global_init();
}

/* ---- life */

static ssize_t fill_from_stream(void *ctx, void *data, size_t n)
{
    struct imap *im = ctx;
    const char *out = im->out.len ? im->out.data : "";
    ssize_t got = stream_read(&im->stream, data, n, out, gates_limit(im), &im->sent);
    if (im->sent > 0 && im->sent == im->out.len) {
        str_clear(&im->out);
        im->sent = 0;
    }
    return got;
}

static int reader_failed(void *ctx, int code, const char *text)
{
    struct imap *im = ctx;
    return stream_fail(&im->stream, code, "%s", text);
}

int conn_nonsense(struct imap *im, const char *text)
{
    return stream_fail(&im->stream, EPROTO, "%s", text);
}

int conn_init(struct imap *im)
{
    *im = (struct imap){.stream = {.fd = -1, .interrupt_fd = -1, .wake_fd = -1},
                        .answer_ms = ANSWER_TIMEOUT_MS};
    im->last = &im->first;
    str_init(&im->out, OUT_MAX);
    str_init(&im->name, NAME_MAX_OCTETS);
    str_init(&im->header, IMAP_HEADER_MAX);
    str_init(&im->keywords, KEYWORDS_MAX);
    int r = reader_init(&im->in);
    im->in.ctx = im;
    im->in.fill = fill_from_stream;
    im->in.fail = reader_failed;
    return r;
}

static void finish(struct imap *im, struct command *command, int status)
{
    if (command->result) {
        command->result->done = true;
        command->result->status = command->kind == COMMAND_LOGOUT && im->bye ? 0 : status;
    }
    free(command);
}

int conn_abandon(struct imap *im, int error)
{
    while (im->first) {
        struct command *command = im->first;
        im->first = command->next;
        finish(im, command, error);
    }
    im->last = &im->first;
    gates_release(im);
    im->selected = im->will_select = im->leaving = false;
    return error;
}

void conn_release(struct imap *im)
{
    conn_abandon(im, -ECANCELED);
    stream_release(&im->stream);
    reader_release(&im->in);
    str_release(&im->out);
    str_release(&im->name);
    str_release(&im->header);
    str_release(&im->keywords);
}

void imap_free(struct imap *im)
{
    if (!im)
        return;
    conn_release(im);
    free(im);
}

void imap_freep(struct imap **im)
{
    imap_free(*im);
}

int imap_connect(const struct imap_settings *settings, struct imap **ret, struct errtext *err)
{
    CLEANUP(imap_freep) struct imap *im = malloc(sizeof(*im));
    if (!im)
        return err_set(err, ENOMEM, "out of memory");
    if (conn_init(im) < 0)
        return err_set(err, ENOMEM, "out of memory");
    im->stream.deadline = clock_mono_ms() + LOGIN_TIMEOUT_MS;
    im->stream.late = "the login took too long";
    int r = stream_open(&im->stream, settings);
    if (r == 0)
        r = auth_login(im, settings);
    if (r < 0 && settings->failure)
        *settings->failure = im->failure;
    if (r < 0)
        return err_set(err, -r, "%s", im->stream.err.text);
    im->stream.deadline = 0;
    im->failure = (struct imap_failure){0};
    *ret = steal(&im);
    return 0;
}

/* ---- what it tells */

int imap_error(const struct imap *im)
{
    return im->stream.error;
}

const char *imap_errmsg(const struct imap *im)
{
    return im->stream.err.text;
}

const struct imap_failure *imap_failure(const struct imap *im)
{
    return &im->failure;
}

static bool take_once(bool *has, const struct imap_failure *what, struct imap_failure *ret)
{
    if (!*has)
        return false;
    *has = false;
    *ret = *what;
    return true;
}

bool imap_take_alert(struct imap *im, struct imap_failure *ret)
{
    return take_once(&im->has_alert, &im->alert, ret);
}

bool imap_take_refusal(struct imap *im, struct imap_failure *ret)
{
    return take_once(&im->has_refusal, &im->refusal, ret);
}

const char *imap_mechanism(const struct imap *im)
{
    return mechanism_name(im->mechanism);
}

uint32_t imap_caps(const struct imap *im)
{
    return im->caps.bits;
}

uint32_t imap_enabled(const struct imap *im)
{
    return im->enabled;
}

void imap_counters(const struct imap *im, struct imap_counters *ret)
{
    *ret = (struct imap_counters){.bytes_up = im->stream.bytes_up,
                                  .bytes_down = im->stream.bytes_down,
                                  .commands = im->commands};
}

void imap_set_events(struct imap *im, const struct imap_events *events)
{
    im->events = events ? *events : (struct imap_events){0};
}

const struct imap_mailbox *imap_selected(const struct imap *im)
{
    return im->selected ? &im->mailbox : NULL;
}

/* ---- the pipeline */

void conn_head_changed(struct imap *im)
{
    if (!im->first || im->first->kind != COMMAND_SELECT)
        return;
    /* What comes from now on is about the new mailbox, except where none was left explicitly. */
    im->leaving = im->selected;
    im->selected = false;
    im->mailbox = (struct imap_mailbox){.read_only = im->first->examine};
}

int conn_queue(struct imap *im, enum command_kind kind, bool examine, struct imap_result *result)
{
    struct command *command = malloc(sizeof(*command));
    if (!command)
        return -ENOMEM;
    *command =
        (struct command){.tag = im->next_tag, .kind = kind, .examine = examine, .result = result};
    *im->last = command;
    im->last = &command->next;
    im->commands++;
    if (im->first == command)
        conn_head_changed(im);
    return 0;
}

/* ---- waiting */

int conn_step(struct imap *im)
{
    int r = im->stream.error;
    if (r == 0 && im->sent < gates_limit(im))
        r = stream_try_write(&im->stream, im->out.data, gates_limit(im), &im->sent);
    if (r == 0)
        r = response_read(im);
    return r < 0 ? conn_abandon(im, r) : 0;
}

int imap_wait(struct imap *im, struct imap_result *result)
{
    while (!result->done) {
        if (!im->stream.error && !im->first)
            return -EINVAL; /* it was never sent */
        int r = conn_step(im);
        if (r < 0 && !result->done)
            return r;
    }
    return result->status;
}
