/*
 * DESIGN.  The answers come in the order of the commands, and net counts a SEARCH answer for no
 * search whose mailbox is not open yet.  So what arrives while we wait for the answer of one folder
 * is of that folder.  A refusal is remembered and everything sent is waited for all the same: the
 * results live here, and the connection stays usable.
 */
#include "search_work.h"

#include <errno.h>
#include <string.h>

#include "search_internal.h"

struct flight {
    struct search_target *target;
    bool sent_open, sent_search;
    struct imap_result opened, searched;
};

struct arrival {
    struct search *search;
    struct search_target *target;
};

static void on_uids(void *ctx, uint32_t first, uint32_t last)
{
    struct arrival *arrival = ctx;
    struct search *search = arrival->search;
    if (!arrival->target || search->stopped)
        return;
    uint64_t n = (uint64_t)last - first + 1;
    if (atomic_fetch_add(&search->found, n) + n > SEARCH_HITS_MAX) {
        search_fail(search, -EFBIG, "more than %d messages match; narrow the query",
                    SEARCH_HITS_MAX);
        return;
    }
    int r = uidset_add(&arrival->target->uids, first, last);
    if (r < 0)
        search_fail(search, r, "folder %s: %s", arrival->target->path, strerror(-r));
}

static void fail_search(struct search *search, const struct search_target *target, int r,
                        const struct imap_result *result)
{
    if (strcmp(result->code, "BADCHARSET") == 0)
        search_fail(search, -ENOTSUP,
                    "folder %s: the server cannot search for characters beyond ASCII: %s",
                    target->path, result->text);
    else
        search_fail(search, r, "folder %s: the server refused to search: %s%s%s%s", target->path,
                    result->code[0] ? "[" : "", result->code, result->code[0] ? "] " : "",
                    result->text);
}

static int send_flight(struct search *search, struct imap *im, struct flight *flight)
{
    int r = imap_send_select(im, flight->target->raw, true, &flight->opened);
    flight->sent_open = r == 0;
    if (r == 0)
        r = imap_send_search(im, &search->query, &flight->searched);
    flight->sent_search = r == 0;
    if (r < 0 && imap_error(im) == 0)
        search_fail(search, r, "folder %s: %s", flight->target->path,
                    r == -EINVAL ? "the query is too long for a command" : strerror(-r));
    return imap_error(im);
}

static int wait_flight(struct search *search, struct imap *im, struct flight *flight,
                       struct arrival *arrival)
{
    struct search_target *target = flight->target;
    int opened = flight->sent_open ? imap_wait(im, &flight->opened) : 0;
    if (imap_error(im) < 0)
        return imap_error(im);
    if (opened < 0)
        search_fail(search, opened, "folder %s: cannot be opened: %s", target->path,
                    flight->opened.text);
    const struct imap_mailbox *mailbox = opened == 0 ? imap_selected(im) : NULL;
    uint32_t uidvalidity = mailbox ? mailbox->uidvalidity : 0;
    arrival->target = mailbox ? target : NULL;
    int searched = flight->sent_search ? imap_wait(im, &flight->searched) : 0;
    arrival->target = NULL;
    if (imap_error(im) < 0)
        return imap_error(im);
    if (searched < 0 && opened == 0)
        fail_search(search, target, searched, &flight->searched);
    if (!mailbox || !flight->sent_search || searched < 0)
        return 0;
    target->uidvalidity = uidvalidity;
    uidset_normalize(&target->uids);
    target->done = true;
    return 0;
}

int search_work(struct search_lane *lane, struct imap *im)
{
    struct search *search = lane->search;
    struct flight flights[SEARCH_BATCH] = {0};
    struct arrival arrival = {.search = search};
    const struct imap_events events = {.ctx = &arrival, .uids = on_uids};
    unsigned n = 0;
    int r = 0;
    imap_set_events(im, &events);
    for (unsigned i = 0; r == 0 && i < lane->n && !search->stopped; i++) {
        struct search_target *target = &search->targets[lane->targets[i]];
        if (target->done)
            continue;
        uidset_normalize(&target->uids); /* of a connection that broke */
        search->found -= uidset_count(&target->uids);
        uidset_release(&target->uids);
        flights[n].target = target;
        r = send_flight(search, im, &flights[n++]);
    }
    for (unsigned i = 0; r == 0 && i < n; i++)
        r = wait_flight(search, im, &flights[i], &arrival);
    imap_set_events(im, NULL);
    return r;
}

void search_work_release(void *lane)
{
    search_unref(((struct search_lane *)lane)->search);
}
