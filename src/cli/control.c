#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control_reply.h"
#include "control_socket.h"
#include "log.h"

#define STACK_SIZE ((size_t)1 << 20)

int control_client_ms = 10000;

struct control {
    pthread_t thread;
    int listen_fd;
    int stop_fd; /* eventfd: readable when all threads shall end */
    char *path;
    dev_t dev; /* of the socket we made: another one at the path is not ours to remove */
    ino_t ino;
    control_fn *fn;
    void *ctx;
    pthread_mutex_t mutex;
    pthread_cond_t less;
    unsigned requests; /* protected by mutex: threads that answer */
};

struct request {
    struct control *control;
    int fd; /* owned */
};

/* ---- one request */

static int hex_value(char c)
{
    const char *digits = "0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Undoes %XX in place.  -EINVAL: not as control_call writes it, or a NUL. */
static int decode(char *text)
{
    char *out = text;
    for (; *text; text++) {
        char c = *text;
        if (c == '%') {
            int high = hex_value(text[1]);
            int low = high < 0 ? -1 : hex_value(text[2]);
            if (low < 0 || (high == 0 && low == 0))
                return -EINVAL;
            c = (char)(high * 16 + low);
            text += 2;
        }
        *out++ = c;
    }
    *out = '\0';
    return 0;
}

/* Splits the line in place.  Returns the number of words, or -EINVAL. */
static int split(char *line, char **argv)
{
    int argc = 0;
    for (;;) {
        char *space = strchr(line, ' ');
        if (space)
            *space = '\0';
        if (argc == CONTROL_ARGS_MAX || decode(line) < 0)
            return -EINVAL;
        argv[argc++] = line;
        if (!space)
            break;
        line = space + 1;
    }
    argv[argc] = NULL;
    return *argv[0] ? argc : -EINVAL;
}

/* The line without its end.  -EMSGSIZE: too long; -EINVAL: no line, or a NUL in it. */
static int read_request(const struct control *control, int fd, struct str *line)
{
    int64_t deadline = clock_mono_ms() + control_client_ms;
    for (;;) {
        char buffer[4096];
        int r = control_poll(fd, POLLIN, control->stop_fd, deadline);
        if (r < 0)
            return r;
        ssize_t n = read(fd, buffer, sizeof(buffer));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EINVAL;
        const char *end = memchr(buffer, '\n', (size_t)n);
        size_t take = end ? (size_t)(end - buffer) : (size_t)n;
        if (memchr(buffer, '\0', take))
            return -EINVAL;
        r = str_append(line, buffer, take);
        if (r < 0 || end)
            return r;
    }
}

static void serve(const struct control *control, int fd)
{
    CLEANUP_STR struct str line = STR_INIT(CONTROL_REQUEST_MAX);
    struct reply reply = {.fd = fd, .stop_fd = control->stop_fd};
    char *argv[CONTROL_ARGS_MAX + 1];
    if (control_check_peer(fd) < 0) {
        log_warn("control socket: a process of another user was turned away");
        return;
    }
    int r = read_request(control, fd, &line);
    int argc = r < 0 || line.len == 0 ? -EINVAL : split(line.data, argv);
    int code = 2;
    if (argc >= 0)
        code = control->fn(control->ctx, argc, argv, &reply);
    else if (r == -EMSGSIZE)
        r = reply_error(&reply, "the request is too long\n");
    else if (r == 0 || r == -EINVAL)
        r = reply_error(&reply, "not a request\n");
    else
        return; /* too slow, or we end */
    reply_exit(&reply, code);
}

static void *serve_main(void *arg)
{
    struct request *request = arg;
    struct control *control = request->control;
    serve(control, request->fd);
    close(request->fd);
    free(request);
    pthread_mutex_lock(&control->mutex);
    control->requests--;
    pthread_cond_broadcast(&control->less);
    pthread_mutex_unlock(&control->mutex);
    return NULL;
}

/* A thread of its own for the request; the descriptor is taken over. */
static void start_request(struct control *control, int fd)
{
    pthread_t thread;
    pthread_attr_t attr;
    struct request *request = malloc(sizeof(*request));
    int e = request ? pthread_attr_init(&attr) : ENOMEM;
    if (e == 0) {
        *request = (struct request){control, fd};
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attr, STACK_SIZE);
        pthread_mutex_lock(&control->mutex);
        control->requests++;
        pthread_mutex_unlock(&control->mutex);
        e = pthread_create(&thread, &attr, serve_main, request);
        pthread_attr_destroy(&attr);
        if (e == 0)
            return;
        pthread_mutex_lock(&control->mutex);
        control->requests--;
        pthread_mutex_unlock(&control->mutex);
    }
    log_error("control socket: %s; a verb gets no answer", strerror(e));
    free(request);
    close(fd);
}

/* Whether another request may be taken on now; waits a moment for it. */
static bool has_room(struct control *control)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&control->mutex);
    while (control->requests >= CONTROL_REQUESTS_MAX &&
           pthread_cond_timedwait(&control->less, &control->mutex, &until) == 0)
        ;
    bool room = control->requests < CONTROL_REQUESTS_MAX;
    pthread_mutex_unlock(&control->mutex);
    return room;
}

static void *run(void *arg)
{
    struct control *control = arg;
    for (;;) {
        bool room = has_room(control);
        struct pollfd p[] = {{.fd = room ? control->listen_fd : -1, .events = POLLIN},
                             {.fd = control->stop_fd, .events = POLLIN}};
        if (poll(p, 2, room ? -1 : 0) < 0 && errno != EINTR) {
            log_error("control socket: %s; verbs will not reach this mount", strerror(errno));
            return NULL;
        }
        if (p[1].revents)
            return NULL;
        if (!room)
            continue;
        int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            start_request(control, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            poll(&p[1], 1, 100); /* it will not get better by asking at once */
    }
}

/* ---- start and stop */

static int make_directory(const char *path, struct errtext *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *dir = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    int r = dir ? mkdir_private(dir) : -EINVAL;
    if (r == -EPERM)
        return err_set(err, EPERM, "%s: must belong to us and be closed to others (chmod 700)",
                       dir);
    return r < 0 ? err_set(err, -r, "%s: %s", dir ? dir : path, strerror(-r)) : 0;
}

/* Removes a socket that nobody answers on. */
static int remove_dead(const char *path)
{
    struct stat st;
    CLEANUP_FD int fd = control_connect(path);
    if (fd >= 0 || fd == -EAGAIN) /* EAGAIN: somebody listens and is busy */
        return -EADDRINUSE;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int listen_at(struct control *control)
{
    struct sockaddr_un address;
    struct stat st;
    CLEANUP_FD int dir = -1;
    int r = control_address(control->path, &address, &dir);
    if (r < 0)
        return r;
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode set before bind is the mode of the file: there is no moment when it is open. */
    if (fd < 0 || fchmod(fd, 0600) < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    if (listen(fd, 64) < 0 || lstat(control->path, &st) < 0) {
        r = -errno;
        unlink(control->path);
        return r;
    }
    control->listen_fd = steal_fd(&fd);
    control->dev = st.st_dev;
    control->ino = st.st_ino;
    return 0;
}

static void control_free(struct control *control)
{
    struct stat st;
    if (control->listen_fd >= 0 && lstat(control->path, &st) == 0 && st.st_dev == control->dev &&
        st.st_ino == control->ino)
        unlink(control->path);
    cleanup_fd(&control->listen_fd);
    cleanup_fd(&control->stop_fd);
    pthread_cond_destroy(&control->less);
    pthread_mutex_destroy(&control->mutex);
    free(control->path);
    free(control);
}

static void control_freep(struct control **control)
{
    if (*control)
        control_free(*control);
}

static int start_thread(struct control *control)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&control->thread, NULL, run, control);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -e;
}

int control_start(const char *path, control_fn *fn, void *ctx, struct control **ret,
                  struct errtext *err)
{
    CLEANUP(control_freep) struct control *control = calloc(1, sizeof(*control));
    if (!control)
        return err_set(err, ENOMEM, "out of memory");
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&control->mutex, NULL);
    pthread_cond_init(&control->less, &attr);
    pthread_condattr_destroy(&attr);
    control->listen_fd = -1;
    control->fn = fn;
    control->ctx = ctx;
    control->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    control->path = strdup(path);
    if (control->stop_fd < 0 || !control->path)
        return err_set(err, ENOMEM, "out of memory");
    int r = make_directory(path, err);
    if (r < 0)
        return r;
    r = listen_at(control);
    if (r == -EADDRINUSE) {
        r = remove_dead(path);
        if (r == 0)
            r = listen_at(control);
    }
    if (r == -EADDRINUSE)
        return err_set(err, EADDRINUSE, "%s: another daemon answers there", path);
    if (r == 0)
        r = start_thread(control);
    if (r < 0)
        return err_set(err, -r, "%s: %s", path, strerror(-r));
    *ret = steal(&control);
    return 0;
}

void control_stop(struct control *control)
{
    if (!control)
        return;
    uint64_t one = 1;
    (void)!write(control->stop_fd, &one, sizeof(one));
    pthread_join(control->thread, NULL);
    pthread_mutex_lock(&control->mutex);
    while (control->requests > 0)
        pthread_cond_wait(&control->less, &control->mutex);
    pthread_mutex_unlock(&control->mutex);
    control_free(control);
}
