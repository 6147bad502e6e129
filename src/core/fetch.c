#include "fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

/* One UID FETCH under way. */
struct transfer {
    struct fetch_item *item;
    struct imap_result result;
    bool sent;
    struct body_writer *writer; /* complete, waiting for the tagged answer; owned */
    uint64_t size;              /* of what the writer holds */
};

struct run {
    struct fetch *fetch;
    struct transfer *transfers;
    size_t n;
    struct body_writer *arriving; /* the body being received; owned */
    int arriving_status;          /* first failure of it: the rest is read and dropped */
};

/* ---- events */

static void on_body_begin(void *ctx, const struct imap_fetch *so_far, uint64_t size)
{
    struct run *run = ctx;
    (void)so_far;
    body_writer_free(steal(&run->arriving));
    run->arriving_status = body_writer_new(run->fetch->bodies, size, &run->arriving);
}

static void on_body_data(void *ctx, const void *data, size_t n)
{
    struct run *run = ctx;
    if (run->arriving_status == 0)
        run->arriving_status = body_write(run->arriving, data, n);
}

static struct transfer *find_transfer(struct run *run, uint32_t uid)
{
    for (size_t i = 0; i < run->n; i++)
        if (run->transfers[i].sent && !run->transfers[i].result.done &&
            run->transfers[i].item->uid == uid)
            return &run->transfers[i];
    return NULL;
}

static void on_fetch(void *ctx, const struct imap_fetch *f)
{
    struct run *run = ctx;
    if (!(f->has & IMAP_ITEM_BODY))
        return;
    CLEANUP(body_writer_freep) struct body_writer *writer = steal(&run->arriving);
    struct transfer *t = (f->has & IMAP_ITEM_UID) ? find_transfer(run, f->uid) : NULL;
    if (!t)
        return; /* nothing we asked for */
    if (run->arriving_status == 0)
        run->arriving_status = body_finish(writer);
    if (run->arriving_status < 0) {
        t->item->status = run->arriving_status;
        return;
    }
    body_writer_free(t->writer); /* sent twice: the later one counts, they are the same */
    t->writer = steal(&writer);
    t->size = f->body_len;
}

/* ---- outcomes */

static int keep(struct run *run, struct transfer *t)
{
    struct fetch *fetch = run->fetch;
    bool changed;
    /* The size first: whoever finds the body must find its size corrected, and the news of it
     * under way to the kernel. */
    int r = store_set_size(fetch->store, t->item->ino, t->size, &changed);
    if (r < 0)
        return r;
    if (changed)
        fetch->news->tell(fetch->news->ctx, NEWS_CHANGED, 0, t->item->ino, NULL);
    int kept = body_commit(t->writer, t->item->ino);
    if (kept < 0 && kept != -ENOSPC && kept != -EIO)
        return kept;
    /* For who waits for it: neither a full disk nor an eviction comes in between. */
    r = body_from_writer(t->writer, &t->item->body);
    if (r < 0)
        return kept;
    t->writer = NULL;
    return 0;
}

static void settle(struct run *run, struct transfer *t)
{
    struct fetch_item *item = t->item;
    if (t->result.status < 0)
        item->status = t->result.status;
    else if (t->writer)
        item->status = keep(run, t);
    else if (item->status == 0)
        item->status = -ENOENT; /* OK and no body: the UID is gone */
    if (item->status < 0 && item->body) {
        body_close(item->body);
        item->body = NULL;
    }
    item->done = true;
}

/* ---- commands */

static int send_all(struct run *run, const struct store_folder *folder)
{
    for (size_t i = 0; i < run->n; i++) {
        struct transfer *t = &run->transfers[i];
        struct store_message message;
        char set[16];
        int r = store_message_by_ino(run->fetch->store, t->item->ino, &message);
        if (r == 0 && message.folder != folder->ino)
            r = -ENOENT;
        if (r < 0) {
            t->item->status = r;
            t->item->done = true;
            continue;
        }
        t->item->uid = message.uid;
        snprintf(set, sizeof(set), "%" PRIu32, message.uid);
        r = imap_send_fetch(run->fetch->im, set, IMAP_ITEM_UID | IMAP_ITEM_BODY, &t->result);
        if (r < 0)
            return r;
        t->sent = true;
    }
    return 0;
}

/* `failed`: why the answers do not count (the folder could not be opened), 0 if they do. */
static int wait_all(struct run *run, int failed)
{
    for (size_t i = 0; i < run->n; i++) {
        struct transfer *t = &run->transfers[i];
        if (!t->sent)
            continue;
        int r = imap_wait(run->fetch->im, &t->result);
        if (r < 0 && imap_error(run->fetch->im) < 0)
            return imap_error(run->fetch->im);
        if (failed == 0)
            settle(run, t);
    }
    return 0;
}

/* EXAMINE and all FETCHes go out together; nothing of a FETCH is read before EXAMINE's answer has
 * shown that the UIDs still mean what we think. */
static int run_all(struct run *run, const struct store_folder *folder, bool selected)
{
    struct imap *im = run->fetch->im;
    struct imap_result opened;
    struct imap_events events = {
        .ctx = run, .fetch = on_fetch, .body_begin = on_body_begin, .body_data = on_body_data};
    imap_set_events(im, NULL);
    int r = selected ? 0 : imap_send_select(im, folder->raw, true, &opened);
    if (r < 0)
        return r;
    int sent = send_all(run, folder);
    r = selected ? 0 : imap_wait(im, &opened);
    const struct imap_mailbox *mailbox = imap_selected(im);
    if (r == 0 && (!mailbox || mailbox->uidvalidity != folder->uidvalidity))
        r = -ESTALE;
    if (r == 0)
        imap_set_events(im, &events);
    int waited = wait_all(run, r);
    return waited < 0 ? waited : r < 0 ? r : sent;
}

int fetch_bodies(struct fetch *fetch, const struct store_folder *folder, bool selected,
                 struct fetch_item *items, size_t n)
{
    struct run run = {.fetch = fetch, .n = n};
    run.transfers = calloc(n, sizeof(*run.transfers));
    if (!run.transfers)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        run.transfers[i].item = &items[i];
    int r = run_all(&run, folder, selected);
    imap_set_events(fetch->im, NULL);
    for (size_t i = 0; i < n; i++)
        body_writer_free(run.transfers[i].writer);
    body_writer_free(run.arriving);
    free(run.transfers);
    return r;
}
