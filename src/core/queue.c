#include "queue.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <uthash.h>
#include <utlist.h>

enum entry_state { ENTRY_WAITING, ENTRY_RUNNING };

struct queue_entry {
    struct {
        uint64_t ino;
        uint64_t kind;
    } key;
    struct job job;
    enum entry_state state;
    int64_t started_ms; /* CLOCK_MONOTONIC, of the run under way */
    bool background;    /* asked for without a waiter, too */
    bool again;         /* asked for without a waiter since this run began */
    struct waiter *waiters;
    struct waiter *later;            /* of the run after this one; NULL unless RUNNING */
    struct queue_entry *prev, *next; /* in one of the lists while waiting */
    UT_hash_handle hh;
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct queue_entry *table;      /* protected by mutex: all entries, by key */
    struct queue_entry *foreground; /* protected by mutex: somebody waits */
    struct queue_entry *background; /* protected by mutex */
    unsigned waiting;               /* protected by mutex */
    unsigned running[JOB_KINDS];    /* protected by mutex */
    unsigned pokes;                 /* protected by mutex */
    bool closed;                    /* protected by mutex */
    struct {
        int fd;
        queue_wants_fn *wants;
        void *ctx;
    } sleepers[QUEUE_WAKE_MAX]; /* constant once threads run */
    unsigned n_sleepers;
};

int queue_new(struct queue **ret)
{
    struct queue *q = calloc(1, sizeof(*q));
    if (!q)
        return -ENOMEM;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->mutex, NULL);
    pthread_cond_init(&q->changed, &attr);
    pthread_condattr_destroy(&attr);
    *ret = q;
    return 0;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

static struct queue_entry *find(struct queue *q, enum job_kind kind, uint64_t ino)
{
    struct queue_entry key = {.key = {.ino = ino, .kind = kind}}, *entry;
    HASH_FIND(hh, q->table, &key.key, sizeof(key.key), entry);
    return entry;
}

static void free_entry(struct queue_entry *entry)
{
    if (entry->job.release)
        entry->job.release(entry->job.data);
    free(entry);
}

static struct queue_entry **list_of(struct queue *q, struct queue_entry *entry)
{
    return entry->waiters ? &q->foreground : &q->background;
}

void queue_add_wake_fd(struct queue *q, int fd, queue_wants_fn *wants, void *ctx)
{
    if (q->n_sleepers == QUEUE_WAKE_MAX)
        return;
    q->sleepers[q->n_sleepers].fd = fd;
    q->sleepers[q->n_sleepers].wants = wants;
    q->sleepers[q->n_sleepers++].ctx = ctx;
}

/* job NULL: the end. */
static void wake(struct queue *q, const struct job *job)
{
    pthread_cond_broadcast(&q->changed);
    for (unsigned i = 0; i < q->n_sleepers; i++) {
        if (job && !q->sleepers[i].wants(q->sleepers[i].ctx, job))
            continue;
        int r = eventfd_write(q->sleepers[i].fd, 1);
        (void)r; /* a full counter is readable, too */
    }
}

/* The first job in line, of each kind of asking, may be for somebody who sleeps. */
static void wake_for_waiting(struct queue *q)
{
    if (q->foreground)
        wake(q, &q->foreground->job);
    if (q->background)
        wake(q, &q->background->job);
}

static void enqueue(struct queue *q, struct queue_entry *entry)
{
    struct queue_entry **list = list_of(q, entry);
    entry->state = ENTRY_WAITING;
    q->waiting++;
    DL_APPEND(*list, entry);
    wake(q, &entry->job);
}

static struct queue_entry *make_entry(struct queue *q, const struct job *job)
{
    struct queue_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->key.ino = job->ino;
    entry->key.kind = job->kind;
    entry->job = *job;
    entry->job.entry = entry;
    HASH_ADD(hh, q->table, key, sizeof(entry->key), entry);
    return entry;
}

/* The mutex is held. */
static int add_locked(struct queue *q, const struct job *job, struct waiter *waiter)
{
    if (q->closed)
        return -ESHUTDOWN;
    struct queue_entry *entry = find(q, job->kind, job->ino);
    bool is_new = !entry;
    if (is_new && !(entry = make_entry(q, job)))
        return -ENOMEM;
    if (!is_new && waiter && !entry->waiters && entry->state == ENTRY_WAITING) {
        DL_DELETE(q->background, entry); /* now somebody waits: it moves to the foreground */
        q->waiting--;
        is_new = true;
    }
    bool running = entry->state == ENTRY_RUNNING;
    if (waiter) {
        waiter->job = &entry->job;
        waiter->later = running && waiter->since_ms && waiter->since_ms >= entry->started_ms;
        if (waiter->later)
            DL_APPEND(entry->later, waiter);
        else
            DL_APPEND(entry->waiters, waiter);
    } else if (running) {
        entry->again = job->kind != JOB_BODY; /* a body does not get any newer */
    } else {
        entry->background = true;
    }
    if (is_new)
        enqueue(q, entry);
    return 0;
}

int queue_add(struct queue *q, const struct job *job, struct waiter *waiter)
{
    pthread_mutex_lock(&q->mutex);
    int r = add_locked(q, job, waiter);
    pthread_mutex_unlock(&q->mutex);
    return r;
}

bool queue_cancel(struct queue *q, struct waiter *waiter)
{
    pthread_mutex_lock(&q->mutex);
    bool found = waiter->job;
    if (found) {
        struct queue_entry *entry = waiter->job->entry;
        bool last = entry->state == ENTRY_WAITING && entry->waiters == waiter && !waiter->next;
        if (last) {
            DL_DELETE(q->foreground, entry);
            q->waiting--;
        }
        if (waiter->later)
            DL_DELETE(entry->later, waiter);
        else
            DL_DELETE(entry->waiters, waiter);
        waiter->job = NULL;
        if (last && entry->background) {
            enqueue(q, entry);
        } else if (last) { /* nobody wants it any more */
            HASH_DEL(q->table, entry);
            free_entry(entry);
        }
    }
    pthread_mutex_unlock(&q->mutex);
    return found;
}

/* ---- taking */

static void deadline_after(int timeout_ms, struct timespec *ret)
{
    clock_gettime(CLOCK_MONOTONIC, ret);
    ret->tv_sec += timeout_ms / 1000;
    ret->tv_nsec += (timeout_ms % 1000) * 1000000L;
    if (ret->tv_nsec >= 1000000000) {
        ret->tv_sec++;
        ret->tv_nsec -= 1000000000;
    }
}

static void start(struct queue *q, struct queue_entry **list, struct queue_entry *entry)
{
    DL_DELETE(*list, entry);
    entry->state = ENTRY_RUNNING;
    entry->started_ms = clock_mono_ms();
    q->waiting--;
    q->running[entry->job.kind]++;
}

/* Further bodies of the folder of jobs[0], so that one pipeline carries them all. */
static int take_more_bodies(struct queue *q, struct queue_entry **list, struct job *jobs, int max,
                            uint64_t max_bytes)
{
    int n = 1;
    uint64_t bytes = jobs[0].size;
    struct queue_entry *entry, *next;
    DL_FOREACH_SAFE(*list, entry, next)
    {
        if (n >= max || bytes >= max_bytes)
            break;
        if (entry->job.kind != JOB_BODY || entry->job.folder != jobs[0].folder)
            continue;
        start(q, list, entry);
        jobs[n++] = entry->job;
        bytes += entry->job.size;
    }
    return n;
}

static int take_from(struct queue *q, struct queue_entry **list, queue_may_take_fn *may_take,
                     void *ctx, struct job *jobs, int max, uint64_t max_bytes)
{
    struct queue_entry *entry;
    DL_FOREACH(*list, entry)
    {
        if (may_take(ctx, &entry->job, q->running))
            break;
    }
    if (!entry)
        return 0;
    start(q, list, entry);
    jobs[0] = entry->job;
    return entry->job.kind == JOB_BODY ? take_more_bodies(q, list, jobs, max, max_bytes) : 1;
}

int queue_take(struct queue *q, queue_may_take_fn *may_take, void *ctx, int timeout_ms,
               struct job *jobs, int max, uint64_t max_bytes)
{
    struct timespec deadline;
    int n = 0;
    deadline_after(timeout_ms, &deadline);
    pthread_mutex_lock(&q->mutex);
    for (unsigned pokes = q->pokes;;) {
        if (q->closed) {
            n = -ESHUTDOWN;
            break;
        }
        n = take_from(q, &q->foreground, may_take, ctx, jobs, max, max_bytes);
        if (n == 0)
            n = take_from(q, &q->background, may_take, ctx, jobs, max, max_bytes);
        if (n > 0 || pokes != q->pokes ||
            pthread_cond_timedwait(&q->changed, &q->mutex, &deadline) == ETIMEDOUT)
            break;
    }
    if (n > 0 && q->waiting > 0) /* what others left to us may now be theirs */
        wake_for_waiting(q);
    pthread_mutex_unlock(&q->mutex);
    return n;
}

void queue_poke(struct queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->pokes++;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->mutex);
}

/* ---- ending */

/* Makes the waiters of the run under way nobody's, for the caller.  The mutex is held. */
static struct waiter *take_waiters(struct queue_entry *entry)
{
    struct waiter *waiters = entry->waiters, *waiter;
    entry->waiters = NULL;
    DL_FOREACH(waiters, waiter)
    {
        waiter->job = NULL;
    }
    return waiters;
}

/* Those of the next run wait for the one that comes.  The mutex is held. */
static void promote_later(struct queue_entry *entry)
{
    struct waiter *waiter;
    DL_FOREACH(entry->later, waiter)
    {
        waiter->later = false;
    }
    DL_CONCAT(entry->waiters, entry->later);
    entry->later = NULL;
}

/* Takes the entry out and hands its waiters, now nobody's, to the caller.  The mutex is held. */
static struct waiter *remove_entry(struct queue *q, struct queue_entry *entry)
{
    promote_later(entry);
    struct waiter *waiters = take_waiters(entry);
    HASH_DEL(q->table, entry);
    free_entry(entry);
    return waiters;
}

/* Asked for again while it was running.  The mutex is held. */
static void run_again(struct queue *q, struct queue_entry *entry)
{
    promote_later(entry);
    entry->background = entry->again;
    entry->again = false;
    enqueue(q, entry);
}

static void call(struct waiter *waiters, int status)
{
    struct waiter *waiter, *next;
    DL_FOREACH_SAFE(waiters, waiter, next)
    {
        waiter->done(waiter, status);
    }
}

void queue_finish(struct queue *q, const struct job *job, int status)
{
    pthread_mutex_lock(&q->mutex);
    struct queue_entry *entry = job->entry;
    bool again = entry->later || entry->again;
    q->running[job->kind]--;
    struct waiter *waiters = again ? take_waiters(entry) : remove_entry(q, entry), *late = NULL;
    if (again && q->closed)
        late = remove_entry(q, entry);
    else if (again)
        run_again(q, entry);
    pthread_cond_broadcast(&q->changed); /* another may be allowed to run now */
    pthread_mutex_unlock(&q->mutex);
    call(waiters, status);
    call(late, -ESHUTDOWN);
}

void queue_return(struct queue *q, const struct job *job)
{
    pthread_mutex_lock(&q->mutex);
    struct queue_entry *entry = job->entry;
    struct waiter *waiters = NULL;
    q->running[job->kind]--;
    if (q->closed) {
        waiters = remove_entry(q, entry);
    } else {
        promote_later(entry);
        entry->background |= entry->again;
        entry->again = false;
        struct queue_entry **list = list_of(q, entry);
        entry->state = ENTRY_WAITING;
        q->waiting++;
        DL_PREPEND(*list, entry);
        wake(q, &entry->job);
    }
    pthread_mutex_unlock(&q->mutex);
    call(waiters, -ESHUTDOWN);
}

/* The mutex is held.  One list of all waiters of jobs that are not running. */
static struct waiter *remove_waiting(struct queue *q)
{
    struct waiter *all = NULL;
    struct queue_entry *entry, *next;
    struct queue_entry **lists[] = {&q->foreground, &q->background};
    for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
        DL_FOREACH_SAFE(*lists[i], entry, next)
        {
            DL_DELETE(*lists[i], entry);
            q->waiting--;
            struct waiter *waiters = remove_entry(q, entry);
            DL_CONCAT(all, waiters);
        }
    }
    return all;
}

void queue_fail_all(struct queue *q, int status)
{
    pthread_mutex_lock(&q->mutex);
    struct waiter *waiters = remove_waiting(q);
    pthread_mutex_unlock(&q->mutex);
    call(waiters, status);
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    struct waiter *waiters = remove_waiting(q);
    wake(q, NULL);
    pthread_mutex_unlock(&q->mutex);
    call(waiters, -ESHUTDOWN);
}

void queue_count(struct queue *q, unsigned *ret_waiting, unsigned *ret_running)
{
    pthread_mutex_lock(&q->mutex);
    *ret_waiting = q->waiting;
    *ret_running = 0;
    for (unsigned i = 0; i < JOB_KINDS; i++)
        *ret_running += q->running[i];
    pthread_mutex_unlock(&q->mutex);
}

bool queue_has(struct queue *q, enum job_kind kind)
{
    pthread_mutex_lock(&q->mutex);
    bool has = q->running[kind] > 0;
    for (const struct queue_entry *entry = q->table; entry && !has; entry = entry->hh.next)
        has = entry->job.kind == kind;
    pthread_mutex_unlock(&q->mutex);
    return has;
}
