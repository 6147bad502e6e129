#include "control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int control_address(const char *path, struct sockaddr_un *ret, int *ret_dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n < sizeof(address.sun_path)) {
        memcpy(address.sun_path, path, n + 1);
        *ret = address;
        *ret_dir = -1;
        return 0;
    }
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *dir = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    if (!dir)
        return slash ? -ENOMEM : -ENAMETOOLONG;
    CLEANUP_FD int fd = open(*dir ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int len =
        snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", fd, slash + 1);
    if (len < 0 || (size_t)len >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    *ret = address;
    *ret_dir = steal_fd(&fd);
    return 0;
}

int control_connect(const char *path)
{
    struct sockaddr_un address;
    CLEANUP_FD int dir = -1;
    int r = control_address(path, &address, &dir);
    if (r < 0)
        return r;
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return steal_fd(&fd);
}

int control_check_peer(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return -errno;
    return peer.uid == geteuid() || peer.uid == 0 ? 0 : -EPERM;
}

int control_poll(int fd, short events, int stop_fd, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - clock_mono_ms();
        struct pollfd p[] = {{.fd = fd, .events = events}, {.fd = stop_fd, .events = POLLIN}};
        if (left <= 0)
            return -ETIMEDOUT;
        int ready = poll(p, 2, left > INT_MAX ? INT_MAX : (int)left);
        if (ready < 0 && errno != EINTR)
            return -errno;
        if (ready > 0 && p[1].revents)
            return -ECANCELED;
        if (ready > 0 && p[0].revents)
            return 0;
    }
}
