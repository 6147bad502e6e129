/*
 * DESIGN.  Three ways to agreement, the first that the server can and that our last listing allows:
 *
 *   QRESYNC    EXAMINE ... (QRESYNC (UIDVALIDITY MODSEQ)) tells what vanished and what changed; in
 *              a mailbox that is open already, UID FETCH 1:* ... (CHANGEDSINCE MODSEQ VANISHED)
 *   CONDSTORE  EXAMINE, UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE MODSEQ), and UID SEARCH for what
 *              vanished
 *   compare    EXAMINE and UID SEARCH; the difference of UIDs both ways; all flags again.  Also the
 *              first listing, and the repair whenever a delta does not add up.
 *
 * In all of them new messages are asked for in the same pipeline (UID FETCH uidnext:*), so that a
 * folder where mail arrived costs one round trip.  A delta counts when its commands are answered OK
 * and the number of our rows equals EXISTS; MODSEQ is recorded last, after everything it stands
 * for.
 *
 * Windows: UID FETCH in pieces of WINDOW_UIDS with WINDOWS in flight (listing.c), so the line never
 * idles and memory stays that of one batch of rows.  FETCH data is believed only for UIDs that were
 * asked for, and only counts when its command is answered OK; rows that came before a failure stay
 * (they are true), the folder is just not marked listed.
 *
 * Rounds: a message that was expunged between SEARCH and FETCH brings no data, so a round that
 * leaves UIDs open is followed by another SEARCH.  What SEARCH names and FETCH refuses in the last
 * round is asked for once more without its header: one message that the server cannot parse does
 * not block the folder.
 */
#include "sync.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "listing.h"
#include "log.h"

#define ROUNDS 3

/* ---- events */

static void on_new(void *ctx, const struct imap_fetch *f)
{
    struct listing *l = ctx;
    if (l->error || (f->has & l->want) != l->want || !uidset_contains(&l->missing, f->uid))
        return;
    listing_fail(l, uidset_add(&l->received, f->uid, f->uid));
    if (!l->error)
        listing_fail(l, listing_add_row(l, f));
}

static void on_flags(void *ctx, const struct imap_fetch *f)
{
    struct listing *l = ctx;
    if (!l->error && (f->has & ITEMS_FLAGS) == ITEMS_FLAGS && uidset_contains(&l->missing, f->uid))
        listing_fail(l, listing_set_flags(l, f));
}

static void on_uids(void *ctx, uint32_t first, uint32_t last)
{
    struct listing *l = ctx;
    if (!l->error)
        listing_fail(l, uidset_add(&l->server, first, last));
}

/* In a delta: a new message whole, the flags of an old one, or a new one only named. */
static void on_delta(void *ctx, const struct imap_fetch *f)
{
    struct listing *l = ctx;
    if (l->error || !(f->has & IMAP_ITEM_UID))
        return;
    if ((f->has & IMAP_ITEM_MODSEQ) && f->modseq > l->max_modseq)
        l->max_modseq = f->modseq;
    if (f->uid > l->max_uid)
        l->max_uid = f->uid;
    if (f->uid >= l->folder->uidnext && (f->has & ITEMS_FULL) == ITEMS_FULL) {
        listing_fail(l, uidset_add(&l->received, f->uid, f->uid));
        if (!l->error)
            listing_fail(l, listing_add_row(l, f));
        return;
    }
    int r = f->uid < l->folder->uidnext && (f->has & IMAP_ITEM_FLAGS) ? listing_set_flags(l, f)
                                                                      : -ENOENT;
    if (r == -ENOENT)
        r = uidset_add(&l->missing, f->uid, f->uid);
    listing_fail(l, r);
}

static void on_vanished(void *ctx, uint32_t first, uint32_t last, bool earlier)
{
    struct listing *l = ctx;
    (void)earlier;
    if (!l->error)
        listing_fail(l, uidset_add(&l->gone, first, last));
}

static void set_events(struct listing *l, void (*fetch)(void *ctx, const struct imap_fetch *fetch))
{
    struct imap_events events = {
        .ctx = l, .fetch = fetch, .uids = on_uids, .vanished = on_vanished};
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
        int r = imap_send_select_since(im, l->folder->raw, true, 0, 0, &selected);
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
    set_events(l, on_new);
    int r = listing_fetch_missing(l, items);
    int stored = l->error ? 0 : listing_store_batch(l);
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
        refused = fetch_new(l, last ? ITEMS_LISTED : ITEMS_FULL);
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

static int remove_uids(struct listing *l, const struct uidset *gone)
{
    return store_remove_messages(l->sync->store, l->folder->ino, gone, listing_tell,
                                 (void *)l->sync->news);
}

/* What is here and not in l->server, which agreed with EXISTS. */
static int remove_gone_messages(struct listing *l)
{
    CLEANUP_UIDSET struct uidset local = {0}, gone = {0};
    int r = store_uids(l->sync->store, l->folder->ino, &local);
    if (r == 0)
        r = uidset_minus(&local, &l->server, &gone);
    return r < 0 || gone.n == 0 ? r : remove_uids(l, &gone);
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
    return listing_fetch_missing(l, ITEMS_FLAGS);
}

static int mark_listed(struct listing *l, const struct imap_mailbox *mailbox)
{
    struct sync *sync = l->sync;
    uint32_t uidnext = mailbox->uidnext;
    uint64_t modseq = mailbox->highestmodseq;
    if (l->max_uid >= uidnext && l->max_uid < UINT32_MAX)
        uidnext = l->max_uid + 1;
    if (modseq && l->max_modseq > modseq)
        modseq = l->max_modseq;
    int r = store_set_listed(sync->store, l->folder->ino, mailbox->uidvalidity, uidnext, modseq);
    if (r == 0 && l->folder->listed)
        sync->news->tell(sync->news->ctx, NEWS_CHANGED, l->folder->parent, l->folder->ino, NULL);
    return r;
}

/* ---- compare */

static int compare(struct listing *l, bool select, struct errtext *err)
{
    struct sync *sync = l->sync;
    CLEANUP_UIDSET struct uidset before = {0};
    int r = agree_on_uids(l, select, err);
    if (r < 0)
        return r;
    const struct imap_mailbox mailbox = *imap_selected(sync->im);
    r = store_begin_listing(sync->store, l->folder->ino, mailbox.uidvalidity, listing_tell,
                            (void *)sync->news);
    if (r == 0 && l->folder->listed)
        r = store_uids(sync->store, l->folder->ino, &before);
    if (r == 0)
        r = add_new_messages(l, err);
    if (r == 0)
        r = remove_gone_messages(l);
    if (r == 0)
        r = refresh_flags(l, &before);
    return r < 0 ? r : mark_listed(l, &mailbox);
}

/* ---- deltas */

struct delta {
    bool qresync, select;
    struct imap_result selected, changed, fresh, searched;
};

static int send_delta(struct listing *l, struct delta *d)
{
    struct imap *im = l->sync->im;
    const struct store_folder *folder = l->folder;
    const unsigned flags = ITEMS_FLAGS | IMAP_ITEM_MODSEQ;
    char from[32];
    int r = 0;
    snprintf(from, sizeof(from), "%" PRIu32 ":*", folder->uidnext);
    if (d->select)
        r = d->qresync ? imap_send_select_since(im, folder->raw, true, folder->uidvalidity,
                                                folder->modseq, &d->selected)
                       : imap_send_select_since(im, folder->raw, true, 0, 0, &d->selected);
    if (r == 0 && !(d->select && d->qresync))
        r = imap_send_fetch_since(im, "1:*", flags, folder->modseq, d->qresync, &d->changed);
    if (r == 0)
        r = imap_send_fetch(im, from, ITEMS_FULL, &d->fresh);
    if (r == 0 && !d->qresync)
        r = imap_send_search_all(im, &d->searched);
    return r;
}

/* 1: the answers count.  0: compare, for a reason that is none of this step's. */
static int wait_delta(struct listing *l, struct delta *d, struct errtext *err)
{
    struct imap *im = l->sync->im;
    const struct store_folder *folder = l->folder;
    int status = d->select ? imap_wait(im, &d->selected) : 0;
    const struct imap_mailbox *mailbox = imap_selected(im);
    bool usable = status == 0 && mailbox && mailbox->highestmodseq &&
                  mailbox->uidvalidity == folder->uidvalidity;
    if (!usable)
        imap_set_events(im, NULL);
    int changed = d->select && d->qresync ? 0 : imap_wait(im, &d->changed);
    int fresh = imap_wait(im, &d->fresh);
    int searched = d->qresync ? 0 : imap_wait(im, &d->searched);
    if (imap_error(im) < 0)
        return imap_error(im);
    if (status < 0)
        return err_set(err, -status, "cannot open the folder: %s", d->selected.text);
    return usable && !changed && !fresh && !searched;
}

/* Everything that the answers said, then the proof by counting. */
static int apply_delta(struct listing *l, const struct delta *d)
{
    CLEANUP_UIDSET struct uidset named = {0};
    uint64_t messages, cached;
    int r = l->error ? l->error : listing_store_batch(l);
    if (r < 0)
        return r;
    uidset_normalize(&l->received);
    uidset_normalize(&l->missing);
    uidset_normalize(&l->gone);
    uidset_normalize(&l->server);
    struct uidset open = l->missing; /* named without what makes a row, and not gone since */
    l->missing = (struct uidset){0};
    r = uidset_minus(&open, &l->received, &named);
    uidset_release(&open);
    if (r == 0)
        r = uidset_minus(&named, &l->gone, &l->missing);
    if (r == 0 && l->missing.n)
        r = fetch_new(l, ITEMS_FULL);
    if (r == 0 && d->qresync && l->gone.n)
        r = remove_uids(l, &l->gone);
    const struct imap_mailbox *mailbox = imap_selected(l->sync->im);
    if (r == 0 && !d->qresync && mailbox && uidset_count(&l->server) == mailbox->exists)
        r = remove_gone_messages(l);
    if (r == 0)
        r = store_folder_counts(l->sync->store, l->folder->ino, &messages, &cached);
    if (r < 0)
        return r;
    mailbox = imap_selected(l->sync->im);
    return mailbox && messages == mailbox->exists;
}

static bool can_delta(const struct listing *l)
{
    return l->folder->listed && l->folder->modseq && l->folder->uidvalidity && l->folder->uidnext &&
           (imap_caps(l->sync->im) & IMAP_CAP_CONDSTORE);
}

/* 1: in agreement.  0: it did not add up, compare. */
static int delta(struct listing *l, bool select, struct errtext *err)
{
    struct delta d = {.qresync = imap_enabled(l->sync->im) & IMAP_CAP_QRESYNC, .select = select};
    set_events(l, on_delta);
    int r = send_delta(l, &d);
    if (r < 0)
        return r; /* only the connection's own failure: nothing is left under way */
    r = wait_delta(l, &d, err);
    if (r > 0) {
        r = apply_delta(l, &d);
        if (r == 0)
            log_info(
                "folder %s: what the server told as changes does not add up to its %u messages;"
                " comparing all",
                l->folder->path,
                imap_selected(l->sync->im) ? imap_selected(l->sync->im)->exists : 0);
        if (r > 0)
            r = mark_listed(l, imap_selected(l->sync->im)) < 0 ? -EIO : 1;
    }
    return r;
}

static int run(struct listing *l, bool selected, struct errtext *err)
{
    int r = 0;
    if (can_delta(l)) {
        r = delta(l, !selected, err);
        if (r != 0)
            return r < 0 ? r : 0;
        selected = imap_selected(l->sync->im);
        /* Nothing of a delta that does not count may reach the comparison: no row, no MODSEQ. */
        struct sync *sync = l->sync;
        const struct store_folder *folder = l->folder;
        listing_release(l);
        r = listing_init(l, sync, folder);
        if (r < 0)
            return r;
    }
    return compare(l, !selected, err);
}

int sync_folder(struct sync *sync, const struct store_folder *folder, bool selected,
                struct errtext *err)
{
    struct listing l;
    if (err)
        err->text[0] = '\0';
    int r = listing_init(&l, sync, folder);
    if (r == 0)
        r = run(&l, selected, err);
    imap_set_events(sync->im, NULL);
    listing_release(&l);
    return r;
}
