#include "account_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connect.h"
#include "msgname.h"
#include "refresh.h"
#include "watch.h"

int account_global_init(void)
{
    msgname_init();
    return imap_global_init();
}

static int open_data(struct account *a, struct errtext *err)
{
    const struct settings *s = a->settings;
    int r = mkdir_private(s->cache_dir);
    if (r < 0)
        return err_set(err, -r, "cache directory %s: %s", s->cache_dir, strerror(-r));
    r = mkdir_private(s->state_dir);
    if (r < 0)
        return err_set(err, -r, "state directory %s: %s", s->state_dir, strerror(-r));
    CLEANUP_FREE char *identity =
        str_printf("%s@%s:%u/%s", s->user, s->host, s->port, s->folder ? s->folder : "");
    if (!identity)
        return err_set(err, ENOMEM, "out of memory");
    r = store_open(s->cache_dir, s->state_dir, identity, &a->store, err);
    if (r < 0)
        return r;
    return bodies_open(a->store, s->cache_dir, s->cache_size, &a->bodies, err);
}

int account_new(const struct settings *settings, struct account **ret, struct errtext *err)
{
    struct account *a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(err, ENOMEM, "out of memory");
    a->settings = settings;
    a->next_refresh_ms = clock_mono_ms() + (int64_t)settings->poll_s * 1000;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->wake_keeper, &attr);
    pthread_condattr_destroy(&attr);
    a->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->n_workers = settings->connections < WORKERS_MAX ? settings->connections : WORKERS_MAX;
    a->taken = a->n_workers;
    for (unsigned i = 0; i < a->n_workers; i++) {
        a->workers[i].account = a;
        a->workers[i].index = i;
    }
    a->state_since_ns = clock_wall_ns();
    int r = a->interrupt_fd < 0 ? err_set(err, errno, "eventfd: %s", strerror(errno))
                                : queue_new(&a->queue);
    if (r == 0)
        r = watch_init(a);
    if (r == 0)
        r = open_data(a, err);
    if (r < 0) {
        account_free(a);
        return r;
    }
    *ret = a;
    return 0;
}

void account_free(struct account *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < LOOSE_MAX; i++)
        if (a->loose[i].body)
            body_close(a->loose[i].body);
    if (a->bodies)
        bodies_close(a->bodies);
    if (a->store)
        store_close(a->store);
    watch_release(a);
    queue_free(a->queue);
    secret_free(a->secret);
    free(a->prefix);
    if (a->interrupt_fd >= 0)
        close(a->interrupt_fd);
    pthread_cond_destroy(&a->wake_keeper);
    pthread_mutex_destroy(&a->mutex);
    free(a);
}

void account_set_listener(struct account *a, const struct news_listener *news)
{
    a->news = *news;
}

bool account_has_cache(struct account *a)
{
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    return store_folder_next_any(a->store, 0, &folder) == 0;
}

static bool is_unreachable(int r)
{
    return account_status(r) == -ENETUNREACH && r != -EKEYREJECTED;
}

static int first_login(struct account *a, struct imap_failure *failure, struct errtext *err)
{
    struct worker *first = &a->workers[0];
    int r = worker_connect(first, failure, err);
    if (r == 0)
        r = refresh_account(a, first->im, true, err);
    if (first->im && imap_error(first->im) < 0)
        *failure = *imap_failure(first->im);
    worker_publish(first);
    return r;
}

int account_start(struct account *a, struct secret *secret, struct errtext *err)
{
    a->secret = secret;
    struct imap_failure failure = {0};
    err->text[0] = '\0';
    int r = a->settings->offline
                ? err_set(err, ENETUNREACH, "%s: offline, as asked", a->settings->host)
                : first_login(a, &failure, err);
    bool offline =
        a->settings->offline || ((is_unreachable(r) || r == -ETIMEDOUT) && account_has_cache(a));
    if (offline) {
        worker_disconnect(&a->workers[0]);
        account_set_offline(a, r, &failure, err);
        r = 0;
    }
    if (r == 0)
        r = workers_start(a);
    if (r < 0)
        account_stop(a);
    return r;
}

void account_interrupt(struct account *a)
{
    uint64_t one = 1;
    pthread_mutex_lock(&a->mutex);
    a->stopping = true;
    pthread_cond_signal(&a->wake_keeper);
    pthread_mutex_unlock(&a->mutex);
    ssize_t n = write(a->interrupt_fd, &one, sizeof(one));
    (void)n; /* a full eventfd is readable, too */
}

void account_stop(struct account *a)
{
    account_interrupt(a);
    queue_close(a->queue);
    workers_join(a);
}

/* ---- work */

int account_list_folder(struct account *a, uint64_t folder, struct waiter *waiter)
{
    struct job job = {.kind = JOB_LISTING, .ino = folder};
    int r = account_may_connect(a);
    return r < 0 && waiter ? r : queue_add(a->queue, &job, waiter);
}

int account_search(struct account *a, struct search_lane *lane, void (*release)(void *lane),
                   struct waiter *waiter)
{
    static _Atomic uint64_t number;
    struct job job = {.kind = JOB_SEARCH, .ino = ++number, .data = lane, .release = release};
    int r = account_may_connect(a);
    return r < 0 ? r : queue_add(a->queue, &job, waiter);
}

int account_fetch_body(struct account *a, uint64_t folder, uint64_t ino, uint64_t size,
                       struct waiter *waiter)
{
    struct job job = {.kind = JOB_BODY, .ino = ino, .folder = folder, .size = size};
    int r = account_may_connect(a);
    return r < 0 ? r : queue_add(a->queue, &job, waiter);
}

void account_folder_used(struct account *a, uint64_t folder)
{
    pthread_mutex_lock(&a->mutex);
    in_use_note(&a->in_use, folder, clock_mono_ms());
    pthread_mutex_unlock(&a->mutex);
}

bool account_cancel(struct account *a, struct waiter *waiter)
{
    return queue_cancel(a->queue, waiter);
}

void account_add_loose(struct account *a, uint64_t ino, struct body *body)
{
    pthread_mutex_lock(&a->mutex);
    struct body *oldest = a->loose[0].body;
    memmove(&a->loose[0], &a->loose[1], sizeof(a->loose) - sizeof(a->loose[0]));
    a->loose[LOOSE_MAX - 1].ino = ino;
    a->loose[LOOSE_MAX - 1].body = body;
    pthread_mutex_unlock(&a->mutex);
    if (oldest)
        body_close(oldest);
}

struct body *account_take_loose_body(struct account *a, uint64_t ino)
{
    struct body *body = NULL;
    pthread_mutex_lock(&a->mutex);
    for (unsigned i = 0; i < LOOSE_MAX && !body; i++) {
        if (a->loose[i].body && a->loose[i].ino == ino) {
            body = a->loose[i].body;
            a->loose[i].body = NULL;
        }
    }
    pthread_mutex_unlock(&a->mutex);
    return body;
}

void account_tell_changed(struct account *a, uint64_t ino)
{
    a->news.tell(a->news.ctx, NEWS_CHANGED, 0, ino, NULL);
}

/* ---- state */

const struct settings *account_settings(const struct account *a)
{
    return a->settings;
}

struct store *account_store(const struct account *a)
{
    return a->store;
}

struct bodies *account_bodies(const struct account *a)
{
    return a->bodies;
}

bool account_quota(struct account *a, uint64_t *ret_used, uint64_t *ret_limit)
{
    pthread_mutex_lock(&a->mutex);
    bool has = a->has_quota;
    if (has) {
        *ret_used = a->quota_used;
        *ret_limit = a->quota_limit;
    }
    pthread_mutex_unlock(&a->mutex);
    return has;
}
