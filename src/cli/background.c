#include "background.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "options.h"

struct report {
    int exit_code;
    char line[512];
};

/* The parent: passes on what the child says. */
static _Noreturn void wait_for_report(int fd, const char *mountpoint)
{
    struct report report = {.exit_code = EXIT_OTHER};
    struct stat st;
    ssize_t n = read_full(fd, &report, sizeof(report));
    if (n != (ssize_t)sizeof(report))
        snprintf(report.line, sizeof(report.line), "the daemon died while starting");
    if (report.line[0])
        fprintf(stderr, "mailmount: %s\n", report.line);
    if (report.exit_code == EXIT_OK && stat(mountpoint, &st) < 0) {
        fprintf(stderr, "mailmount: %s does not answer: %s\n", mountpoint, strerror(errno));
        report.exit_code = EXIT_OTHER;
    }
    _exit(report.exit_code);
}

int background_begin(bool foreground, const char *mountpoint, struct background *ret,
                     struct errtext *err)
{
    int pipe_fds[2];
    ret->report_fd = -1;
    if (foreground)
        return 0;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_set(err, errno, "pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0) {
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return err_set(err, errno, "fork: %s", strerror(errno));
    }
    if (pid > 0) {
        close(pipe_fds[1]);
        wait_for_report(pipe_fds[0], mountpoint);
    }
    close(pipe_fds[0]);
    setsid();
    ret->report_fd = pipe_fds[1];
    return 0;
}

static bool command_is_gone(int report_fd)
{
    struct pollfd p = {.fd = report_fd}; /* POLLERR: nobody reads any more */
    return report_fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

static void *watch_main(void *arg)
{
    struct background *b = arg;
    const struct timespec step = {.tv_nsec = 100000000};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    while (!b->done) {
        if (sigtimedwait(&signals, NULL, &step) > 0 || command_is_gone(b->report_fd)) {
            b->interrupted = true;
            b->interrupt(b->ctx);
            break;
        }
    }
    return NULL;
}

int background_watch(struct background *background, void (*interrupt)(void *ctx), void *ctx)
{
    background->interrupt = interrupt;
    background->ctx = ctx;
    int r = pthread_create(&background->thread, NULL, watch_main, background);
    background->watching = r == 0;
    return -r;
}

bool background_unwatch(struct background *background)
{
    background->done = true;
    if (background->watching)
        pthread_join(background->thread, NULL);
    background->watching = false;
    return background->interrupted || command_is_gone(background->report_fd);
}

void background_report(struct background *background, int exit_code, const char *line)
{
    struct report report = {.exit_code = exit_code};
    if (background->report_fd < 0) {
        if (line[0])
            fprintf(stderr, "mailmount: %s\n", line);
        return;
    }
    snprintf(report.line, sizeof(report.line), "%s", line);
    int written = write_full(background->report_fd, &report, sizeof(report));
    (void)written; /* the parent was killed: nobody is left to tell */
    close(background->report_fd);
    background->report_fd = -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
}
