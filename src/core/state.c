/*
 * state.c -- what an account is like: online or not and since when, what a failure means, figures.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "account_internal.h"
#include "backoff.h"
#include "connect.h"
#include "log.h"

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

uint32_t random_u32(void)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = (uint32_t)clock_wall_ns();
    return random;
}

/* The mutex is held. */
static void set_state(struct account *a, enum account_state state)
{
    if (a->state != state)
        a->state_since_ns = clock_wall_ns();
    a->state = state;
}

/* The mutex is held. */
static void come_online(struct account *a)
{
    set_state(a, ACCOUNT_ONLINE);
    a->failures = 0;
    a->last_error = 0;
    a->last_text.text[0] = '\0';
    a->next_attempt_ms = 0;
    a->asked_to_wait = false;
    if (a->outage.began_ns && !a->outage.ended_ns) {
        a->outage.ended_ns = clock_wall_ns();
        a->recovering = true;
        a->refreshed = false;
    }
}

void account_set_online(struct account *a, const struct imap *im)
{
    pthread_mutex_lock(&a->mutex);
    bool news = a->state != ACCOUNT_ONLINE;
    come_online(a);
    a->logins++;
    a->server_caps = imap_caps(im);
    size_t n = strnlen(imap_mechanism(im), sizeof(a->mechanism) - 1);
    memcpy(a->mechanism, imap_mechanism(im), n);
    a->mechanism[n] = '\0';
    pthread_mutex_unlock(&a->mutex);
    if (news)
        log_info("%s: online, logged in by %s", a->settings->host, imap_mechanism(im));
}

void account_worked(struct account *a)
{
    pthread_mutex_lock(&a->mutex);
    /* While the server wants to be left alone, an answer that was under way changes nothing. */
    bool news = a->state != ACCOUNT_ONLINE && clock_mono_ms() >= a->next_attempt_ms;
    if (news)
        come_online(a);
    pthread_mutex_unlock(&a->mutex);
    if (news)
        log_info("%s: online again", a->settings->host);
}

void account_note_recovery(struct account *a)
{
    pthread_mutex_lock(&a->mutex);
    bool due = a->recovering && a->refreshed;
    pthread_mutex_unlock(&a->mutex);
    if (!due || queue_has(a->queue, JOB_LISTING) || queue_has(a->queue, JOB_REFRESH))
        return;
    pthread_mutex_lock(&a->mutex);
    due = a->recovering;
    a->recovering = false;
    a->outage.recovered_ns = clock_wall_ns();
    int64_t took = a->outage.recovered_ns - a->outage.ended_ns;
    int64_t away = a->outage.ended_ns - a->outage.began_ns;
    pthread_mutex_unlock(&a->mutex);
    if (due)
        log_info("%s: after %lld s offline all listings are up to date, in %lld ms",
                 a->settings->host, (long long)(away / 1000000000), (long long)(took / 1000000));
}

void account_set_offline(struct account *a, int r, const struct imap_failure *failure,
                         const struct errtext *err)
{
    struct backoff backoff;
    pthread_mutex_lock(&a->mutex);
    bool stopping = a->stopping;
    struct backoff_cause cause = {.error = r,
                                  .code = failure->code,
                                  .text = failure->text,
                                  .suggested_ms = failure->backoff_ms,
                                  .failures = ++a->failures};
    backoff_decide(&cause, random_u32(), &backoff);
    if (a->state != ACCOUNT_OFFLINE && a->state != ACCOUNT_REFUSED)
        a->outage = (struct account_outage){.began_ns = clock_wall_ns()};
    a->recovering = false;
    set_state(a, backoff.refused ? ACCOUNT_REFUSED : ACCOUNT_OFFLINE);
    a->last_error = r;
    a->last_text = *err;
    int64_t until = clock_mono_ms() + backoff.wait_ms;
    if (!a->asked_to_wait || until > a->next_attempt_ms) {
        a->next_attempt_ms = until;
        a->asked_to_wait = backoff.asked;
    }
    pthread_mutex_unlock(&a->mutex);
    if (stopping)
        return;
    log_warn("%s; cached mail stays readable, next attempt in %lld s", err->text,
             (long long)(backoff.wait_ms + 999) / 1000);
    if (backoff.connections)
        connect_take_fewer(a, backoff.connections, backoff.wait_ms);
    queue_fail_all(a->queue, account_status(r));
}

void account_pause(struct account *a, int r, int64_t wait_ms, const struct errtext *err)
{
    pthread_mutex_lock(&a->mutex);
    bool first = a->state == ACCOUNT_ONLINE;
    if (first) {
        a->outage = (struct account_outage){.began_ns = clock_wall_ns()};
        a->recovering = false;
        set_state(a, ACCOUNT_OFFLINE);
    }
    a->last_error = r;
    a->last_text = *err;
    a->next_attempt_ms = clock_mono_ms() + wait_ms;
    a->asked_to_wait = true;
    pthread_mutex_unlock(&a->mutex);
    log_warn("%s; no more commands for %lld s, as the server wants, cached mail stays readable",
             err->text, (long long)(wait_ms + 999) / 1000);
    queue_fail_all(a->queue, account_status(r));
}

const char *connection_state_name(enum connection_state state)
{
    static const char *const names[] = {
        [CONNECTION_CLOSED] = "closed",   [CONNECTION_CONNECTING] = "connecting",
        [CONNECTION_READY] = "ready",     [CONNECTION_BUSY] = "busy",
        [CONNECTION_IDLING] = "idling",   [CONNECTION_LISTENING] = "listening",
        [CONNECTION_RETIRED] = "retired",
    };
    return names[state];
}

static void connection_of(const struct worker *w, int64_t again_ms, struct account_connection *ret)
{
    *ret = (struct account_connection){.state = w->state,
                                       .connected = w->connected,
                                       .folder = w->selected,
                                       .since_ns = w->state_since_ns};
    if (ret->state == CONNECTION_CLOSED && w->index >= w->account->taken)
        ret->state = CONNECTION_RETIRED;
    if (ret->state == CONNECTION_RETIRED)
        ret->next_attempt_ms = again_ms;
}

void account_snapshot(struct account *a, struct account_snapshot *ret)
{
    memset(ret, 0, sizeof(*ret));
    queue_count(a->queue, &ret->jobs_waiting, &ret->jobs_running);
    pthread_mutex_lock(&a->mutex);
    ret->state = a->state;
    memcpy(ret->error, a->last_text.text, sizeof(ret->error));
    ret->since_ns = a->state_since_ns;
    ret->next_attempt_ms = a->state == ACCOUNT_ONLINE ? 0 : a->next_attempt_ms;
    ret->failures = a->failures;
    ret->bytes_up = a->bytes_up;
    ret->bytes_down = a->bytes_down;
    ret->commands = a->commands;
    ret->bodies_fetched = a->bodies_fetched;
    ret->logins = a->logins;
    ret->logins_failed = a->logins_failed;
    ret->connections_lost = a->connections_lost;
    ret->outage = a->outage;
    memcpy(ret->alert, a->alert, sizeof(ret->alert));
    ret->alert_ns = a->alert_ns;
    memcpy(ret->mechanism, a->mechanism, sizeof(ret->mechanism));
    int64_t again_ms = a->taken_again_ms;
    pthread_mutex_unlock(&a->mutex);
    ret->n_connections = a->n_workers;
    ret->connections_taken = a->taken;
    for (unsigned i = 0; i < a->n_workers; i++)
        connection_of(&a->workers[i], again_ms, &ret->connections[i]);
}
