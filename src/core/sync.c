/*
 * DESIGN.  One pipeline: EXAMINE and UID SEARCH together, then UID FETCH in windows of
 * WINDOW_UIDS with WINDOWS in flight, so the line never idles and memory stays that of one batch
 * of rows.  FETCH data is believed only for UIDs that were asked for, and only counts when its
 * command is answered OK; rows that came before a failure stay (they are true), the folder is
 * just not marked listed.
 *
 * Rounds: a message that was expunged between SEARCH and FETCH brings no data, so a round that
 * leaves UIDs open is followed by another SEARCH.  What SEARCH names and FETCH refuses in the last
 * round is asked for once more without its header: one message that the server cannot parse does
 * not block the folder.
 */
#include "sync.h"

#include <errno.h>
#include <string.h>

#include "flags.h"
#include "header.h"
#include "log.h"

#define WINDOW_UIDS  1000
#define WINDOW_TEXT  7000 /* bytes of one sequence-set: the line stays below 8,192 octets */
#define WINDOWS      4
#define ROUNDS       3
#define ITEMS_LISTED (IMAP_ITEM_UID | IMAP_ITEM_FLAGS | IMAP_ITEM_INTERNALDATE | IMAP_ITEM_SIZE)

struct listing {
    struct sync *sync;
    const struct store_folder *folder;
    struct uidset server;   /* what SEARCH said */
    struct uidset missing;  /* what is asked for in this round */
    struct uidset received; /* what came of it */
    unsigned want;          /* items that make a row */
    struct store_new_message *batch;
    char **texts; /* of each row in the batch: keywords and message-id, in one allocation */
    size_t batch_len;
    int error; /* first failure inside an event */
};

static void tell_store_change(void *ctx, enum store_change change, uint64_t parent, uint64_t ino,
                              const char *name)
{
    const struct news_listener *news = ctx;
    static const enum news as_news[] = {
        [STORE_ADDED] = NEWS_ADDED, [STORE_REMOVED] = NEWS_REMOVED, [STORE_CHANGED] = NEWS_CHANGED};
    news->tell(news->ctx, as_news[change], parent, ino, name);
}

static void remember(struct listing *l, int r)
{
    if (r < 0 && !l->error)
        l->error = r;
}

/* ---- rows */

static void clear_batch(struct listing *l)
{
    for (size_t i = 0; i < l->batch_len; i++)
        free(l->texts[i]);
    l->batch_len = 0;
}

static int store_batch(struct listing *l)
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

static int make_row(struct listing *l, const struct imap_fetch *f)
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
    return l->batch_len == STORE_BATCH_MAX ? store_batch(l) : 0;
}

static void on_fetch(void *ctx, const struct imap_fetch *f)
{
    struct listing *l = ctx;
    if (l->error || (f->has & l->want) != l->want || !uidset_contains(&l->missing, f->uid))
        return;
    remember(l, uidset_add(&l->received, f->uid, f->uid));
    if (!l->error)
        remember(l, make_row(l, f));
}

static void on_flags(void *ctx, const struct imap_fetch *f)
{
    struct listing *l = ctx;
    const unsigned want = IMAP_ITEM_UID | IMAP_ITEM_FLAGS;
    uint64_t ino;
    bool changed;
    if (l->error || (f->has & want) != want || !uidset_contains(&l->missing, f->uid))
        return;
    int r = store_set_flags(l->sync->store, l->folder->ino, f->uid, f->flags & ~FLAG_RECENT,
                            f->keywords, &ino, &changed);
    if (r < 0)
        remember(l, r);
    else if (changed)
        l->sync->news->tell(l->sync->news->ctx, NEWS_CHANGED, l->folder->ino, ino, NULL);
}

static void on_uids(void *ctx, uint32_t first, uint32_t last)
{
    struct listing *l = ctx;
    if (!l->error)
        remember(l, uidset_add(&l->server, first, last));
}

/* ---- commands */

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
static int fetch_missing(struct listing *l, unsigned items)
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

static void set_events(struct listing *l, void (*fetch)(void *ctx, const struct imap_fetch *fetch))
{
    struct imap_events events = {.ctx = l, .fetch = fetch, .uids = on_uids};
    imap_set_events(l->sync->im, &events);
}

/* EXAMINE where wanted, and UID SEARCH, in one go. */
static int read_server_uids(struct listing *l, bool select, struct errtext *err)
{
    struct imap *im = l->sync->im;
    struct imap_result selected, searched;
    uidset_release(&l->server);
    set_events(l, NULL);
    if (select) {
        int r = imap_send_select(im, l->folder->raw, true, &selected);
        if (r < 0)
            return r;
    }
    int r = imap_send_search_all(im, &searched);
    if (r < 0)
        return r;
    int status = select ? imap_wait(im, &selected) : 0;
    r = imap_wait(im, &searched);
    if (imap_error(im) < 0)
        return imap_error(im);
    if (status < 0)
        return err_set(err, -status, "cannot open the folder: %s", selected.text);
    if (r < 0)
        return err_set(err, -r, "the server refused SEARCH: %s", searched.text);
    uidset_normalize(&l->server);
    return l->error;
}

/* SEARCH must agree with EXISTS before anything is concluded from it. */
static int agree_on_uids(struct listing *l, bool select, struct errtext *err)
{
    for (int round = 0; round < ROUNDS; round++) {
        int r = read_server_uids(l, select && round == 0, err);
        if (r < 0)
            return r;
        const struct imap_mailbox *mailbox = imap_selected(l->sync->im);
        if (mailbox && uidset_count(&l->server) == mailbox->exists)
            return 0;
    }
    return err_set(err, EIO, "SEARCH and EXISTS disagree (%llu messages and %u)",
                   (unsigned long long)uidset_count(&l->server),
                   imap_selected(l->sync->im) ? imap_selected(l->sync->im)->exists : 0);
}

/* ---- the step */

static int fetch_new(struct listing *l, unsigned items)
{
    l->want = items & ITEMS_LISTED;
    uidset_release(&l->received);
    set_events(l, on_fetch);
    int r = fetch_missing(l, items);
    int stored = l->error ? 0 : store_batch(l);
    clear_batch(l);
    if (imap_error(l->sync->im) < 0)
        return imap_error(l->sync->im);
    if (stored < 0)
        return stored;
    uidset_normalize(&l->received);
    return l->error ? l->error : r;
}

/* Everything on the server that is not in the store; a refusal in the last round is final. */
static int add_new_messages(struct listing *l, struct errtext *err)
{
    int refused = 0;
    for (int round = 0; round <= ROUNDS; round++) {
        CLEANUP_UIDSET struct uidset local = {0};
        int r = store_uids(l->sync->store, l->folder->ino, &local);
        if (r < 0)
            return r;
        uidset_release(&l->missing);
        r = uidset_minus(&l->server, &local, &l->missing);
        if (r < 0 || l->missing.n == 0)
            return r;
        bool last = round == ROUNDS;
        refused = fetch_new(l, last ? ITEMS_LISTED : ITEMS_LISTED | IMAP_ITEM_HEADER);
        if (imap_error(l->sync->im) < 0 || l->error)
            return refused;
        if (uidset_count(&l->received) == uidset_count(&l->missing) && refused == 0)
            return 0;
        r = last ? 0 : agree_on_uids(l, false, err);
        if (r < 0)
            return r;
    }
    uint32_t uid = l->missing.n ? l->missing.ranges[0].first : 0;
    return err_set(err, EIO, "the server names UID %u in SEARCH but does not FETCH it", uid);
}

static int remove_gone_messages(struct listing *l)
{
    CLEANUP_UIDSET struct uidset local = {0}, gone = {0};
    int r = store_uids(l->sync->store, l->folder->ino, &local);
    if (r == 0)
        r = uidset_minus(&local, &l->server, &gone);
    if (r < 0 || gone.n == 0)
        return r;
    return store_remove_messages(l->sync->store, l->folder->ino, &gone, tell_store_change,
                                 (void *)l->sync->news);
}

/* The flags of the messages that were here before this step began. */
static int refresh_flags(struct listing *l, const struct uidset *before)
{
    CLEANUP_UIDSET struct uidset gone = {0};
    const struct imap_mailbox *mailbox = imap_selected(l->sync->im);
    if (mailbox && mailbox->highestmodseq && mailbox->highestmodseq == l->folder->modseq)
        return 0;
    int r = uidset_minus(before, &l->server, &gone);
    if (r < 0)
        return r;
    uidset_release(&l->missing);
    r = uidset_minus(before, &gone, &l->missing);
    if (r < 0 || l->missing.n == 0)
        return r;
    set_events(l, on_flags);
    return fetch_missing(l, IMAP_ITEM_UID | IMAP_ITEM_FLAGS);
}

static int run(struct listing *l, struct errtext *err)
{
    struct sync *sync = l->sync;
    CLEANUP_UIDSET struct uidset before = {0};
    int r = agree_on_uids(l, true, err);
    if (r < 0)
        return r;
    const struct imap_mailbox mailbox = *imap_selected(sync->im);
    r = store_begin_listing(sync->store, l->folder->ino, mailbox.uidvalidity, tell_store_change,
                            (void *)sync->news);
    if (r == 0 && l->folder->listed)
        r = store_uids(sync->store, l->folder->ino, &before);
    if (r == 0)
        r = add_new_messages(l, err);
    if (r == 0)
        r = remove_gone_messages(l);
    if (r == 0)
        r = refresh_flags(l, &before);
    if (r < 0)
        return r;
    r = store_set_listed(sync->store, l->folder->ino, mailbox.uidvalidity, mailbox.uidnext,
                         mailbox.highestmodseq);
    if (r == 0 && l->folder->listed)
        sync->news->tell(sync->news->ctx, NEWS_CHANGED, l->folder->parent, l->folder->ino, NULL);
    return r;
}

int sync_folder(struct sync *sync, const struct store_folder *folder, struct errtext *err)
{
    struct listing l = {.sync = sync, .folder = folder};
    if (err)
        err->text[0] = '\0';
    l.batch = calloc(STORE_BATCH_MAX, sizeof(*l.batch));
    l.texts = calloc(STORE_BATCH_MAX, sizeof(*l.texts));
    int r = l.batch && l.texts ? run(&l, err) : -ENOMEM;
    imap_set_events(sync->im, NULL);
    clear_batch(&l);
    free(l.batch);
    free(l.texts);
    uidset_release(&l.server);
    uidset_release(&l.missing);
    uidset_release(&l.received);
    return r;
}
