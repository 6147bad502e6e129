/*
 * DESIGN.  The asker hands out batches of folders to a few lanes, each a job of the account's queue
 * at a time, and waits.  A job is short (SEARCH_BATCH folders), and a worker is always kept free of
 * searches where there are several (worker.c), so nobody's open waits behind a long search.
 *
 * UIDs become inodes by the store.  Where it does not have them all, the folder is listed first;
 * what is missing after that is gone from the server.  A folder whose UIDVALIDITY is another one by
 * then is searched again, ROUNDS times at most.
 */
#include "search.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "search_internal.h"
#include "search_work.h"
#include "view_internal.h"

#define ROUNDS  3
#define LOOK_MS 200
/* Further connections are worth their logins with this many folders more. */
#define FOLDERS_PER_LANE 8

/* ---- life */

void search_ref(struct search *search)
{
    atomic_fetch_add(&search->refs, 1);
}

void search_unref(struct search *search)
{
    if (atomic_fetch_sub(&search->refs, 1) != 1)
        return;
    for (size_t i = 0; i < search->n_targets; i++) {
        free(search->targets[i].path);
        free(search->targets[i].raw);
        free(search->targets[i].hits);
        uidset_release(&search->targets[i].uids);
    }
    free(search->targets);
    query_release(&search->query);
    pthread_cond_destroy(&search->changed);
    pthread_mutex_destroy(&search->mutex);
    free(search);
}

void search_fail(struct search *search, int r, const char *format, ...)
{
    char text[sizeof(search->failure_text.text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&search->mutex);
    if (!search->failure) {
        search->failure = r;
        err_set(&search->failure_text, -r, "%s", text);
    }
    pthread_mutex_unlock(&search->mutex);
    search->stopped = true;
}

/* The waiter's end: on a worker's thread, or on whichever empties the queue. */
static void lane_done(struct waiter *waiter, int status)
{
    struct search_lane *lane = (struct search_lane *)(void *)waiter; /* its first member */
    struct search *search = lane->search;
    pthread_mutex_lock(&search->mutex);
    lane->busy = false;
    lane->status = status;
    pthread_cond_signal(&search->changed);
    pthread_mutex_unlock(&search->mutex);
    search_unref(search);
}

static int search_new(struct view *view, struct query *query, struct search **ret)
{
    struct search *search = calloc(1, sizeof(*search));
    if (!search) {
        query_release(query);
        return -ENOMEM;
    }
    search->refs = 1;
    search->view = view;
    search->query = *query;
    *query = (struct query){0};
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&search->mutex, NULL);
    pthread_cond_init(&search->changed, &attr);
    pthread_condattr_destroy(&attr);
    for (unsigned i = 0; i < SEARCH_LANES; i++) {
        search->lanes[i].search = search;
        search->lanes[i].waiter.done = lane_done;
    }
    *ret = search;
    return 0;
}

void search_free(struct search *search)
{
    if (!search)
        return;
    search->stopped = true;
    for (unsigned i = 0; i < SEARCH_LANES; i++)
        if (account_cancel(search->view->account, &search->lanes[i].waiter))
            search_unref(search); /* it will not be called: its reference is ours to drop */
    search_unref(search);
}

void search_freep(struct search **search)
{
    search_free(*search);
}

/* ---- which folders */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct search_target *)a)->path, ((const struct search_target *)b)->path);
}

static int add_target(struct search *search, struct store_folder *folder)
{
    if (search->n_targets == search->alloc_targets) {
        size_t alloc = search->alloc_targets ? 2 * search->alloc_targets : 64;
        struct search_target *grown =
            reallocarray(search->targets, alloc, sizeof(*search->targets));
        if (!grown)
            return -ENOMEM;
        search->targets = grown;
        search->alloc_targets = alloc;
    }
    search->targets[search->n_targets++] = (struct search_target){
        .ino = folder->ino, .path = steal(&folder->path), .raw = steal(&folder->raw)};
    return 0;
}

/* "Archive" is in "Archive" and above "Archive/2026", but not above "Archive2". */
static bool is_below(const char *path, const char *base)
{
    size_t n = strlen(base);
    return n == 0 || (strncmp(path, base, n) == 0 && (path[n] == '\0' || path[n] == '/'));
}

static int collect_folders(struct search *search, const char *inside, struct errtext *err)
{
    struct view *view = search->view;
    const char *root = view->settings->folder ? view->settings->folder : "";
    CLEANUP_FREE char *base = str_printf("%s%s%s", root, *root && *inside ? "/" : "", inside);
    bool found = !*inside;
    if (!base)
        return -ENOMEM;
    search->root_len = *root ? strlen(root) + 1 : 0;
    search->base_len = *base ? strlen(base) + 1 : 0;
    for (uint64_t after = 0;;) {
        CLEANUP_STORE_FOLDER struct store_folder folder = {0};
        int r = store_folder_next_any(view->store, after, &folder);
        if (r == -ENOENT)
            break;
        if (r < 0)
            return r;
        after = folder.ino;
        if (!is_below(folder.path, base))
            continue;
        found = true;
        r = folder.raw ? add_target(search, &folder) : 0;
        if (r < 0)
            return r;
    }
    if (!found)
        return err_set(err, ENOENT, "%s: no such directory in this mount", inside);
    if (search->n_targets)
        qsort(search->targets, search->n_targets, sizeof(*search->targets), by_path);
    return 0;
}

/* ---- jobs */

typedef int start_lane_fn(struct search *search, struct search_lane *lane);

/* Two references travel with a job: its own is dropped by the queue, the waiter's by lane_done. */
static int start_search(struct search *search, struct search_lane *lane)
{
    search_ref(search);
    int r = account_search(search->view->account, lane, search_work_release, &lane->waiter);
    if (r < 0)
        search_unref(search);
    return r;
}

static int start_listing(struct search *search, struct search_lane *lane)
{
    const struct search_target *target = &search->targets[lane->targets[0]];
    return account_list_folder(search->view->account, target->ino, &lane->waiter);
}

static int start_lane(struct search *search, struct search_lane *lane, start_lane_fn *start)
{
    lane->status = 0;
    lane->busy = true;
    search_ref(search);
    int r = start(search, lane);
    if (r < 0) { /* nobody has seen it yet */
        lane->busy = false;
        lane->status = r;
        search_unref(search);
    }
    return r;
}

/* Why the lane's job has failed, where no folder has said it. */
static void note_failure(struct search *search, const struct search_lane *lane, int r)
{
    struct account_snapshot account;
    const struct search_target *target = &search->targets[lane->targets[0]];
    for (unsigned i = 0; i < lane->n && target->done; i++)
        target = &search->targets[lane->targets[i]];
    account_snapshot(search->view->account, &account);
    if (account.state != ACCOUNT_ONLINE && account.state != ACCOUNT_STARTING)
        search_fail(search, r, "folder %s: not searched: the account is offline: %s", target->path,
                    account.error[0] ? account.error : strerror(-r));
    else
        search_fail(search, r, "folder %s: not searched: %s", target->path,
                    r == -ENETUNREACH ? "the connection broke, twice"
                    : r == -ETIMEDOUT ? "the server made no progress in time"
                    : r == -ESHUTDOWN ? "the mount is ending"
                                      : strerror(-r));
}

static void deadline(struct timespec *ret)
{
    clock_gettime(CLOCK_MONOTONIC, ret);
    ret->tv_nsec += LOOK_MS * 1000000L;
    if (ret->tv_nsec >= 1000000000) {
        ret->tv_sec++;
        ret->tv_nsec -= 1000000000;
    }
}

/* Waits until a lane that was busy is idle, or LOOK_MS.  -ENOENT: none is busy. */
static int wait_lane(struct search *search, struct search_lane **ret)
{
    struct timespec until;
    bool busy = false;
    deadline(&until);
    *ret = NULL;
    pthread_mutex_lock(&search->mutex);
    for (int e = 0; e == 0 && !*ret;) {
        busy = false;
        for (unsigned i = 0; i < SEARCH_LANES; i++) {
            busy = busy || search->lanes[i].busy;
            if (!search->lanes[i].busy && search->lanes[i].n)
                *ret = &search->lanes[i];
        }
        if (*ret || !busy)
            break;
        e = pthread_cond_timedwait(&search->changed, &search->mutex, &until);
    }
    pthread_mutex_unlock(&search->mutex);
    return *ret || busy ? 0 : -ENOENT;
}

struct work {
    size_t *todo; /* targets */
    size_t n, next, done;
    unsigned batch, lanes;
    start_lane_fn *start;
    const struct search_asker *asker; /* progress is told of the first round's searches alone */
    bool tell;
};

static void fill_lane(struct search *search, struct work *work, struct search_lane *lane)
{
    while (lane->n < work->batch && work->next < work->n)
        lane->targets[lane->n++] = work->todo[work->next++];
    int r = lane->n ? start_lane(search, lane, work->start) : 0;
    if (r < 0)
        note_failure(search, lane, r);
}

/* All of the work, by several jobs at one time.  0, the search's failure, or -ECANCELED. */
static int run_work(struct search *search, struct work *work)
{
    const struct search_asker *asker = work->asker;
    for (unsigned i = 0; i < work->lanes && !search->stopped; i++) {
        search->lanes[i].n = 0;
        fill_lane(search, work, &search->lanes[i]);
    }
    for (struct search_lane *lane; !search->stopped && wait_lane(search, &lane) == 0;) {
        if (asker->gone(asker->ctx))
            return -ECANCELED;
        if (!lane)
            continue;
        if (lane->status < 0) {
            note_failure(search, lane, lane->status);
            break;
        }
        work->done += lane->n;
        lane->n = 0;
        if (work->tell && asker->progress)
            asker->progress(asker->ctx, work->done, work->n);
        fill_lane(search, work, lane);
    }
    if (!search->stopped)
        return 0;
    pthread_mutex_lock(&search->mutex);
    int r = search->failure;
    pthread_mutex_unlock(&search->mutex);
    return r;
}

/* ---- from UIDs to rows */

enum known { KNOWN_ALL, KNOWN_NOT_ALL, KNOWN_OTHERWISE }; /* the last: another UIDVALIDITY */

static int look_up(struct search *search, const struct search_target *target, enum known *ret)
{
    struct store *store = search->view->store;
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    CLEANUP_UIDSET struct uidset local = {0}, missing = {0};
    int r = store_folder_by_ino(store, target->ino, &folder);
    if (r < 0)
        return r;
    *ret = KNOWN_ALL;
    if (target->uids.n == 0)
        return 0;
    if (!folder.listed || folder.uidvalidity != target->uidvalidity) {
        *ret = KNOWN_OTHERWISE;
        return 0;
    }
    r = store_uids(store, target->ino, &local);
    if (r == 0)
        r = uidset_minus(&target->uids, &local, &missing);
    if (r == 0 && missing.n)
        *ret = KNOWN_NOT_ALL;
    return r;
}

/* The targets of `todo` that are not known as `wanted` says or better; replaces todo. */
static int keep_unknown(struct search *search, struct work *work, enum known wanted)
{
    size_t n = 0;
    for (size_t i = 0; i < work->n; i++) {
        const struct search_target *target = &search->targets[work->todo[i]];
        enum known known;
        int r = look_up(search, target, &known);
        if (r < 0) {
            search_fail(search, r, "folder %s: it is gone, or its cache cannot be read: %s",
                        target->path, strerror(-r));
            return r;
        }
        if (known > wanted)
            work->todo[n++] = work->todo[i];
    }
    work->n = n;
    work->next = 0;
    return 0;
}

/* One round: search all of `todo`, list what has to be; what is left is to be searched again. */
static int run_round(struct search *search, struct work *work, unsigned lanes)
{
    for (size_t i = 0; i < work->n; i++) {
        struct search_target *target = &search->targets[work->todo[i]];
        target->done = false;
        search->found -= uidset_count(&target->uids);
        uidset_release(&target->uids);
    }
    work->batch = SEARCH_BATCH;
    work->start = start_search;
    work->lanes = lanes;
    int r = run_work(search, work);
    work->tell = false;
    if (r == 0)
        r = keep_unknown(search, work, KNOWN_ALL);
    if (r < 0 || work->n == 0)
        return r;
    work->batch = 1;
    work->start = start_listing;
    r = run_work(search, work);
    return r < 0 ? r : keep_unknown(search, work, KNOWN_NOT_ALL);
}

static int by_date(const void *a, const void *b)
{
    const struct search_hit *x = a, *y = b;
    if (x->date != y->date)
        return x->date < y->date ? -1 : 1;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int collect_hits(struct search *search, struct search_target *target)
{
    uint64_t n = uidset_count(&target->uids);
    if (n == 0)
        return 0;
    target->hits = calloc(n, sizeof(*target->hits));
    if (!target->hits)
        return -ENOMEM;
    for (size_t i = 0; i < target->uids.n; i++) {
        const struct uid_range *range = &target->uids.ranges[i];
        for (uint64_t uid = range->first; uid <= range->last; uid++) {
            struct store_message message;
            int r = store_message_by_uid(search->view->store, target->ino, (uint32_t)uid, &message);
            if (r == 0)
                target->hits[target->n_hits++] = (struct search_hit){message.ino, message.date};
            else if (r != -ENOENT)
                return r;
        }
    }
    qsort(target->hits, target->n_hits, sizeof(*target->hits), by_date);
    uidset_release(&target->uids);
    return 0;
}

static int run(struct search *search, const struct search_asker *asker)
{
    struct work work = {.n = search->n_targets, .asker = asker, .tell = true};
    unsigned connections = search->view->settings->connections;
    size_t wanted = 1 + search->n_targets / FOLDERS_PER_LANE;
    unsigned lanes = connections < SEARCH_LANES ? connections : SEARCH_LANES;
    int r = 0;
    work.todo = calloc(search->n_targets + 1, sizeof(*work.todo));
    if (!work.todo)
        return -ENOMEM;
    for (size_t i = 0; i < work.n; i++)
        work.todo[i] = i;
    for (int round = 0; r == 0 && work.n > 0; round++) {
        if (round == ROUNDS) {
            const struct search_target *target = &search->targets[work.todo[0]];
            search_fail(search, -EIO, "folder %s: it changed all the time while it was searched",
                        target->path);
            r = -EIO;
        } else {
            r = run_round(search, &work, wanted < lanes ? (unsigned)wanted : lanes);
        }
    }
    free(work.todo);
    for (size_t i = 0; r == 0 && i < search->n_targets; i++)
        r = collect_hits(search, &search->targets[i]);
    return r;
}

int search_run(struct view *view, const char *inside, struct query *query,
               const struct search_asker *asker, struct search **ret, struct errtext *err)
{
    CLEANUP(search_freep) struct search *search = NULL;
    err->text[0] = '\0';
    int r = search_new(view, query, &search);
    if (r == 0)
        r = collect_folders(search, inside, err);
    if (r == 0)
        r = run(search, asker);
    if (r == 0) {
        *ret = steal(&search);
        return 0;
    }
    if (search) {
        pthread_mutex_lock(&search->mutex);
        if (search->failure)
            err_set(err, -search->failure, "%s", search->failure_text.text);
        pthread_mutex_unlock(&search->mutex);
    }
    if (!err->text[0])
        err_set(err, -r, "%s", strerror(-r));
    return r;
}
