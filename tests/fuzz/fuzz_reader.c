/*
 * The engine behind the login against any octets: no crash, no endless loop, no growth.  The
 * first octet chooses how many octets arrive at a time; the rest is what the server says to a
 * pipeline of commands.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "conn.h"

struct source {
    struct imap im; /* first */
    const uint8_t *data;
    size_t left, step;
};

static volatile size_t touched; /* so that borrowed memory is really read */

static ssize_t fill(void *ctx, void *data, size_t n)
{
    struct source *source = ctx;
    if (source->left == 0)
        return stream_fail(&source->im.stream, ECONNRESET, "end of input");
    if (n > source->left)
        n = source->left;
    if (n > source->step)
        n = source->step;
    memcpy(data, source->data, n);
    source->data += n;
    source->left -= n;
    return (ssize_t)n;
}

static void touch(const void *data, size_t n)
{
    const volatile uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        touched += p[i];
}

static void on_list(void *ctx, const struct imap_list_entry *entry)
{
    (void)ctx;
    touched += strlen(entry->name);
}

static void on_status(void *ctx, const struct imap_status *status)
{
    (void)ctx;
    touched += strlen(status->name);
}

static void on_namespace(void *ctx, const char *prefix, char delimiter)
{
    (void)ctx;
    touched += strlen(prefix) + (size_t)delimiter;
}

static void on_fetch(void *ctx, const struct imap_fetch *fetch)
{
    (void)ctx;
    touched += strlen(fetch->keywords);
    if (fetch->has & IMAP_ITEM_UID && fetch->uid == 0)
        abort();
    if (fetch->has & IMAP_ITEM_HEADER) {
        if (fetch->header_len > IMAP_HEADER_MAX)
            abort();
        touch(fetch->header, fetch->header_len);
    }
}

static void on_data(void *ctx, const void *data, size_t n)
{
    (void)ctx;
    touch(data, n);
}

static void on_uids(void *ctx, uint32_t first, uint32_t last)
{
    (void)ctx;
    if (first == 0 || last < first)
        abort();
}

static void on_vanished(void *ctx, uint32_t first, uint32_t last, bool earlier)
{
    (void)earlier;
    on_uids(ctx, first, last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two strings that have to wait for the server. */
static int send_search(struct imap *im, struct imap_result *result)
{
    struct query_piece pieces[] = {
        {"TEXT ", 5, false}, {"\xc3\xbc", 2, true}, {" FROM ", 6, false}, {"\xc3\xa4", 2, true}};
    struct query query = {.pieces = pieces, .n = 4, .utf8 = true};
    return imap_send_search(im, &query, result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct imap_events events = {.list = on_list,
                                              .status = on_status,
                                              .namespace_prefix = on_namespace,
                                              .fetch = on_fetch,
                                              .body_data = on_data,
                                              .uids = on_uids,
                                              .vanished = on_vanished};
    static struct source source;
    struct imap_result results[7];
    if (size == 0)
        return 0;
    source = (struct source){.data = data + 1, .left = size - 1};
    source.step = data[0] == 0 ? SIZE_MAX : data[0];
    if (conn_init(&source.im) < 0)
        abort();
    source.im.in.fill = fill;
    source.im.caps.bits = IMAP_CAP_ENABLE | IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE;
    if (data[0] % 2) /* else what is being left is told by CLOSED, or not at all */
        source.im.caps.bits |= IMAP_CAP_UNSELECT;
    source.im.enabled = data[0] % 4 < 2 ? IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE : 0;
    source.im.notify = data[0] % 8 < 4;
    imap_set_events(&source.im, &events);
    if (imap_send_enable(&source.im, true, &results[4]) < 0 ||
        imap_send_list(&source.im, false, &results[0]) < 0 ||
        imap_send_select(&source.im, "INBOX", false, &results[1]) < 0 ||
        imap_send_search_all(&source.im, &results[2]) < 0 ||
        send_search(&source.im, &results[6]) < 0 ||
        imap_send_select(&source.im, "Sent", true, &results[3]) < 0 ||
        imap_send_fetch_since(&source.im, "1:*", IMAP_ITEM_UID, 5, false, &results[5]) < 0)
        abort();
    bool idled = false;
    for (;;) {
        /* Everything is written that may be. */
        size_t limit = gates_limit(&source.im);
        if (limit < source.im.sent || limit > source.im.out.len)
            abort();
        source.im.sent = limit;
        if (response_read(&source.im) < 0)
            break;
        const struct imap_mailbox *box = imap_selected(&source.im);
        if (box && box->highestmodseq > INT64_MAX)
            abort();
        /* With everything answered, only IDLE is left to say. */
        if (!source.im.first && !idled) {
            idled = true;
            if (conn_send(&source.im, "IDLE", COMMAND_IDLE, &results[0]) < 0)
                abort();
        }
    }
    if (imap_error(&source.im) == 0)
        abort();
    conn_release(&source.im);
    return 0;
}
