#include "resolve.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Shared by the caller and the thread; the last of the two frees it. */
struct lookup {
    pthread_mutex_t mutex;
    int users;              /* protected by mutex */
    struct addrinfo *found; /* protected by mutex */
    int failure;            /* protected by mutex: EAI_* */
    int done_fd;            /* eventfd, written when the answer is there */
    char host[256], port[8];
};

static void lookup_put(struct lookup *lookup)
{
    pthread_mutex_lock(&lookup->mutex);
    bool last = --lookup->users == 0;
    pthread_mutex_unlock(&lookup->mutex);
    if (!last)
        return;
    if (lookup->found)
        freeaddrinfo(lookup->found);
    if (lookup->done_fd >= 0)
        close(lookup->done_fd);
    pthread_mutex_destroy(&lookup->mutex);
    free(lookup);
}

static int look_up(const char *host, const char *port, int flags, struct addrinfo **ret)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    return getaddrinfo(host, port, &hints, ret);
}

static void *lookup_thread(void *data)
{
    struct lookup *lookup = data;
    struct addrinfo *found = NULL;
    int failure = look_up(lookup->host, lookup->port, AI_ADDRCONFIG, &found);
    if (failure == EAI_NONAME || failure == EAI_ADDRFAMILY) /* nothing but loopback is up */
        failure = look_up(lookup->host, lookup->port, 0, &found);
    pthread_mutex_lock(&lookup->mutex);
    lookup->found = failure ? NULL : found;
    lookup->failure = failure;
    pthread_mutex_unlock(&lookup->mutex);
    if (eventfd_write(lookup->done_fd, 1) < 0)
        abort(); /* cannot fail: the counter is 0 */
    lookup_put(lookup);
    return NULL;
}

static int start(struct lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return -ENOMEM;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&thread, &attributes, lookup_thread, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -r;
}

static int wait_for(struct lookup *lookup, int interrupt_fd, int timeout_ms, struct errtext *err)
{
    struct pollfd fds[] = {{.fd = lookup->done_fd, .events = POLLIN},
                           {.fd = interrupt_fd, .events = POLLIN}};
    int64_t end = clock_mono_ms() + timeout_ms;
    for (;;) {
        int64_t left = end - clock_mono_ms();
        int n = left > 0 ? poll(fds, 2, (int)left) : 0;
        if (n == 0)
            return err_set(err, ETIMEDOUT, "looking up the host name took too long");
        if (n > 0 && fds[1].revents)
            return err_set(err, ECANCELED, "interrupted");
        if (n > 0)
            return 0;
    }
}

static int lookup_name(struct lookup *lookup, int interrupt_fd, int timeout_ms,
                       struct addrinfo **ret, struct errtext *err)
{
    int r = wait_for(lookup, interrupt_fd, timeout_ms, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&lookup->mutex);
    int failure = lookup->failure;
    struct addrinfo *found = lookup->found;
    lookup->found = NULL;
    pthread_mutex_unlock(&lookup->mutex);
    if (failure)
        return err_set(err, ENETUNREACH, "cannot find the host: %s", gai_strerror(failure));
    *ret = found;
    return 0;
}

int resolve_host(const char *host, uint16_t port, int interrupt_fd, int timeout_ms,
                 struct addrinfo **ret, struct errtext *err)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (!lookup)
        return err_set(err, ENOMEM, "out of memory");
    pthread_mutex_init(&lookup->mutex, NULL);
    lookup->users = 1;
    lookup->done_fd = -1;
    int r = 0;
    struct addrinfo *found;
    if ((size_t)snprintf(lookup->host, sizeof(lookup->host), "%s", host) >= sizeof(lookup->host))
        r = err_set(err, ENETUNREACH, "the host name is too long");
    snprintf(lookup->port, sizeof(lookup->port), "%u", port);
    if (r == 0 && look_up(lookup->host, lookup->port, AI_NUMERICHOST, &found) == 0) {
        lookup_put(lookup);
        *ret = found;
        return 0;
    }
    if (r == 0) {
        lookup->done_fd = eventfd(0, EFD_CLOEXEC);
        lookup->users = 2; /* before the thread exists */
        r = lookup->done_fd < 0 ? -errno : start(lookup);
        if (r < 0) {
            lookup->users = 1;
            err_set(err, -r, "cannot start looking up the host name");
        }
    }
    if (r == 0)
        r = lookup_name(lookup, interrupt_fd, timeout_ms, ret, err);
    lookup_put(lookup);
    return r;
}
