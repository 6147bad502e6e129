#define FUSE_USE_VERSION 314
#include "announce.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "announce_helper.h"
#include "log.h"

/* Never an inode of the tree: those are below 1 << 56. */
#define GHOST_INO ((uint64_t)1 << 62)

#define RESTART_MS 1000 /* doubled with each start */

struct event {
    struct event *prev, *next;
    enum announcer_op op;
    uint64_t parent;
    char name[];
};

/* What the helper was sent for. */
struct current {
    enum announcer_op op;
    uint64_t parent; /* 0: it was not sent */
    char name[NAME_MAX + 1];
    uint64_t ghost; /* inode of the ghost that its LOOKUP was given; 0: none yet */
};

struct announce {
    struct view *view;
    struct announce_figures *figures; /* the view's */
    /* set by announce_start, constant afterwards */
    struct fuse_session *session;
    char *mountpoint;
    uint32_t dev_major, dev_minor;
    int wake; /* eventfd: something was added, or it ends */

    pthread_t thread;
    bool started;
    atomic_bool running, stopping; /* running: events are taken */

    pthread_mutex_t mutex;
    struct event *events;   /* protected by mutex; oldest first */
    unsigned n_events;      /* protected by mutex */
    struct event *cut;      /* protected by mutex; ANNOUNCER_TOUCH of directories that lost some */
    struct current current; /* protected by mutex */
    _Atomic uint64_t current_parent; /* current.parent, for a look without the mutex */

    /* the thread's own */
    struct helper helper;
    struct announcer_request request;
    uint64_t last_parent; /* whose turn it was */
    uint64_t ghosts;
    unsigned tokens;
    int64_t filled_ms, last_ms, start_after_ms;
    unsigned starts;
    bool warned;
};

int announce_new(struct view *view, struct announce **ret)
{
    struct announce *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->view = view;
    a->figures = view_announce_figures(view);
    a->helper.fd = -1;
    pthread_mutex_init(&a->mutex, NULL);
    a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->wake < 0) {
        int e = errno;
        announce_free(a);
        return -e;
    }
    *ret = a;
    return 0;
}

static void free_events(struct event **list)
{
    struct event *event, *next;
    DL_FOREACH_SAFE(*list, event, next)
    free(event);
    *list = NULL;
}

void announce_free(struct announce *a)
{
    if (!a)
        return;
    helper_end(&a->helper);
    free_events(&a->events);
    free_events(&a->cut);
    if (a->wake >= 0)
        close(a->wake);
    pthread_mutex_destroy(&a->mutex);
    free(a->mountpoint);
    free(a);
}

/* ---- the queue */

static void wake(struct announce *a)
{
    uint64_t one = 1;
    ssize_t n = write(a->wake, &one, sizeof(one));
    (void)n; /* EAGAIN: it is awake */
}

/* The mutex is held.  The directory will be told of as a whole. */
static void note_cut(struct announce *a, uint64_t parent)
{
    struct event *event;
    a->figures->dropped++;
    DL_SEARCH_SCALAR(a->cut, event, parent, parent);
    if (event || !(event = calloc(1, sizeof(*event) + 1)))
        return;
    event->op = ANNOUNCER_TOUCH;
    event->parent = parent;
    DL_APPEND(a->cut, event);
}

/* The mutex is held.  Makes room for one more of this directory: at the cost of its own oldest. */
static void make_room(struct announce *a, uint64_t parent)
{
    struct event *event;
    if (a->n_events < ANNOUNCE_MAX)
        return;
    DL_SEARCH_SCALAR(a->events, event, parent, parent);
    if (!event)
        event = a->events;
    note_cut(a, event->parent);
    DL_DELETE(a->events, event);
    free(event);
    a->n_events--;
}

/* A name alone must tell folder from message when it is gone.  A folder that looks like a message
 * is told as one: nothing depends on it. */
static bool is_message_name(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".eml") == 0;
}

void announce_add(struct announce *a, enum news news, uint64_t parent, uint64_t ino,
                  const char *name)
{
    (void)ino;
    size_t n = name ? strlen(name) : 0;
    if (!a || !a->running || news == NEWS_CHANGED || n == 0 || n > NAME_MAX)
        return;
    struct event *event = calloc(1, sizeof(*event) + n + 1);
    if (!event) {
        a->figures->dropped++;
        return;
    }
    bool message = is_message_name(name);
    event->op = news == NEWS_REMOVED ? (message ? ANNOUNCER_DELETE : ANNOUNCER_RMDIR)
                                     : (message ? ANNOUNCER_CREATE : ANNOUNCER_MKDIR);
    event->parent = parent;
    memcpy(event->name, name, n);
    pthread_mutex_lock(&a->mutex);
    make_room(a, parent);
    DL_APPEND(a->events, event);
    a->n_events++;
    pthread_mutex_unlock(&a->mutex);
    wake(a);
}

/* Directories take turns, each in its own order.  What was cut comes when all is told. */
static struct event *take(struct announce *a)
{
    struct event *event, *best = NULL;
    pthread_mutex_lock(&a->mutex);
    DL_FOREACH(a->events, event)
    if (!best || event->parent - a->last_parent - 1 < best->parent - a->last_parent - 1)
        best = event;
    if (best) {
        DL_DELETE(a->events, best);
        a->n_events--;
        a->last_parent = best->parent;
    } else if ((best = a->cut)) {
        DL_DELETE(a->cut, best);
    }
    pthread_mutex_unlock(&a->mutex);
    return best;
}

/* ---- what the handlers ask */

bool announce_is_helper(const struct announce *a, pid_t pid)
{
    return pid > 0 && a->helper.pid == pid;
}

/* The mutex is held. */
static bool is_current(const struct announce *a, uint64_t parent, const char *name)
{
    return a->current.parent == parent && a->current.op != ANNOUNCER_TOUCH &&
           strcmp(a->current.name, name) == 0;
}

bool announce_is_current(struct announce *a, uint64_t parent, const char *name)
{
    if (a->current_parent != parent)
        return false;
    pthread_mutex_lock(&a->mutex);
    bool current = is_current(a, parent, name);
    pthread_mutex_unlock(&a->mutex);
    return current;
}

int announce_lookup(struct announce *a, uint64_t parent, const char *name,
                    struct view_node *ret_ghost)
{
    int r = -EAGAIN;
    pthread_mutex_lock(&a->mutex);
    if (is_current(a, parent, name)) {
        bool gone = a->current.op == ANNOUNCER_DELETE || a->current.op == ANNOUNCER_RMDIR;
        r = gone ? 0 : -ENOENT;
        if (gone) {
            a->current.ghost = GHOST_INO + ++a->ghosts;
            *ret_ghost = (struct view_node){.ino = a->current.ghost};
            ret_ghost->st.st_ino = a->current.ghost;
            ret_ghost->st.st_mode =
                a->current.op == ANNOUNCER_DELETE ? S_IFREG | 0600 : S_IFDIR | 0700;
            ret_ghost->st.st_nlink = 1;
            ret_ghost->st.st_uid = getuid();
            ret_ghost->st.st_gid = getgid();
        }
    }
    pthread_mutex_unlock(&a->mutex);
    return r;
}

bool announce_expects(struct announce *a, enum announcer_op op, uint64_t parent, const char *name)
{
    pthread_mutex_lock(&a->mutex);
    bool expected =
        a->current.op == op && a->current.parent == parent && strcmp(a->current.name, name) == 0;
    /* A deletion acts on what the kernel has under the name: only a ghost may be deleted. */
    if (op == ANNOUNCER_DELETE || op == ANNOUNCER_RMDIR)
        expected = expected && a->current.ghost;
    pthread_mutex_unlock(&a->mutex);
    return expected;
}

/* ---- the thread: waiting */

/* Until something is added, it ends, the helper says something, or the time is over. */
static void pause_for(struct announce *a, int ms)
{
    struct pollfd polled[] = {{.fd = a->wake, .events = POLLIN},
                              {.fd = a->helper.fd, .events = POLLIN}};
    uint64_t count;
    if (!a->stopping && poll(polled, 2, ms) > 0 && polled[0].revents) {
        ssize_t n = read(a->wake, &count, sizeof(count));
        (void)n;
    }
}

static bool helper_speaks(const struct announce *a)
{
    struct pollfd polled = {.fd = a->helper.fd, .events = POLLIN};
    return a->helper.fd >= 0 && poll(&polled, 1, 0) > 0;
}

static void lose_helper(struct announce *a)
{
    int status = helper_end(&a->helper);
    a->figures->state = ANNOUNCE_IDLE;
    if (a->stopping)
        return;
    int64_t wait_ms = (int64_t)RESTART_MS << (a->starts < 16 ? a->starts - 1 : 15);
    a->start_after_ms = clock_mono_ms() + wait_ms;
    log_warn("the helper that announces changes to inotify watchers ended (status 0x%x); "
             "the next one is started in %lld s at the earliest",
             (unsigned)status, (long long)wait_ms / 1000);
}

static void give_up(struct announce *a, const char *why)
{
    a->running = false;
    a->figures->state = ANNOUNCE_FAILED;
    log_error("changes are not announced to inotify watchers any more until the next mount: %s",
              why);
}

/* One token an event, and a little distance between two. */
static int wait_for_token_ms(struct announce *a)
{
    int64_t now = clock_mono_ms(), fill = (now - a->filled_ms) * ANNOUNCE_RATE / 1000;
    if (fill > 0) {
        a->tokens = a->tokens + fill > ANNOUNCE_BURST ? ANNOUNCE_BURST : a->tokens + (unsigned)fill;
        a->filled_ms = now;
    }
    if (a->tokens == 0)
        return 1000 / ANNOUNCE_RATE;
    int64_t gap = a->last_ms + ANNOUNCE_GAP_MS - now;
    return gap > 0 ? (int)gap : 0;
}

/* When it may go on.  0: at once; -1: never. */
static int ready_in_ms(struct announce *a)
{
    if (a->stopping || !a->running)
        return -1;
    int ms = wait_for_token_ms(a);
    if (ms > 0 || a->helper.fd >= 0)
        return ms;
    int64_t rest_ms = a->start_after_ms - clock_mono_ms();
    if (rest_ms > 0)
        return (int)rest_ms;
    if (a->starts == ANNOUNCE_STARTS) {
        give_up(a, "its helper ended too often");
        return -1;
    }
    a->starts++;
    a->figures->starts++;
    int r = helper_start(&a->helper, a->mountpoint);
    if (r < 0) {
        give_up(a, strerror(-r));
        return -1;
    }
    a->figures->state = ANNOUNCE_RUNNING;
    return 0;
}

/* False: there will be no announcement. */
static bool wait_until_ready(struct announce *a)
{
    int ms;
    while ((ms = ready_in_ms(a)) > 0) {
        pause_for(a, ms);
        if (helper_speaks(a))
            lose_helper(a);
    }
    return ms == 0;
}

/* ---- the thread: one event */

/* Whether somebody may be watching: an inode that is not in the kernel is nobody's.  Of one that is
 * the attributes are forgotten, which costs one GETATTR. */
static bool is_known(const struct announce *a, uint64_t ino)
{
    return fuse_lowlevel_notify_inval_inode(a->session, ino, -1, 0) != -ENOENT;
}

/* False: it is not true any more, or cannot be told. */
static bool fill_request(struct announce *a, const struct event *event)
{
    struct view_node node;
    struct announcer_request *q = &a->request;
    CLEANUP_STR struct str path = STR_INIT(sizeof(q->directory));
    str_append_text(&path, a->mountpoint);
    if (view_directory_path(a->view, event->parent, &path) < 0)
        return false; /* the directory went, too */
    bool there = event->op != ANNOUNCER_TOUCH &&
                 view_lookup(a->view, event->parent, event->name, NULL, &node) == 0;
    *q = (struct announcer_request){.op = event->op,
                                    .dev_major = a->dev_major,
                                    .dev_minor = a->dev_minor,
                                    .ino = event->parent};
    if (event->op == ANNOUNCER_CREATE || event->op == ANNOUNCER_MKDIR) {
        if (!there)
            return false;
        q->op = S_ISDIR(node.st.st_mode) ? ANNOUNCER_MKDIR : ANNOUNCER_CREATE;
    }
    if (event->op == ANNOUNCER_RMDIR && there)
        return false; /* a new one of the name, in which somebody may work already */
    memcpy(q->directory, path.data, path.len + 1);
    memcpy(q->name, event->name, strlen(event->name) + 1);
    return true;
}

static void set_current(struct announce *a, const struct announcer_request *q)
{
    pthread_mutex_lock(&a->mutex);
    a->current = (struct current){0};
    if (q) {
        a->current.op = q->op;
        a->current.parent = q->ino;
        memcpy(a->current.name, q->name, sizeof(a->current.name));
    }
    a->current_parent = a->current.parent;
    pthread_mutex_unlock(&a->mutex);
}

/* Sends the helper and waits for it, or for the end. */
static int send_helper(struct announce *a)
{
    struct announcer_reply reply = {.error = 0};
    int r = helper_send(&a->helper, &a->request);
    while (r == 0 && !helper_speaks(a)) {
        if (a->stopping)
            return -ESHUTDOWN;
        pause_for(a, -1);
    }
    if (r == 0)
        r = helper_receive(&a->helper, &reply);
    return r < 0 ? r : reply.error;
}

static void count(struct announce *a, int r)
{
    switch (r) {
    case 0:
        a->figures->announced++;
        a->tokens--;
        break;
    case -ENOENT: /* changed meanwhile: that is another event */
    case -ESTALE:
    case -ESHUTDOWN:
        break;
    case -EPIPE:
        a->figures->failed++;
        lose_helper(a);
        break;
    default:
        a->figures->failed++;
        log_write(a->warned ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
                  "%s/%s: the change could not be announced to inotify watchers: %s; whoever lists "
                  "the directory sees it",
                  a->request.directory, a->request.name, strerror(-r));
        a->warned = true;
    }
}

static void announce(struct announce *a, const struct event *event)
{
    const struct announcer_request *q = &a->request;
    if (!is_known(a, event->parent) || !wait_until_ready(a) || !fill_request(a, event))
        return;
    set_current(a, q);
    /* What the kernel keeps under the name would be in the way: from here on nobody is told
     * anything about it that may be kept.  It waits for all who are asking now. */
    if (q->op != ANNOUNCER_TOUCH)
        fuse_lowlevel_notify_inval_entry(a->session, q->ino, q->name, strlen(q->name));
    int r = send_helper(a);
    set_current(a, NULL);
    a->last_ms = clock_mono_ms();
    count(a, r);
    if (r == 0 && q->op == ANNOUNCER_TOUCH)
        log_info("%s: more changes at once than are announced to inotify watchers, %llu were left "
                 "out since the mount; the directory itself was announced as changed",
                 q->directory, (unsigned long long)a->figures->dropped);
}

static void *announce_main(void *arg)
{
    struct announce *a = arg;
    while (!a->stopping) {
        struct event *event = take(a);
        if (event)
            announce(a, event);
        else
            pause_for(a, -1);
        free(event);
        if (helper_speaks(a)) /* unasked: its end */
            lose_helper(a);
    }
    return NULL;
}

/* ---- start and stop */

int announce_start(struct announce *a, struct fuse_session *session, const char *mountpoint)
{
    struct statx st;
    /* From what the kernel has: a request could not be answered yet. */
    if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_INO, &st) < 0)
        return -errno;
    a->session = session;
    a->dev_major = st.stx_dev_major;
    a->dev_minor = st.stx_dev_minor;
    a->mountpoint = strdup(mountpoint);
    if (!a->mountpoint)
        return -ENOMEM;
    a->tokens = ANNOUNCE_BURST;
    a->filled_ms = clock_mono_ms();
    int r = pthread_create(&a->thread, NULL, announce_main, a);
    if (r)
        return -r;
    a->started = true;
    a->figures->state = ANNOUNCE_IDLE;
    a->running = true;
    return 0;
}

void announce_stop(struct announce *a)
{
    a->running = false;
    a->stopping = true;
    wake(a);
    if (a->started)
        pthread_join(a->thread, NULL);
    a->started = false;
}
