/*
 * DESIGN.  A worker takes a job, makes sure it has a connection, does the job, tells the waiters.
 * Reading is harmless to repeat, so a job whose connection broke is tried once more on a fresh
 * one; a pipeline of bodies is then asked for one by one, so that a message the server chokes on
 * fails alone.  A time-out is not repeated: the user has waited long enough.
 *
 * Who takes a job: of the idle workers the one that has the folder open, else one that is
 * connected, else the first; so one reader uses one connection.  One worker is kept free of
 * listings and searches, so that a long one does not hold up an open; and one free of searches.
 */
#include "account_internal.h"

#include <errno.h>
#include <string.h>

#include "backoff.h"
#include "connect.h"
#include "fetch.h"
#include "keeper.h"
#include "log.h"
#include "refresh.h"
#include "search_work.h"
#include "sync.h"
#include "watch.h"

#define IDLE_CLOSE_MS  (60 * 1000) /* spare connections are closed after this */
#define PIPELINE_BYTES (4 << 20)   /* bodies in one pipeline, about */

void worker_set_state(struct worker *w, enum connection_state state)
{
    if (w->state != state)
        w->state_since_ns = clock_wall_ns();
    w->state = state;
}

/* ---- jobs.  Each returns 0, -errno for the waiters, or a connection error (imap_error tells). */

static int run_listing(struct worker *w, const struct job *job)
{
    struct account *a = w->account;
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    struct errtext err = {""};
    int r = store_folder_by_ino(a->store, job->ino, &folder);
    if (r < 0 || !folder.raw)
        return r;
    struct sync sync = {.im = w->im, .store = a->store, .news = &a->news};
    /* Only IDLE keeps a mailbox's view up to date; otherwise it is opened again. */
    bool selected = w->fresh_view && w->selected == job->ino && imap_selected(w->im);
    w->fresh_view = false;
    w->selected = 0; /* the folder's UIDVALIDITY is about to be read again */
    if (w->enable_sent && !w->enable.done) {
        int enabled = imap_wait(w->im, &w->enable);
        (void)enabled; /* refused: imap_enabled says so */
    }
    r = sync_folder(&sync, &folder, selected, &err);
    watch_listed(w, folder.ino, r);
    if (r == 0)
        w->selected = folder.ino;
    else if (imap_error(w->im) == 0)
        log_warn("folder %s: listing failed: %s; it will be tried again when it is opened",
                 folder.path, err.text[0] ? err.text : strerror(-r));
    return r;
}

static int run_refresh(struct worker *w, bool fresh)
{
    struct errtext err = {""};
    w->selected = 0;
    int r = refresh_account(w->account, w->im, fresh, &err);
    if (r == -ESTALE)
        return r;
    if (r < 0 && imap_error(w->im) == 0)
        log_warn("%s: the folder list could not be read: %s", w->account->settings->host,
                 err.text[0] ? err.text : strerror(-r));
    if (r == 0) {
        pthread_mutex_lock(&w->account->mutex);
        w->account->refreshed = true;
        pthread_mutex_unlock(&w->account->mutex);
    }
    return r;
}

static int run_search(struct worker *w, const struct job *job)
{
    w->fresh_view = false;
    w->selected = 0; /* the last of several folders will be open */
    return search_work(job->data, w->im);
}

/* A mailbox that has been open for a while may not know of the newest messages: what it did not
 * have is asked for once more, with the mailbox opened anew. */
static int ask_again(struct fetch *fetch, const struct store_folder *folder,
                     struct fetch_item *items, size_t n)
{
    bool selected = false;
    for (size_t i = 0; i < n; i++) {
        if (!items[i].done || items[i].status != -ENOENT || !items[i].uid)
            continue;
        items[i].done = false;
        items[i].status = 0;
        int r = fetch_bodies(fetch, folder, selected, &items[i], 1);
        if (r < 0)
            return r;
        selected = true;
    }
    return 0;
}

static int run_bodies(struct worker *w, uint64_t folder_ino, struct fetch_item *items, size_t n)
{
    struct account *a = w->account;
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    int r = store_folder_by_ino(a->store, folder_ino, &folder);
    if (r < 0)
        return r;
    if (!folder.raw)
        return -ENOENT;
    struct fetch fetch = {.im = w->im, .store = a->store, .bodies = a->bodies, .news = &a->news};
    bool selected = w->selected == folder_ino && imap_selected(w->im) &&
                    imap_selected(w->im)->uidvalidity == folder.uidvalidity;
    w->selected = 0;
    r = fetch_bodies(&fetch, &folder, selected, items, n);
    if (r == 0 && selected)
        r = ask_again(&fetch, &folder, items, n);
    if (r == 0)
        w->selected = folder_ino;
    bool vanished = r == -ESTALE;
    for (size_t i = 0; i < n; i++)
        vanished |= items[i].done && items[i].status == -ENOENT;
    if (vanished) { /* our listing is out of date */
        struct job again = {.kind = JOB_LISTING, .ino = folder_ino};
        int queued = queue_add(a->queue, &again, NULL);
        (void)queued; /* only on shutdown or without memory; the next poll does it as well */
    }
    return r == -ESTALE ? -ENOENT : r;
}

/* ---- outcomes */

static void finish_body(struct worker *w, const struct job *job, struct fetch_item *item)
{
    struct account *a = w->account;
    if (item->status == 0) {
        pthread_mutex_lock(&a->mutex);
        a->bodies_fetched++;
        pthread_mutex_unlock(&a->mutex);
    } else if (item->status != -ENOENT) {
        log_warn("message UID %u (inode %llu): not fetched: %s", item->uid,
                 (unsigned long long)item->ino, strerror(-item->status));
    }
    /* Who waits opens it while queue_finish calls him: from the index, or from here when it could
     * not be kept or has been evicted already. */
    if (item->body)
        account_add_loose(a, item->ino, steal(&item->body));
    queue_finish(a->queue, job, account_status(item->status));
    body_close(account_take_loose_body(a, item->ino));
}

/* Bodies one at a time, after a pipeline broke. */
static int run_single_body(struct worker *w, const struct job *job, struct fetch_item *item)
{
    for (int attempt = 0;; attempt++) {
        bool fresh;
        int r = worker_have_connection(w, &fresh);
        if (r == -EBUSY)
            r = -EAGAIN;
        if (r == 0)
            r = run_bodies(w, job->folder, item, 1);
        if (r == 0 || item->done)
            return item->status;
        bool broke = w->im && imap_error(w->im) < 0;
        if (!broke || r == -ETIMEDOUT || r == -EPROTO || r == -ECANCELED || attempt > 0)
            return r;
    }
}

static void run_body_jobs(struct worker *w, const struct job *jobs, int n)
{
    struct fetch_item items[FETCH_MAX] = {0};
    bool fresh;
    for (int i = 0; i < n; i++)
        items[i].ino = jobs[i].ino;
    int r = worker_have_connection(w, &fresh);
    if (r == -EBUSY) {
        for (int i = n - 1; i >= 0; i--)
            queue_return(w->account->queue, &jobs[i]);
        return;
    }
    if (r == 0)
        r = run_bodies(w, jobs[0].folder, items, (size_t)n);
    bool again = w->im && imap_error(w->im) < 0 && r != -ETIMEDOUT && r != -ECANCELED &&
                 (n > 1 || (!fresh && r != -EPROTO));
    for (int i = 0; i < n; i++) {
        if (!items[i].done && again)
            r = run_single_body(w, &jobs[i], &items[i]);
        if (!items[i].done)
            items[i].status = r;
        finish_body(w, &jobs[i], &items[i]);
    }
}

static void run_other_job(struct worker *w, const struct job *job)
{
    for (int attempt = 0;; attempt++) {
        bool fresh;
        int r = worker_have_connection(w, &fresh);
        if (r == -EBUSY) {
            queue_return(w->account->queue, job);
            return;
        }
        if (r == 0)
            r = job->kind == JOB_LISTING  ? run_listing(w, job)
                : job->kind == JOB_SEARCH ? run_search(w, job)
                                          : run_refresh(w, fresh);
        bool broke = w->im && imap_error(w->im) < 0;
        if (broke && r == -ECONNRESET && attempt == 0)
            continue;
        if (r == -ESTALE && job->kind == JOB_REFRESH && attempt == 0) {
            log_info("%s: LIST names a folder of which there is no STATUS; asking on a new "
                     "connection",
                     w->account->settings->host);
            worker_disconnect(w);
            continue;
        }
        if (broke && r != -ECANCELED)
            log_warn("%s", imap_errmsg(w->im));
        if (r == 0)
            account_worked(w->account);
        queue_finish(w->account->queue, job, account_status(r));
        account_note_recovery(w->account);
        return;
    }
}

/* ---- who takes what */

static int fitness(const struct worker *w, const struct job *job)
{
    uint64_t folder = job->kind == JOB_BODY ? job->folder : job->kind == JOB_SEARCH ? 0 : job->ino;
    if (job->kind == JOB_LISTING && w->connected && watch_folder(w) == folder)
        return 3;
    return w->selected == folder && folder ? 2 : w->connected ? 1 : 0;
}

/* One worker that takes any job is kept free of listings. */
static unsigned listings_max(const struct account *a)
{
    unsigned n = 0, taken = a->taken;
    for (unsigned i = 0; i < taken && i < a->n_workers; i++)
        n += !watch_is_listener(&a->workers[i]);
    return n > 1 ? n - 1 : 1;
}

/* Runs under the queue's mutex, which orders the decisions of all workers. */
static bool may_take(void *ctx, const struct job *job, const unsigned running[JOB_KINDS])
{
    struct worker *w = ctx;
    struct account *a = w->account;
    if (!connect_may(w) || !watch_may_take(w, job))
        return false;
    bool own = job->kind == JOB_LISTING && watch_folder(w) == job->ino;
    if (!own && job->kind != JOB_BODY && a->taken > 1 &&
        running[JOB_LISTING] + running[JOB_REFRESH] + running[JOB_SEARCH] >= listings_max(a))
        return false;
    /* Nor does a search hold up a listing, where there are enough workers. */
    if (job->kind == JOB_SEARCH && listings_max(a) > 1 &&
        running[JOB_SEARCH] >= listings_max(a) - 1)
        return false;
    for (unsigned i = 0; i < a->n_workers; i++) {
        const struct worker *other = &a->workers[i];
        if (other == w || !other->idle || !connect_may(other) || !watch_may_take(other, job))
            continue;
        int better = fitness(other, job) - fitness(w, job);
        if (better > 0 || (better == 0 && other->index < w->index))
            return false;
    }
    w->idle = false;
    return true;
}

/* Nothing to do for a worker that does not watch. */
static void rest(struct worker *w)
{
    bool spare = w->index > 0 && clock_mono_ms() - w->worked_ms >= IDLE_CLOSE_MS;
    if (w->im && (spare || connect_is_retired(w))) {
        worker_disconnect(w);
    } else if (w->im && w->check) {
        bool fresh;
        int r = worker_have_connection(w, &fresh);
        (void)r; /* it has said why; the next job finds out, too */
        worker_publish(w);
    }
}

static void run_jobs(struct worker *w, const struct job *jobs, int n)
{
    worker_set_state(w, CONNECTION_BUSY);
    if (jobs[0].kind == JOB_BODY)
        run_body_jobs(w, jobs, n);
    else
        run_other_job(w, &jobs[0]);
    worker_publish(w);
    w->worked_ms = clock_mono_ms();
    worker_set_state(w, w->im ? CONNECTION_READY : CONNECTION_CLOSED);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct account *a = w->account;
    struct job jobs[FETCH_MAX];
    for (;;) {
        bool watches = watch_is_watcher(w);
        if (watches)
            watch_drain(w);
        w->idle = true;
        int n = queue_take(a->queue, may_take, w, watches ? 0 : IDLE_CLOSE_MS, jobs, FETCH_MAX,
                           PIPELINE_BYTES);
        if (n < 0)
            break;
        if (n == 0 && watches) { /* still idle: a job for it wakes it */
            watch_wait(w);
            continue;
        }
        w->idle = false;
        if (n == 0)
            rest(w);
        else
            run_jobs(w, jobs, n);
    }
    worker_disconnect(w);
    return NULL;
}

int workers_start(struct account *a)
{
    for (unsigned i = 0; i < a->n_workers; i++) {
        struct worker *w = &a->workers[i];
        int r = pthread_create(&w->thread, NULL, worker_main, w);
        if (r)
            return -r;
        w->started = true;
    }
    int r = pthread_create(&a->keeper, NULL, keeper_main, a);
    if (r)
        return -r;
    a->keeper_started = true;
    return 0;
}

void workers_join(struct account *a)
{
    for (unsigned i = 0; i < a->n_workers; i++) {
        struct worker *w = &a->workers[i];
        if (w->started)
            pthread_join(w->thread, NULL);
        else
            worker_disconnect(w);
        w->started = false;
    }
    if (a->keeper_started)
        pthread_join(a->keeper, NULL);
    a->keeper_started = false;
}
