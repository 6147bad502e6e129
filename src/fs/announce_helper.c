#include "announce_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_TRIES 500 /* of 10 ms */

/* Standard input is the socket, nothing else is inherited. */
static int set_files(posix_spawn_file_actions_t *actions, int fd)
{
    int e = posix_spawn_file_actions_adddup2(actions, fd, STDIN_FILENO);
    for (int out = STDOUT_FILENO; !e && out <= STDERR_FILENO; out++)
        e = posix_spawn_file_actions_addopen(actions, out, "/dev/null", O_WRONLY, 0);
    if (!e)
        e = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    return e;
}

static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int e = posix_spawnattr_setsigmask(attributes, &none);
    if (!e)
        e = posix_spawnattr_setsigdefault(attributes, &all);
    if (!e)
        e = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return e;
}

static int spawn(const char *mountpoint, int fd, pid_t *ret_pid)
{
    char program[] = "mailmount", word[] = ANNOUNCER_WORD;
    char *argv[] = {program, word, (char *)mountpoint, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int e = posix_spawn_file_actions_init(&actions);
    if (e)
        return -e;
    e = posix_spawnattr_init(&attributes);
    if (!e) {
        e = set_files(&actions, fd);
        if (!e)
            e = set_signals(&attributes);
        if (!e) /* the very file that is running, also after an update */
            e = posix_spawn(ret_pid, "/proc/self/exe", &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return -e;
}

int helper_start(struct helper *helper, const char *mountpoint)
{
    int ends[2];
    pid_t pid;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    CLEANUP_FD int ours = ends[0], theirs = ends[1];
    int r = spawn(mountpoint, theirs, &pid);
    if (r < 0)
        return r;
    helper->fd = steal_fd(&ours);
    helper->pid = pid;
    return 0;
}

int helper_send(struct helper *helper, const struct announcer_request *request)
{
    ssize_t n = send(helper->fd, request, sizeof(*request), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n == (ssize_t)sizeof(*request) ? 0 : -EPIPE;
}

int helper_receive(struct helper *helper, struct announcer_reply *ret)
{
    struct announcer_reply reply;
    if (recv(helper->fd, &reply, sizeof(reply), MSG_DONTWAIT) != (ssize_t)sizeof(reply))
        return -EPIPE;
    *ret = reply;
    return 0;
}

int helper_end(struct helper *helper)
{
    pid_t pid = helper->pid;
    int status = 0;
    helper->pid = 0; /* first: once it is waited for, its number may be anybody's */
    if (helper->fd >= 0)
        close(helper->fd);
    helper->fd = -1;
    if (pid <= 0)
        return 0;
    kill(pid, SIGKILL);
    for (int i = 0; i < END_TRIES && waitpid(pid, &status, WNOHANG) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000L}, NULL);
    return status;
}
