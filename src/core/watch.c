#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backoff.h"
#include "connect.h"
#include "log.h"
#include "refresh.h"

#define RENEW_MS    240000 /* IDLE and NOTIFY are renewed: NAT forgets silent connections */
#define FIRST_SPARE 2      /* workers from here on idle on folders in use, without NOTIFY */
#define RETRY_MS    1000   /* while there is nothing to watch (offline, INBOX never opened) */

void watch_drain(struct worker *w)
{
    eventfd_t value;
    int r = eventfd_read(w->wake_fd, &value);
    (void)r; /* nothing was there to drain */
}

/* ---- roles */

static bool wants(void *ctx, const struct job *job)
{
    return watch_may_take(ctx, job);
}

int watch_init(struct account *a)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        a->workers[i].wake_fd = -1;
    for (unsigned i = 0; i < a->n_workers; i++) {
        struct worker *w = &a->workers[i];
        w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->wake_fd < 0)
            return -errno;
        queue_add_wake_fd(a->queue, w->wake_fd, wants, w);
    }
    return 0;
}

void watch_release(struct account *a)
{
    for (unsigned i = 0; i < a->n_workers; i++)
        if (a->workers[i].wake_fd >= 0)
            close(a->workers[i].wake_fd);
}

/* What the server can and the user wants. */
static void can_watch(const struct account *a, bool *ret_notify, bool *ret_idle)
{
    enum settings_push push = a->settings->push;
    uint32_t caps = a->server_caps & ~a->refused_caps;
    *ret_notify = (caps & IMAP_CAP_NOTIFY) && a->taken > 1 &&
                  (push == SETTINGS_PUSH_AUTO || push == SETTINGS_PUSH_NOTIFY);
    *ret_idle =
        (caps & IMAP_CAP_IDLE) && (push == SETTINGS_PUSH_AUTO || push == SETTINGS_PUSH_IDLE);
}

enum watch_duty { DUTY_NONE, DUTY_IDLE, DUTY_LISTEN };

static enum watch_duty duty(const struct worker *w)
{
    unsigned taken = w->account->taken;
    bool notify, idle;
    can_watch(w->account, &notify, &idle);
    if (w->index >= taken || (w->index == 0 && taken > 1))
        return DUTY_NONE;
    if (w->index <= 1)
        return notify ? DUTY_LISTEN : idle ? DUTY_IDLE : DUTY_NONE;
    if (!idle)
        return DUTY_NONE;
    return notify ? w->index == 2 ? DUTY_IDLE : DUTY_NONE : w->watch_ino ? DUTY_IDLE : DUTY_NONE;
}

bool watch_is_watcher(const struct worker *w)
{
    return duty(w) != DUTY_NONE;
}

bool watch_is_listener(const struct worker *w)
{
    return duty(w) == DUTY_LISTEN;
}

uint64_t watch_folder(const struct worker *w)
{
    if (duty(w) != DUTY_IDLE)
        return 0;
    uint64_t in_use = w->watch_ino;
    return in_use ? in_use : w->account->inbox_ino;
}

/* Whether a worker that is no watcher has nothing to do. */
static bool spare_worker(const struct account *a)
{
    for (unsigned i = 0; i < a->n_workers; i++) {
        const struct worker *w = &a->workers[i];
        if (w->idle && !watch_is_watcher(w) && connect_may(w))
            return true;
    }
    return false;
}

bool watch_may_take(const struct worker *w, const struct job *job)
{
    enum watch_duty what = duty(w);
    if (what == DUTY_NONE || w->account->taken == 1)
        return true;
    if (what == DUTY_LISTEN)
        return false;
    uint64_t folder = watch_folder(w);
    bool own = job->kind == JOB_LISTING && folder && job->ino == folder;
    return own || !spare_worker(w->account);
}

/* ---- news */

static void queue_listing(struct account *a, uint64_t folder)
{
    struct job job = {.kind = JOB_LISTING, .ino = folder};
    int r = queue_add(a->queue, &job, NULL);
    (void)r; /* only on shutdown or without memory: the poll comes */
}

static void queue_refresh(struct account *a)
{
    struct job job = {.kind = JOB_REFRESH};
    int r = queue_add(a->queue, &job, NULL);
    (void)r; /* as above */
}

struct news_seen {
    struct account *account;
    bool mailbox; /* of the selected mailbox */
    bool folders; /* of the folder list, or more than the server can name */
};

static void on_exists(void *ctx, uint32_t messages)
{
    (void)messages;
    ((struct news_seen *)ctx)->mailbox = true;
}

static void on_expunge(void *ctx, uint32_t seq)
{
    (void)seq;
    ((struct news_seen *)ctx)->mailbox = true;
}

static void on_vanished(void *ctx, uint32_t first, uint32_t last, bool earlier)
{
    (void)first;
    (void)last;
    (void)earlier;
    ((struct news_seen *)ctx)->mailbox = true;
}

static void on_fetch(void *ctx, const struct imap_fetch *fetch)
{
    (void)fetch;
    ((struct news_seen *)ctx)->mailbox = true;
}

static void on_list(void *ctx, const struct imap_list_entry *entry)
{
    (void)entry;
    ((struct news_seen *)ctx)->folders = true;
}

static void on_status(void *ctx, const struct imap_status *status)
{
    struct account *a = ((struct news_seen *)ctx)->account;
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    uint64_t messages, cached;
    if (store_folder_by_raw(a->store, status->name, &folder) < 0 || !folder.listed ||
        store_folder_counts(a->store, folder.ino, &messages, &cached) < 0)
        return;
    /* Without MODSEQ a change of flags does not show in the numbers. */
    if (!(status->has & IMAP_STATUS_HIGHESTMODSEQ) || refresh_differs(&folder, status, messages))
        queue_listing(a, folder.ino);
}

/* ---- waiting */

/* Returns whether there is something to do before the time was over. */
static bool rest(struct worker *w)
{
    struct pollfd fds[] = {{.fd = w->wake_fd, .events = POLLIN},
                           {.fd = w->account->interrupt_fd, .events = POLLIN}};
    return poll(fds, ARRAY_LEN(fds), RETRY_MS) > 0;
}

static int idle(struct worker *w)
{
    struct account *a = w->account;
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    struct imap_result result;
    enum imap_wake why;
    uint64_t ino = watch_folder(w);
    if (!ino || w->watch_again_ms > clock_mono_ms() ||
        store_folder_by_ino(a->store, ino, &folder) < 0 || !folder.listed) {
        rest(w); /* nothing of it is shown yet that could be out of date; or it was refused */
        return 0;
    }
    if (w->selected != ino || !imap_selected(w->im)) {
        if (a->taken == 1 && rest(w))
            return 0;          /* the user goes on in another folder */
        queue_listing(a, ino); /* nobody fitter than this worker: it opens the folder */
        return 0;
    }
    struct news_seen seen = {.account = a};
    struct imap_events events = {.ctx = &seen,
                                 .exists = on_exists,
                                 .expunge = on_expunge,
                                 .vanished = on_vanished,
                                 .fetch = on_fetch};
    imap_set_events(w->im, &events);
    int64_t begin = clock_mono_ms();
    worker_set_state(w, CONNECTION_IDLING);
    int r = imap_idle(w->im, RENEW_MS, w->wake_fd, &result, &why);
    imap_set_events(w->im, NULL);
    w->fresh_view = r == 0;
    if (seen.mailbox)
        queue_listing(a, ino);
    if (r < 0 && imap_error(w->im) == 0) {
        log_info("%s: IDLE refused (%s); there is only the poll now", a->settings->host,
                 result.text);
        a->refused_caps |= (uint32_t)IMAP_CAP_IDLE;
        return 0;
    }
    if (r == 0 && !seen.mailbox && why == IMAP_WAKE_TIMEOUT && clock_mono_ms() - begin < RETRY_MS)
        rest(w); /* the server ended it at once: not in a tight loop */
    return r;
}

static int listen(struct worker *w)
{
    struct account *a = w->account;
    struct news_seen seen = {.account = a};
    struct imap_events events = {.ctx = &seen, .list = on_list, .status = on_status};
    enum imap_wake why = IMAP_WAKE_TIMEOUT;
    int r = 0;
    worker_set_state(w, CONNECTION_LISTENING);
    imap_set_events(w->im, &events);
    if (!w->notify_set) {
        struct imap_result result;
        r = imap_send_notify(w->im, &result);
        if (r == 0)
            r = imap_wait(w->im, &result);
        if (r < 0 && imap_error(w->im) == 0) {
            log_info("%s: NOTIFY refused (%s); watching by IDLE", a->settings->host, result.text);
            a->refused_caps |= (uint32_t)IMAP_CAP_NOTIFY;
            return 0;
        }
        w->notify_set = r == 0;
        seen.folders = r == 0; /* what changed before it was set */
    }
    if (r == 0 && !seen.folders)
        r = imap_listen(w->im, RENEW_MS, w->wake_fd, &why);
    imap_set_events(w->im, NULL);
    if (seen.folders || why == IMAP_WAKE_OVERFLOW)
        queue_refresh(a);
    if (why == IMAP_WAKE_OVERFLOW)
        w->notify_set = false;
    return r;
}

/* With NOTIFY in force nothing may be selected, and it is never taken back: a worker that changes
 * between the two begins anew. */
static bool unfit(const struct worker *w, enum watch_duty what)
{
    return w->im && (what == DUTY_LISTEN ? imap_selected(w->im) != NULL : w->notify_set);
}

void watch_wait(struct worker *w)
{
    bool fresh;
    enum watch_duty what = duty(w);
    if (unfit(w, what))
        worker_disconnect(w);
    if (worker_have_connection(w, &fresh) < 0) {
        rest(w);
        return;
    }
    int r = what == DUTY_LISTEN ? listen(w) : what == DUTY_IDLE ? idle(w) : 0;
    if (r < 0 && r != -ECANCELED && imap_error(w->im) < 0)
        log_info("%s; watching again on a new connection", imap_errmsg(w->im));
    worker_set_state(w, CONNECTION_READY);
    worker_publish(w);
}

void watch_listed(struct worker *w, uint64_t folder, int r)
{
    if (watch_folder(w) != folder)
        return;
    struct backoff_cause cause = {.error = r, .code = "", .text = "", .failures = 1};
    struct backoff backoff;
    w->watch_failures = r == 0 ? 0 : w->watch_failures + 1;
    cause.failures = w->watch_failures;
    backoff_decide(&cause, random_u32(), &backoff);
    w->watch_again_ms = r == 0 ? 0 : clock_mono_ms() + backoff.wait_ms;
}

void watch_assign(struct account *a)
{
    bool notify, idle, poke = false;
    can_watch(a, &notify, &idle);
    unsigned taken = a->taken;
    unsigned n = idle && !notify && taken > FIRST_SPARE ? taken - FIRST_SPARE : 0;
    pthread_mutex_lock(&a->mutex);
    in_use_assign(&a->in_use, a->inbox_ino, clock_mono_ms(), a->watches, n);
    pthread_mutex_unlock(&a->mutex);
    for (unsigned i = 0; i + FIRST_SPARE < a->n_workers; i++) {
        struct worker *w = &a->workers[i + FIRST_SPARE];
        uint64_t ino = i < n ? a->watches[i].ino : 0;
        if (w->watch_ino != ino) {
            w->watch_ino = ino;
            int r = eventfd_write(w->wake_fd, 1);
            (void)r; /* a full counter is readable, too */
        }
        poke |= ino && w->idle && w->state != CONNECTION_IDLING; /* it waits for jobs */
    }
    if (poke)
        queue_poke(a->queue);
}
