#include "listing.h"

#include <errno.h>
#include <string.h>

#include "header.h"

#define WINDOW_UIDS 1000
#define WINDOW_TEXT 7000 /* bytes of one sequence-set: the line stays below 8,192 octets */
#define WINDOWS     4

int listing_init(struct listing *l, struct sync *sync, const struct store_folder *folder)
{
    *l = (struct listing){.sync = sync, .folder = folder};
    l->batch = calloc(STORE_BATCH_MAX, sizeof(*l->batch));
    l->texts = calloc(STORE_BATCH_MAX, sizeof(*l->texts));
    return l->batch && l->texts ? 0 : -ENOMEM;
}

static void clear_batch(struct listing *l)
{
    for (size_t i = 0; i < l->batch_len; i++)
        free(l->texts[i]);
    l->batch_len = 0;
}

void listing_release(struct listing *l)
{
    clear_batch(l);
    free(l->batch);
    free(l->texts);
    uidset_release(&l->server);
    uidset_release(&l->gone);
    uidset_release(&l->missing);
    uidset_release(&l->received);
}

void listing_tell(void *ctx, enum store_change change, uint64_t parent, uint64_t ino,
                  const char *name)
{
    const struct news_listener *news = ctx;
    static const enum news as_news[] = {
        [STORE_ADDED] = NEWS_ADDED, [STORE_REMOVED] = NEWS_REMOVED, [STORE_CHANGED] = NEWS_CHANGED};
    news->tell(news->ctx, as_news[change], parent, ino, name);
}

void listing_fail(struct listing *l, int r)
{
    if (r < 0 && !l->error)
        l->error = r;
}

/* ---- rows */

int listing_store_batch(struct listing *l)
{
    if (l->batch_len == 0)
        return 0;
    int r = store_add_messages(l->sync->store, l->folder->ino, l->batch, l->batch_len);
    /* In a folder that nobody has seen yet there is nothing the kernel could have cached. */
    for (size_t i = 0; r == 0 && l->folder->listed && i < l->batch_len; i++)
        if (l->batch[i].ino)
            l->sync->news->tell(l->sync->news->ctx, NEWS_ADDED, l->folder->ino, l->batch[i].ino,
                                l->batch[i].name.name);
    clear_batch(l);
    return r;
}

int listing_add_row(struct listing *l, const struct imap_fetch *f)
{
    CLEANUP_HEADER struct mail_header header = {0};
    int r = mail_header_parse(f->header ? f->header : "", f->header_len, &header);
    if (r < 0)
        return r;
    struct store_new_message *row = &l->batch[l->batch_len];
    *row = (struct store_new_message){
        .uid = f->uid,
        .flags = f->flags & ~FLAG_RECENT,
        .size = f->size,
        .internaldate = f->internaldate,
        .zone = f->zone,
    };
    r = msgname_make(&header, f->internaldate, &row->name);
    if (r < 0)
        return r;
    size_t keywords = strlen(f->keywords) + 1, message_id = strlen(header.message_id) + 1;
    char *texts = malloc(keywords + message_id);
    if (!texts)
        return -ENOMEM;
    row->keywords = memcpy(texts, f->keywords, keywords);
    row->message_id = memcpy(texts + keywords, header.message_id, message_id);
    l->texts[l->batch_len++] = texts;
    return l->batch_len == STORE_BATCH_MAX ? listing_store_batch(l) : 0;
}

int listing_set_flags(struct listing *l, const struct imap_fetch *f)
{
    const struct news_listener *news = l->sync->news;
    uint64_t ino;
    bool changed;
    int r = store_set_flags(l->sync->store, l->folder->ino, f->uid, f->flags & ~FLAG_RECENT,
                            f->keywords, &ino, &changed);
    if (r == 0 && changed)
        news->tell(news->ctx, NEWS_CHANGED, l->folder->ino, ino, NULL);
    return r;
}

/* ---- windows */

/* Sends the next window; 0 when nothing is left, 1 when something was sent. */
static int send_window(struct listing *l, unsigned items, uint32_t *cursor, struct str *set,
                       struct imap_result *result)
{
    str_clear(set);
    int64_t n = uidset_next_chunk(&l->missing, cursor, WINDOW_UIDS, WINDOW_TEXT, set);
    if (n <= 0)
        return (int)n;
    int r = imap_send_fetch(l->sync->im, set->data, items, result);
    return r < 0 ? r : 1;
}

/* UID FETCH of l->missing in windows, several in flight.  Whatever fails, all that was sent is
 * waited for: the results live here. */
int listing_fetch_missing(struct listing *l, unsigned items)
{
    struct imap_result results[WINDOWS];
    unsigned sent = 0, answered = 0;
    uint32_t cursor = 0;
    CLEANUP_STR struct str set = STR_INIT(WINDOW_TEXT);
    int failure = 0;
    for (bool more = true; more || answered < sent;) {
        while (more && sent - answered < WINDOWS) {
            int r = send_window(l, items, &cursor, &set, &results[sent % WINDOWS]);
            if (r < 0 && !failure)
                failure = r;
            more = r > 0;
            sent += more;
        }
        if (answered == sent)
            break;
        int r = imap_wait(l->sync->im, &results[answered++ % WINDOWS]);
        if (r < 0 && !failure)
            failure = r;
        if (imap_error(l->sync->im) < 0)
            return imap_error(l->sync->im);
    }
    return failure ? failure : l->error;
}
