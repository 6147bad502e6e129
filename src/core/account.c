#include "account_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "msgname.h"
#include "refresh.h"
#include "watch.h"

#define BACKOFF_FIRST_MS 5000
#define BACKOFF_MAX_MS   (15 * 60 * 1000)

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
    for (unsigned i = 0; i < a->n_workers; i++) {
        a->workers[i].account = a;
        a->workers[i].index = i;
    }
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

static bool has_cached_folders(struct account *a)
{
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    return store_folder_next_any(a->store, 0, &folder) == 0;
}

static bool is_unreachable(int r)
{
    return account_status(r) == -ENETUNREACH && r != -EKEYREJECTED;
}

static int first_login(struct account *a, struct errtext *err)
{
    struct worker *first = &a->workers[0];
    int r = worker_connect(first, err);
    if (r == 0)
        r = refresh_account(a, first->im, err);
    worker_publish(first);
    return r;
}

int account_start(struct account *a, struct secret *secret, const struct news_listener *news,
                  struct errtext *err)
{
    a->secret = secret;
    a->news = *news;
    err->text[0] = '\0';
    int r = a->settings->offline
                ? err_set(err, ENETUNREACH, "%s: offline, as asked", a->settings->host)
                : first_login(a, err);
    bool offline =
        a->settings->offline || ((is_unreachable(r) || r == -ETIMEDOUT) && has_cached_folders(a));
    if (offline) {
        worker_disconnect(&a->workers[0]);
        account_set_offline(a, r, err);
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

int account_fetch_body(struct account *a, uint64_t folder, uint64_t ino, uint64_t size,
                       struct waiter *waiter)
{
    struct job job = {.kind = JOB_BODY, .ino = ino, .folder = folder, .size = size};
    int r = account_may_connect(a);
    return r < 0 ? r : queue_add(a->queue, &job, waiter);
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

int account_status(int r)
{
    switch (r) {
    case -ENETUNREACH:
    case -EHOSTUNREACH:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -EKEYREJECTED:
    case -EAGAIN:
        return -ENETUNREACH;
    case 0:
    case -ETIMEDOUT:
    case -EKEYEXPIRED:
    case -ENOENT:
    case -EACCES:
    case -ENOSPC:
    case -ENOMEM:
    case -ESHUTDOWN:
        return r;
    case -ECANCELED:
        return -ESHUTDOWN;
    default:
        return -EIO;
    }
}

int account_may_connect(struct account *a)
{
    pthread_mutex_lock(&a->mutex);
    bool wait = a->state != ACCOUNT_ONLINE && clock_mono_ms() < a->next_attempt_ms;
    int r = a->stopping ? -ESHUTDOWN : wait ? account_status(a->last_error) : 0;
    pthread_mutex_unlock(&a->mutex);
    return r;
}

void account_set_online(struct account *a, const struct imap *im)
{
    pthread_mutex_lock(&a->mutex);
    bool news = a->state != ACCOUNT_ONLINE;
    a->state = ACCOUNT_ONLINE;
    a->failures = 0;
    a->last_error = 0;
    a->last_text.text[0] = '\0';
    a->next_attempt_ms = 0;
    a->logins++;
    a->server_caps = imap_caps(im);
    size_t n = strnlen(imap_mechanism(im), sizeof(a->mechanism) - 1);
    memcpy(a->mechanism, imap_mechanism(im), n);
    a->mechanism[n] = '\0';
    pthread_mutex_unlock(&a->mutex);
    if (news)
        log_info("%s: online, logged in by %s", a->settings->host, imap_mechanism(im));
}

/* Half of the step fixed, half random, so that many clients do not come back together. */
static int64_t backoff_ms(unsigned failures)
{
    int64_t step = BACKOFF_FIRST_MS;
    uint32_t random = 0;
    for (unsigned i = 1; i < failures && step < BACKOFF_MAX_MS; i++)
        step *= 2;
    if (step > BACKOFF_MAX_MS)
        step = BACKOFF_MAX_MS;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = (uint32_t)clock_wall_ns();
    return step / 2 + (int64_t)(random % (uint32_t)(step / 2 + 1));
}

void account_set_offline(struct account *a, int r, const struct errtext *err)
{
    bool refused = r == -EKEYEXPIRED;
    pthread_mutex_lock(&a->mutex);
    bool stopping = a->stopping;
    a->state = refused ? ACCOUNT_REFUSED : ACCOUNT_OFFLINE;
    a->failures++;
    a->last_error = r;
    a->last_text = *err;
    int64_t wait = refused ? BACKOFF_MAX_MS : backoff_ms(a->failures);
    a->next_attempt_ms = clock_mono_ms() + wait;
    pthread_mutex_unlock(&a->mutex);
    if (stopping)
        return;
    log_warn("%s; cached mail stays readable, next attempt in %lld s", err->text,
             (long long)(wait + 999) / 1000);
    queue_fail_all(a->queue, account_status(r));
}

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

void account_snapshot(struct account *a, struct account_snapshot *ret)
{
    memset(ret, 0, sizeof(*ret));
    queue_count(a->queue, &ret->jobs_waiting, &ret->jobs_running);
    pthread_mutex_lock(&a->mutex);
    ret->state = a->state;
    memcpy(ret->error, a->last_text.text, sizeof(ret->error));
    ret->next_attempt_ms = a->state == ACCOUNT_ONLINE ? 0 : a->next_attempt_ms;
    ret->bytes_up = a->bytes_up;
    ret->bytes_down = a->bytes_down;
    ret->commands = a->commands;
    ret->bodies_fetched = a->bodies_fetched;
    ret->logins = a->logins;
    memcpy(ret->mechanism, a->mechanism, sizeof(ret->mechanism));
    pthread_mutex_unlock(&a->mutex);
    ret->n_connections = a->n_workers;
    for (unsigned i = 0; i < a->n_workers; i++) {
        ret->connections[i].connected = a->workers[i].connected;
        ret->connections[i].folder = a->workers[i].selected;
    }
}
