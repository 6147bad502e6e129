#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"
#include "refresh.h"

#define RENEW_MS 240000 /* IDLE and NOTIFY are renewed: NAT forgets silent connections */
#define RETRY_MS 1000   /* while there is nothing to watch (offline, INBOX never opened) */

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
    unsigned watchers = a->n_workers >= 3 ? 2 : 1;
    for (unsigned i = 0; i < a->n_workers; i++)
        a->workers[i].wake_fd = -1;
    for (unsigned slot = 0; slot < watchers; slot++) {
        struct worker *w = &a->workers[a->n_workers - 1 - slot];
        w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->wake_fd < 0)
            return -errno;
        w->role = slot == 0 ? WATCH_LAST : WATCH_BEFORE_LAST;
        queue_add_wake_fd(a->queue, w->wake_fd, wants, w);
    }
    return 0;
}

void watch_release(struct account *a)
{
    for (unsigned i = 0; i < a->n_workers; i++)
        if (a->workers[i].role != WATCH_NEVER && a->workers[i].wake_fd >= 0)
            close(a->workers[i].wake_fd);
}

/* What the role means on this server; decided by the capabilities of the last login. */
static enum watch_duty duty(const struct worker *w)
{
    uint32_t caps = w->account->server_caps;
    bool notify = (caps & IMAP_CAP_NOTIFY) && w->account->n_workers > 1;
    bool idle = caps & IMAP_CAP_IDLE;
    if (w->role == WATCH_LAST)
        return notify ? DUTY_LISTEN : idle ? DUTY_IDLE : DUTY_NONE;
    if (w->role == WATCH_BEFORE_LAST)
        return notify && idle ? DUTY_IDLE : DUTY_NONE;
    return DUTY_NONE;
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
    return duty(w) == DUTY_IDLE ? w->account->inbox_ino : 0;
}

/* Whether a worker that is no watcher has nothing to do. */
static bool spare_worker(const struct account *a)
{
    int64_t now = clock_mono_ms();
    for (unsigned i = 0; i < a->n_workers; i++) {
        const struct worker *w = &a->workers[i];
        if (w->idle && !watch_is_watcher(w) && w->retired_until_ms <= now)
            return true;
    }
    return false;
}

bool watch_may_take(const struct worker *w, const struct job *job)
{
    enum watch_duty what = duty(w);
    if (what == DUTY_NONE || w->account->n_workers == 1)
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
    uint64_t ino = a->inbox_ino;
    if (!ino || store_folder_by_ino(a->store, ino, &folder) < 0 || !folder.listed) {
        rest(w); /* nothing of it is shown yet that could be out of date */
        return 0;
    }
    if (w->selected != ino || !imap_selected(w->im)) {
        if (a->n_workers == 1 && rest(w))
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
    int r = imap_idle(w->im, RENEW_MS, w->wake_fd, &result, &why);
    imap_set_events(w->im, NULL);
    w->fresh_view = r == 0;
    if (seen.mailbox)
        queue_listing(a, ino);
    if (r < 0 && imap_error(w->im) == 0) {
        log_info("%s: IDLE refused (%s); INBOX is only polled now", a->settings->host, result.text);
        a->server_caps &= ~(uint32_t)IMAP_CAP_IDLE;
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
    imap_set_events(w->im, &events);
    if (!w->notify_set) {
        struct imap_result result;
        r = imap_send_notify(w->im, &result);
        if (r == 0)
            r = imap_wait(w->im, &result);
        if (r < 0 && imap_error(w->im) == 0) {
            log_info("%s: NOTIFY refused (%s); watching INBOX by IDLE", a->settings->host,
                     result.text);
            a->server_caps &= ~(uint32_t)IMAP_CAP_NOTIFY;
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

void watch_wait(struct worker *w)
{
    if (worker_have_connection(w) < 0) {
        rest(w);
        return;
    }
    enum watch_duty what = duty(w);
    int r = what == DUTY_LISTEN ? listen(w) : what == DUTY_IDLE ? idle(w) : 0;
    if (r < 0 && r != -ECANCELED && imap_error(w->im) < 0)
        log_info("%s; watching again on a new connection", imap_errmsg(w->im));
    worker_publish(w);
}
