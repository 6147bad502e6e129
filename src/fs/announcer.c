#include "announcer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SOCKET_FD STDIN_FILENO

/* The directory, if it is the daemon's.  Where the mount is gone, or something else is mounted
 * over it or in it, the same path leads to files that are not ours to touch.  The descriptor pins
 * what was checked; asking costs no request to the daemon. */
static int open_directory(const struct announcer_request *q)
{
    struct statx st;
    CLEANUP_FD int fd = open(q->directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &st) < 0)
        return -errno;
    if (st.stx_dev_major != q->dev_major || st.stx_dev_minor != q->dev_minor)
        return -EXDEV;
    if (st.stx_ino != q->ino)
        return -ESTALE;
    return steal_fd(&fd);
}

static int perform(const struct announcer_request *q)
{
    CLEANUP_FD int fd = open_directory(q);
    int r = -1;
    if (fd < 0)
        return fd;
    errno = EINVAL;
    switch (q->op) {
    case ANNOUNCER_CREATE:
        r = mknodat(fd, q->name, S_IFREG | 0600, 0);
        break;
    case ANNOUNCER_DELETE:
        r = unlinkat(fd, q->name, 0);
        break;
    case ANNOUNCER_MKDIR:
        r = mkdirat(fd, q->name, 0700);
        break;
    case ANNOUNCER_RMDIR:
        r = unlinkat(fd, q->name, AT_REMOVEDIR);
        break;
    case ANNOUNCER_TOUCH:
        r = utimensat(fd, ".", NULL, 0);
        break;
    }
    return r < 0 ? -errno : 0;
}

/* Terminals and service managers signal whole groups; this process must outlive the daemon's last
 * request, and not its daemon: the end of the socket ends it. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
}

static bool is_packet_socket(int fd)
{
    int type = 0;
    socklen_t n = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

int announcer_main(int argc, char **argv)
{
    static struct announcer_request q;
    if (argc != 3 || !is_packet_socket(SOCKET_FD)) {
        fprintf(stderr, "mailmount: %s is for mailmount itself\n", argv[1]);
        return 1;
    }
    prctl(PR_SET_NAME, "mm-announcer");
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the socket have got into other hands */
    ignore_signals();
    if (chdir("/") < 0)
        return 1;
    for (;;) {
        ssize_t n = recv(SOCKET_FD, &q, sizeof(q), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        struct announcer_reply reply = {.error = -EPROTO};
        if (n == sizeof(q)) {
            q.directory[sizeof(q.directory) - 1] = q.name[sizeof(q.name) - 1] = '\0';
            reply.error = perform(&q);
        }
        if (send(SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
            return 0;
    }
}
