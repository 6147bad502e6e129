#include "connect.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "backoff.h"
#include "log.h"

#define TAKE_MORE_MS 5000 /* between one more connection and the next, once it goes upward */

static enum imap_tls tls_mode(enum settings_tls tls)
{
    static const enum imap_tls modes[] = {[SETTINGS_TLS_IMPLICIT] = IMAP_TLS_IMPLICIT,
                                          [SETTINGS_TLS_STARTTLS] = IMAP_TLS_STARTTLS,
                                          [SETTINGS_TLS_NONE] = IMAP_TLS_NONE};
    return modes[tls];
}

/* ---- the secret.  login_mutex is held. */

/* A command's output is asked for anew at each login: an access token may have expired.
 * *ret_changed: it is another one than before. */
static int fresh_secret(struct account *a, bool *ret_changed, struct errtext *err)
{
    struct secret *fresh;
    int r = secret_get(a->settings, false, a->secret, &fresh, err);
    if (r < 0)
        return r;
    *ret_changed = strcmp(secret_text(fresh), secret_text(a->secret)) != 0;
    pthread_mutex_lock(&a->mutex);
    secret_free(a->secret);
    a->secret = fresh;
    pthread_mutex_unlock(&a->mutex);
    return 0;
}

static int log_in(struct worker *w, struct imap_failure *failure, struct errtext *err)
{
    struct account *a = w->account;
    const struct settings *s = a->settings;
    struct imap_settings settings = {
        .host = s->host,
        .port = s->port,
        .tls = tls_mode(s->tls),
        .cafile = s->cafile,
        .user = s->user,
        .secret = secret_text(a->secret),
        .auth = s->auth,
        .timeout_ms = s->timeout_s * 1000,
        .interrupt_fd = a->interrupt_fd,
        .failure = failure,
    };
    return imap_connect(&settings, &w->im, err);
}

static int log_in_with_secret(struct worker *w, struct imap_failure *failure, struct errtext *err)
{
    struct account *a = w->account;
    bool changed;
    pthread_mutex_lock(&a->mutex);
    bool first = a->logins == 0 && a->logins_failed == 0;
    pthread_mutex_unlock(&a->mutex);
    int r = first ? 0 : fresh_secret(a, &changed, err);
    if (r < 0)
        return r;
    r = log_in(w, failure, err);
    if (r != -EKEYEXPIRED || first || !a->settings->passcmd)
        return r;
    /* The command may have given a token from its cache that has just expired.  Once more, and only
     * if it says something new: the same again would be hammering. */
    struct errtext again = {""};
    if (fresh_secret(a, &changed, &again) < 0 || !changed)
        return r;
    log_info("%s; trying once with what passcmd= says now", err->text);
    *failure = (struct imap_failure){0};
    return log_in(w, failure, err);
}

int worker_connect(struct worker *w, struct imap_failure *ret_failure, struct errtext *err)
{
    struct account *a = w->account;
    /* Logins of one account are made one after another: servers count them per minute, and the
     * secret can be replaced safely. */
    static pthread_mutex_t login_mutex = PTHREAD_MUTEX_INITIALIZER;
    *ret_failure = (struct imap_failure){0};
    pthread_mutex_lock(&login_mutex);
    worker_set_state(w, CONNECTION_CONNECTING);
    /* Another worker may have failed while this one waited: one attempt is enough. */
    bool tried = account_may_connect(a) == 0 && connect_may(w);
    int r = tried ? log_in_with_secret(w, ret_failure, err) : -EALREADY;
    if (r == 0)
        w->connected = true; /* under the mutex: connect_may counts */
    pthread_mutex_unlock(&login_mutex);
    worker_set_state(w, r == 0 ? CONNECTION_READY : CONNECTION_CLOSED);
    if (r < 0 && tried && r != -ECANCELED) {
        pthread_mutex_lock(&a->mutex);
        a->logins_failed++;
        pthread_mutex_unlock(&a->mutex);
    }
    if (r < 0)
        return r;
    w->published = (struct imap_counters){0};
    w->selected = 0;
    w->notify_set = false;
    w->check = false;
    account_set_online(a, w->im);
    /* Its answer is waited for when it matters: it travels with the first command. */
    const uint32_t need = IMAP_CAP_QRESYNC | IMAP_CAP_ENABLE;
    w->enable_sent =
        (imap_caps(w->im) & need) == need && imap_send_enable(w->im, true, &w->enable) == 0;
    return 0;
}

/* ---- what a connection says */

static void note_alert(struct worker *w)
{
    struct account *a = w->account;
    struct imap_failure alert;
    if (!imap_take_alert(w->im, &alert))
        return;
    pthread_mutex_lock(&a->mutex);
    bool news = strcmp(a->alert, alert.text) != 0;
    memcpy(a->alert, alert.text, sizeof(a->alert));
    a->alert_ns = clock_wall_ns();
    pthread_mutex_unlock(&a->mutex);
    if (news)
        log_warn("%s says: %s", a->settings->host, alert.text);
}

static void note_refusal(struct worker *w)
{
    struct account *a = w->account;
    struct imap_failure refusal;
    struct errtext err = {""};
    if (!imap_take_refusal(w->im, &refusal))
        return;
    pthread_mutex_lock(&a->mutex);
    struct backoff_cause cause = {.error = -EAGAIN,
                                  .code = refusal.code,
                                  .text = refusal.text,
                                  .suggested_ms = refusal.backoff_ms,
                                  .failures = a->failures + 1};
    int64_t wait = backoff_pause(&cause, random_u32());
    if (wait > 0)
        a->failures++;
    pthread_mutex_unlock(&a->mutex);
    if (wait == 0)
        return;
    err_set(&err, EAGAIN, "%s: %s%s%s%s", a->settings->host, refusal.code[0] ? "[" : "",
            refusal.code, refusal.code[0] ? "] " : "", refusal.text);
    account_pause(a, -EAGAIN, wait, &err);
}

void worker_publish(struct worker *w)
{
    struct imap_counters now;
    if (!w->im)
        return;
    imap_counters(w->im, &now);
    pthread_mutex_lock(&w->account->mutex);
    w->account->bytes_up += now.bytes_up - w->published.bytes_up;
    w->account->bytes_down += now.bytes_down - w->published.bytes_down;
    w->account->commands += now.commands - w->published.commands;
    pthread_mutex_unlock(&w->account->mutex);
    w->published = now;
    note_alert(w);
    note_refusal(w);
}

void worker_disconnect(struct worker *w)
{
    struct account *a = w->account;
    worker_publish(w);
    bool broken = w->im && imap_error(w->im) < 0 && imap_error(w->im) != -ECANCELED;
    imap_free(w->im);
    w->im = NULL;
    w->selected = 0;
    if (!w->connected)
        return;
    w->connected = false;
    worker_set_state(w, CONNECTION_CLOSED);
    if (broken) {
        pthread_mutex_lock(&a->mutex);
        a->connections_lost++;
        pthread_mutex_unlock(&a->mutex);
    }
    queue_poke(a->queue); /* another may connect now */
}

/* ---- how many */

unsigned connect_count(const struct account *a)
{
    unsigned n = 0;
    for (unsigned i = 0; i < a->n_workers; i++)
        n += a->workers[i].connected;
    return n;
}

bool connect_is_retired(const struct worker *w)
{
    return w->index >= w->account->taken;
}

bool connect_may(const struct worker *w)
{
    if (connect_is_retired(w))
        return false;
    return w->connected || connect_count(w->account) < w->account->taken;
}

void connect_wake_all(struct account *a)
{
    for (unsigned i = 0; i < a->n_workers; i++) {
        int r = eventfd_write(a->workers[i].wake_fd, 1);
        (void)r; /* a full counter is readable, too */
    }
    queue_poke(a->queue);
}

void connect_take_fewer(struct account *a, unsigned n, int64_t wait_ms)
{
    pthread_mutex_lock(&a->mutex);
    if (n < a->taken)
        a->taken = n;
    a->taken_again_ms = clock_mono_ms() + wait_ms;
    pthread_mutex_unlock(&a->mutex);
    connect_wake_all(a);
}

void connect_take_more(struct account *a)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&a->mutex);
    bool due = a->taken < a->n_workers && a->state == ACCOUNT_ONLINE && now >= a->taken_again_ms;
    if (due) {
        a->taken++;
        a->taken_again_ms = now + TAKE_MORE_MS;
    }
    pthread_mutex_unlock(&a->mutex);
    if (due)
        connect_wake_all(a);
}

/* One more was refused while others work. */
static void go_on_with_fewer(struct worker *w, int r, const struct imap_failure *failure,
                             const struct errtext *err)
{
    struct account *a = w->account;
    struct backoff backoff;
    pthread_mutex_lock(&a->mutex);
    struct backoff_cause cause = {.error = r,
                                  .code = failure->code,
                                  .text = failure->text,
                                  .suggested_ms = failure->backoff_ms,
                                  .failures = ++a->taken_failures,
                                  .connected = connect_count(a)};
    pthread_mutex_unlock(&a->mutex);
    backoff_decide(&cause, random_u32(), &backoff);
    log_warn("%s; going on with %u connections, one more is tried in %lld s", err->text,
             backoff.connections, (long long)(backoff.wait_ms + 999) / 1000);
    connect_take_fewer(a, backoff.connections, backoff.wait_ms);
}

/* ---- a connection to work with */

/* After a network change: the connection may be dead without having said so. */
static void check(struct worker *w)
{
    if (!w->im || !atomic_exchange(&w->check, false) || imap_error(w->im) < 0)
        return;
    if (imap_check(w->im) < 0 && imap_error(w->im) < 0 && imap_error(w->im) != -ECANCELED)
        log_info("%s; connecting anew", imap_errmsg(w->im));
}

int worker_have_connection(struct worker *w, bool *ret_fresh)
{
    struct account *a = w->account;
    struct errtext err = {""};
    struct imap_failure failure;
    *ret_fresh = false;
    int r = account_may_connect(a);
    if (r < 0)
        return r;
    if (connect_is_retired(w)) {
        worker_disconnect(w);
        return -EBUSY;
    }
    check(w);
    if (w->im && imap_error(w->im) == 0)
        return 0;
    worker_disconnect(w);
    if (!connect_may(w))
        return -EBUSY;
    r = worker_connect(w, &failure, &err);
    if (r == 0) {
        *ret_fresh = true;
        if (w->index + 1 == a->taken) { /* so many it takes */
            pthread_mutex_lock(&a->mutex);
            a->taken_failures = 0;
            pthread_mutex_unlock(&a->mutex);
        }
        return 0;
    }
    if (r == -EALREADY) {
        r = account_may_connect(a);
        return r < 0 ? r : -EBUSY;
    }
    if (r != -ECANCELED && connect_count(a) > 0) {
        go_on_with_fewer(w, r, &failure, &err);
        return -EBUSY;
    }
    account_set_offline(a, r, &failure, &err);
    return account_status(r);
}
