#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#define LOOK_AGAIN_MS 100
#define TRIES         3 /* a body may be evicted between its arrival and the open */

struct park {
    struct waiter waiter;
    struct fs *fs;
    struct request request;
    char *name; /* owned copy of request.name */
    pid_t tid;  /* the caller's thread */
    unsigned tries;
    atomic_int refs;          /* who put it there, and who will answer it */
    atomic_bool interrupted;  /* an INTERRUPT came, whatever for */
    struct park *prev, *next; /* in parks.watched while `watched` */
    bool watched;             /* protected by parks.mutex */
};

struct parks {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct park *watched; /* protected by mutex: interrupted by a signal that does not count */
    bool stopping;        /* protected by mutex */
    pthread_t thread;
    bool started;
};

/* ---- which signals end a wait */

static uint64_t pending_signals(const char *status)
{
    static const char *const keys[] = {"\nSigPnd:", "\nShdPnd:"};
    uint64_t pending = 0;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *line = strstr(status, keys[i]);
        if (line)
            pending |= strtoull(line + strlen(keys[i]), NULL, 16);
    }
    return pending;
}

/* Whether the caller has a signal pending that ends programs.  Where it cannot be seen (gone, or
 * in another PID name space) the INTERRUPT itself has to do. */
static bool must_end(pid_t tid)
{
    static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGKILL};
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
    CLEANUP_FD int fd = tid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd < 0 ? -1 : read_full(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return true;
    text[n] = '\0';
    uint64_t pending = pending_signals(text);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (pending & ((uint64_t)1 << (ends[i] - 1)))
            return true;
    return false;
}

/* ---- life of a park */

static void unref(struct park *p)
{
    if (atomic_fetch_sub(&p->refs, 1) > 1)
        return;
    free(p->name);
    free(p);
}

static void stop_watching(struct park *p)
{
    struct parks *parks = p->fs->parks;
    pthread_mutex_lock(&parks->mutex);
    if (p->watched)
        DL_DELETE(parks->watched, p);
    p->watched = false;
    pthread_mutex_unlock(&parks->mutex);
}

static void watch(struct park *p)
{
    struct parks *parks = p->fs->parks;
    pthread_mutex_lock(&parks->mutex);
    if (!p->watched)
        DL_APPEND(parks->watched, p);
    p->watched = true;
    pthread_cond_signal(&parks->changed);
    pthread_mutex_unlock(&parks->mutex);
}

/* Runs on a libfuse thread that holds the request's lock.  Freeing is safe: whoever answers
 * outside of this function first waits for it by fuse_req_interrupt_func(req, NULL, NULL). */
static void on_interrupt(fuse_req_t req, void *data)
{
    struct park *p = data;
    (void)req;
    p->interrupted = true;
    if (!must_end(p->tid)) {
        watch(p);
    } else if (view_cancel(p->fs->view, &p->waiter)) {
        stop_watching(p);
        request_fail(&p->request, -EINTR);
        unref(p);
    }
}

/* No interruption is running or will run behind this. */
static void detach(struct park *p)
{
    fuse_req_interrupt_func(p->request.req, NULL, NULL);
    stop_watching(p);
}

static void park_again(struct park *p);

/* It is here now, or at least was a moment ago. */
static void answer(struct park *p)
{
    if (!request_try(p->fs, &p->request)) {
        if (++p->tries < TRIES) {
            park_again(p);
            return;
        }
        request_fail(&p->request, -EIO);
    }
    unref(p);
}

/* Ends the waiting; nobody else will answer. */
static void end(struct park *p, int status)
{
    detach(p);
    if (status < 0) {
        request_fail(&p->request, status);
        unref(p);
    } else {
        answer(p);
    }
}

/* The waiter's call, on a worker's thread. */
static void on_done(struct waiter *waiter, int status)
{
    end((struct park *)waiter, status); /* its first member */
}

/* Takes one more reference for the time of this call; the one of who answers is already there. */
static void park_again(struct park *p)
{
    atomic_fetch_add(&p->refs, 1);
    p->interrupted = false;
    p->waiter = (struct waiter){.done = on_done};
    fuse_req_interrupt_func(p->request.req, on_interrupt, p);
    int r = request_ask(p->fs, &p->request, &p->waiter);
    if (r != -EINPROGRESS)
        end(p, r);
    else if (p->interrupted && must_end(p->tid) && view_cancel(p->fs->view, &p->waiter))
        end(p, -EINTR); /* the INTERRUPT came before there was a waiter to cancel */
    unref(p);
}

void park_or_answer(struct fs *fs, const struct request *request)
{
    if (request_try(fs, request))
        return;
    struct park *p = calloc(1, sizeof(*p));
    if (p && request->name && !(p->name = strdup(request->name))) {
        free(p);
        p = NULL;
    }
    if (!p) {
        request_fail(request, -ENOMEM);
        return;
    }
    p->fs = fs;
    p->request = *request;
    p->request.name = p->name;
    p->tid = fuse_req_ctx(request->req)->pid;
    p->refs = 1;
    park_again(p);
}

/* ---- the thread that looks again */

/* The mutex is held.  One whose caller must end now, taken off the list and off the queue. */
static struct park *take_ended(struct parks *parks)
{
    struct park *p, *next;
    DL_FOREACH_SAFE(parks->watched, p, next)
    {
        if (must_end(p->tid) && view_cancel(p->fs->view, &p->waiter)) {
            DL_DELETE(parks->watched, p);
            p->watched = false;
            return p;
        }
    }
    return NULL;
}

static void wait_a_little(struct parks *parks)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_AGAIN_MS * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&parks->changed, &parks->mutex, &until);
}

static void *parks_main(void *arg)
{
    struct parks *parks = arg;
    pthread_mutex_lock(&parks->mutex);
    while (!parks->stopping) {
        if (!parks->watched) {
            pthread_cond_wait(&parks->changed, &parks->mutex);
            continue;
        }
        struct park *p = take_ended(parks);
        if (!p) {
            wait_a_little(parks);
            continue;
        }
        pthread_mutex_unlock(&parks->mutex);
        end(p, -EINTR);
        pthread_mutex_lock(&parks->mutex);
    }
    pthread_mutex_unlock(&parks->mutex);
    return NULL;
}

int parks_new(struct parks **ret)
{
    struct parks *parks = calloc(1, sizeof(*parks));
    if (!parks)
        return -ENOMEM;
    pthread_mutex_init(&parks->mutex, NULL);
    pthread_cond_init(&parks->changed, NULL);
    *ret = parks;
    return 0;
}

void parks_free(struct parks *parks)
{
    if (!parks)
        return;
    pthread_cond_destroy(&parks->changed);
    pthread_mutex_destroy(&parks->mutex);
    free(parks);
}

int parks_start(struct parks *parks)
{
    int r = pthread_create(&parks->thread, NULL, parks_main, parks);
    if (r)
        return -r;
    parks->started = true;
    return 0;
}

void parks_stop(struct parks *parks)
{
    pthread_mutex_lock(&parks->mutex);
    parks->stopping = true;
    pthread_cond_signal(&parks->changed);
    pthread_mutex_unlock(&parks->mutex);
    if (parks->started)
        pthread_join(parks->thread, NULL);
    parks->started = false;
}
