#define FUSE_USE_VERSION 314
#include "notify.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <string.h>

#include "announce.h"
#include "log.h"

enum lane_kind { LANE_NAMES, LANE_ATTRIBUTES, LANES };

struct event {
    struct event *next;
    enum news news;
    uint64_t parent, ino;
    void (*fn)(void *arg); /* not NULL: a call, not news */
    void *arg;
    char name[];
};

struct lane {
    struct notify *notify;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct event *head, **tail; /* protected by mutex */
    unsigned under_way;         /* protected by mutex: queued and being worked off */
    bool stopping;              /* protected by mutex */
};

struct notify {
    /* set before the threads start, constant afterwards */
    struct fuse_session *session;
    struct announce *announce;
    struct lane lanes[LANES];
};

int notify_new(struct notify **ret)
{
    struct notify *n = calloc(1, sizeof(*n));
    if (!n)
        return -ENOMEM;
    for (int i = 0; i < LANES; i++) {
        struct lane *lane = &n->lanes[i];
        lane->notify = n;
        lane->tail = &lane->head;
        pthread_mutex_init(&lane->mutex, NULL);
        pthread_cond_init(&lane->filled, NULL);
    }
    *ret = n;
    return 0;
}

void notify_free(struct notify *n)
{
    if (!n)
        return;
    for (int i = 0; i < LANES; i++) {
        pthread_cond_destroy(&n->lanes[i].filled);
        pthread_mutex_destroy(&n->lanes[i].mutex);
    }
    free(n);
}

/* ---- the lane's thread */

static void tell_kernel(const struct notify *notify, const struct event *event, bool last_of_dir)
{
    struct fuse_session *session = notify->session;
    int r = 0;
    switch (event->news) {
    case NEWS_ADDED:
        r = fuse_lowlevel_notify_inval_entry(session, event->parent, event->name,
                                             strlen(event->name));
        break;
    case NEWS_REMOVED:
        r = fuse_lowlevel_notify_delete(session, event->parent, event->ino, event->name,
                                        strlen(event->name));
        break;
    case NEWS_CHANGED:
        r = fuse_lowlevel_notify_inval_inode(session, event->ino, -1, 0);
        break;
    }
    if (r < 0 && r != -ENOENT && r != -ENOTCONN && r != -ENODEV && r != -EBADF)
        log_debug("inode %llu: the kernel refused a notification: %s",
                  (unsigned long long)event->ino, strerror(-r));
    if (event->news != NEWS_CHANGED && last_of_dir)
        fuse_lowlevel_notify_inval_inode(session, event->parent, 0, 0);
    announce_add(notify->announce, event->news, event->parent, event->ino, event->name);
}

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    pthread_mutex_lock(&lane->mutex);
    for (;;) {
        while (!lane->head && !lane->stopping)
            pthread_cond_wait(&lane->filled, &lane->mutex);
        struct event *batch = lane->head;
        if (!batch)
            break;
        lane->head = NULL;
        lane->tail = &lane->head;
        pthread_mutex_unlock(&lane->mutex);
        unsigned n = 0;
        for (struct event *next; batch; batch = next, n++) {
            next = batch->next;
            if (batch->fn)
                batch->fn(batch->arg);
            else /* one drop of the cached listing serves neighbours of the same directory */
                tell_kernel(lane->notify, batch, !next || next->parent != batch->parent);
            free(batch);
        }
        pthread_mutex_lock(&lane->mutex);
        lane->under_way -= n;
    }
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

int notify_start(struct notify *n, struct fuse_session *session, struct announce *announce)
{
    n->session = session;
    n->announce = announce;
    for (int i = 0; i < LANES; i++) {
        int r = pthread_create(&n->lanes[i].thread, NULL, lane_main, &n->lanes[i]);
        if (r)
            return -r;
        pthread_mutex_lock(&n->lanes[i].mutex);
        n->lanes[i].started = true;
        pthread_mutex_unlock(&n->lanes[i].mutex);
    }
    return 0;
}

void notify_stop(struct notify *n)
{
    for (int i = 0; i < LANES; i++) {
        struct lane *lane = &n->lanes[i];
        pthread_mutex_lock(&lane->mutex);
        bool started = lane->started;
        lane->stopping = true;
        lane->started = false;
        pthread_cond_signal(&lane->filled);
        pthread_mutex_unlock(&lane->mutex);
        if (started)
            pthread_join(lane->thread, NULL);
    }
}

/* ---- adding */

/* False: the lane does not run; the event was not taken. */
static bool add(struct lane *lane, struct event *event)
{
    pthread_mutex_lock(&lane->mutex);
    bool taken = lane->started;
    if (taken) {
        *lane->tail = event;
        lane->tail = &event->next;
        lane->under_way++;
        pthread_cond_signal(&lane->filled);
    }
    pthread_mutex_unlock(&lane->mutex);
    return taken;
}

void notify_news(struct notify *n, enum news news, uint64_t parent, uint64_t ino, const char *name)
{
    size_t len = name ? strlen(name) : 0;
    struct event *event = calloc(1, sizeof(*event) + len + 1);
    if (!event) {
        log_error("out of memory: the kernel keeps a stale entry of inode %llu until remounted",
                  (unsigned long long)ino);
        return;
    }
    event->news = news;
    event->parent = parent;
    event->ino = ino;
    if (len)
        memcpy(event->name, name, len);
    if (!add(&n->lanes[news == NEWS_CHANGED ? LANE_ATTRIBUTES : LANE_NAMES], event))
        free(event);
}

static void call_behind(struct lane *lane, void (*fn)(void *arg), void *arg)
{
    struct event *event = NULL;
    pthread_mutex_lock(&lane->mutex);
    bool busy = lane->under_way > 0;
    pthread_mutex_unlock(&lane->mutex);
    if (busy)
        event = calloc(1, sizeof(*event));
    if (event) {
        event->fn = fn;
        event->arg = arg;
        if (add(lane, event))
            return;
    }
    free(event);
    fn(arg);
}

void notify_call_behind(struct notify *n, void (*fn)(void *arg), void *arg)
{
    call_behind(&n->lanes[LANE_ATTRIBUTES], fn, arg);
}

struct behind_all {
    struct notify *notify;
    void (*fn)(void *arg);
    void *arg;
};

/* The lane of names is through: now that of attributes. */
static void behind_names(void *arg)
{
    struct behind_all behind = *(struct behind_all *)arg;
    free(arg);
    call_behind(&behind.notify->lanes[LANE_ATTRIBUTES], behind.fn, behind.arg);
}

void notify_call_behind_all(struct notify *n, void (*fn)(void *arg), void *arg)
{
    struct behind_all *behind = malloc(sizeof(*behind));
    if (!behind) {
        fn(arg);
        return;
    }
    *behind = (struct behind_all){.notify = n, .fn = fn, .arg = arg};
    call_behind(&n->lanes[LANE_NAMES], behind_names, behind);
}
