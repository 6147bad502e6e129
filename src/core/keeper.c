#include "keeper.h"

#include <time.h>

#include "account_internal.h"
#include "clocks.h"
#include "connect.h"
#include "log.h"
#include "netwatch.h"
#include "watch.h"

#define TICK_S 1

static void add_refresh(struct account *a)
{
    struct job job = {.kind = JOB_REFRESH};
    int r = queue_add(a->queue, &job, NULL);
    (void)r; /* only on shutdown or without memory: the next turn comes */
}

/* ---- all is different now */

/* Connections may be dead without having said so, and a server out of reach may be there again: it
 * is tried at once, unless it has asked to be left alone or refuses the login. */
static void look_at_once(struct account *a, const char *why)
{
    bool try_again = false;
    pthread_mutex_lock(&a->mutex);
    bool online = a->state == ACCOUNT_ONLINE;
    if (a->state == ACCOUNT_OFFLINE && !a->asked_to_wait) {
        a->next_attempt_ms = clock_mono_ms();
        a->failures = 0;
        try_again = true;
    }
    if (!a->asked_to_wait)
        a->taken_again_ms = 0;
    pthread_mutex_unlock(&a->mutex);
    if (online || try_again)
        log_info("%s: %s; %s", a->settings->host, why,
                 online ? "checking the connections" : "trying to connect at once");
    for (unsigned i = 0; online && i < a->n_workers; i++)
        a->workers[i].check = a->workers[i].connected;
    if (online)
        connect_wake_all(a);
    if (online || try_again)
        add_refresh(a);
}

/* ---- each second */

static bool refresh_is_due(struct account *a)
{
    pthread_mutex_lock(&a->mutex);
    int64_t now = clock_mono_ms();
    bool due = a->state == ACCOUNT_ONLINE ? now >= a->next_refresh_ms : now >= a->next_attempt_ms;
    if (a->stopping)
        due = false;
    if (due)
        a->next_refresh_ms = now + (int64_t)a->settings->poll_s * 1000;
    pthread_mutex_unlock(&a->mutex);
    return due;
}

static void tick(struct account *a, struct clocks *clocks, struct netwatch *netwatch)
{
    struct clocks now = clocks_read();
    const char *jumped = clocks_jumped(clocks, &now);
    bool changed = netwatch && netwatch_changed(netwatch, now.mono_ms);
    *clocks = now;
    if (jumped || changed)
        look_at_once(a, jumped ? jumped : "the network has changed");
    connect_take_more(a);
    watch_assign(a);
    if (refresh_is_due(a))
        add_refresh(a);
    account_note_recovery(a);
    store_checkpoint(a->store);
}

void *keeper_main(void *arg)
{
    struct account *a = arg;
    struct clocks clocks = clocks_read();
    struct netwatch *netwatch = NULL;
    if (netwatch_new(&netwatch) < 0)
        log_info("no rtnetlink here: network changes are noticed by time-outs only");
    pthread_mutex_lock(&a->mutex);
    while (!a->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += TICK_S;
        pthread_cond_timedwait(&a->wake_keeper, &a->mutex, &until);
        pthread_mutex_unlock(&a->mutex);
        tick(a, &clocks, netwatch);
        pthread_mutex_lock(&a->mutex);
    }
    pthread_mutex_unlock(&a->mutex);
    netwatch_free(netwatch);
    return NULL;
}
