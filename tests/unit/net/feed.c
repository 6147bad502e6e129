#include "feed.h"

#include <errno.h>
#include <string.h>

#include "flags.h"

static ssize_t fill(void *ctx, void *data, size_t n)
{
    struct imap *im = ctx;
    struct feed *feed = (struct feed *)(void *)im; /* im is its first member */
    size_t left = feed->len - feed->pos;
    if (left == 0)
        return stream_fail(&im->stream, ECONNRESET, "end of input");
    if (n > left)
        n = left;
    if (feed->step && n > feed->step)
        n = feed->step;
    memcpy(data, feed->input + feed->pos, n);
    feed->pos += n;
    return (ssize_t)n;
}

static void on_list(void *ctx, const struct imap_list_entry *e)
{
    struct feed *feed = ctx;
    str_printf_append(&feed->log, "list %s %c %x; ", e->name, e->delimiter ? e->delimiter : '0',
                      e->attrs);
}

static void on_status(void *ctx, const struct imap_status *s)
{
    struct feed *feed = ctx;
    str_printf_append(&feed->log, "status %s %x %u %u %u %u %llu; ", s->name, s->has, s->messages,
                      s->uidnext, s->uidvalidity, s->unseen, (unsigned long long)s->highestmodseq);
}

static void on_quota(void *ctx, const struct imap_quota *q)
{
    struct feed *feed = ctx;
    str_printf_append(&feed->log, "quota %llu %llu; ", (unsigned long long)q->used,
                      (unsigned long long)q->limit);
}

static void on_namespace(void *ctx, const char *prefix, char delimiter)
{
    struct feed *feed = ctx;
    str_printf_append(&feed->log, "namespace [%s] %c; ", prefix, delimiter ? delimiter : '0');
}

static void on_fetch(void *ctx, const struct imap_fetch *f)
{
    struct feed *feed = ctx;
    struct str *log = &feed->log;
    str_printf_append(log, "fetch %u", f->seq);
    if (f->has & IMAP_ITEM_UID)
        str_printf_append(log, " uid %u", f->uid);
    if (f->has & IMAP_ITEM_FLAGS)
        str_printf_append(log, " flags %x [%s]", f->flags & ~FLAG_RECENT, f->keywords);
    if (f->has & IMAP_ITEM_INTERNALDATE)
        str_printf_append(log, " date %lld %d", (long long)f->internaldate, f->zone);
    if (f->has & IMAP_ITEM_SIZE)
        str_printf_append(log, " size %llu", (unsigned long long)f->size);
    if (f->has & IMAP_ITEM_MODSEQ)
        str_printf_append(log, " modseq %llu", (unsigned long long)f->modseq);
    if (f->has & IMAP_ITEM_HEADER)
        str_printf_append(log, " header %zu [%.20s]", f->header_len, f->header);
    if (f->has & IMAP_ITEM_BODY)
        str_printf_append(log, " body %llu", (unsigned long long)f->body_len);
    str_append_text(log, "; ");
}

static void on_body_begin(void *ctx, const struct imap_fetch *so_far, uint64_t size)
{
    struct feed *feed = ctx;
    str_printf_append(&feed->log, "begin %u %llu <", so_far->has & IMAP_ITEM_UID ? so_far->uid : 0,
                      (unsigned long long)size);
}

static void on_body_data(void *ctx, const void *data, size_t n)
{
    struct feed *feed = ctx;
    str_append(&feed->log, data, n);
}

static void on_uids(void *ctx, uint32_t first, uint32_t last)
{
    struct feed *feed = ctx;
    str_printf_append(&feed->log, "uids %u:%u; ", first, last);
}

static void on_vanished(void *ctx, uint32_t first, uint32_t last, bool earlier)
{
    struct feed *feed = ctx;
    str_printf_append(&feed->log, "vanished %u:%u%s; ", first, last, earlier ? " earlier" : "");
}

static void on_expunge(void *ctx, uint32_t seq)
{
    struct feed *feed = ctx;
    str_printf_append(&feed->log, "expunge %u; ", seq);
}

static void on_exists(void *ctx, uint32_t messages)
{
    struct feed *feed = ctx;
    str_printf_append(&feed->log, "exists %u; ", messages);
}

void feed_init(struct feed *feed, const char *input, size_t len, size_t step, uint32_t caps)
{
    struct imap_events events = {
        .ctx = feed,
        .list = on_list,
        .status = on_status,
        .quota = on_quota,
        .namespace_prefix = on_namespace,
        .fetch = on_fetch,
        .body_begin = on_body_begin,
        .body_data = on_body_data,
        .uids = on_uids,
        .vanished = on_vanished,
        .expunge = on_expunge,
        .exists = on_exists,
    };
    *feed = (struct feed){.input = input, .len = len, .step = step, .log = STR_INIT(1 << 24)};
    if (conn_init(&feed->im) < 0)
        abort();
    feed->im.stream.trusted = true;
    feed->im.in.fill = fill;
    feed->im.caps.bits = caps;
    imap_set_events(&feed->im, &events);
}

int feed_wait(struct feed *feed, struct imap_result *result)
{
    while (!result->done) {
        int r = response_read(&feed->im);
        if (r < 0)
            return conn_abandon(&feed->im, r);
    }
    return result->status;
}

void feed_release(struct feed *feed)
{
    conn_release(&feed->im);
    str_release(&feed->log);
}
