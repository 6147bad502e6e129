#include "lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define DYING_MS      5000
#define DYING_STEP_MS 20

int lockfile_set_pid(int fd, const char *mountpoint)
{
    CLEANUP_FREE char *text = str_printf("%d %s\n", (int)getpid(), mountpoint);
    if (!text)
        return -ENOMEM;
    if (ftruncate(fd, 0) < 0)
        return -errno;
    return pwrite_full(fd, text, strlen(text), 0);
}

/* The mount point of whoever holds the lock; the text may be unfinished or old. */
static void holder(int fd, char *out, size_t max)
{
    ssize_t n = pread_full(fd, out, max - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    char *blank = strchr(out, ' ');
    if (blank)
        memmove(out, blank + 1, strlen(blank + 1) + 1);
}

/* Whether the holder has been killed and the kernel is still clearing up after it. */
static bool holder_is_dying(int fd)
{
    char text[64], path[64];
    ssize_t n = pread_full(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    long pid = strtol(text, NULL, 10);
    if (pid <= 0)
        return false;
    snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
    CLEANUP_FD int cmdline = open(path, O_RDONLY | O_CLOEXEC);
    return cmdline < 0 ? errno == ENOENT : read_full(cmdline, text, 1) <= 0;
}

static int lock(int fd)
{
    const struct timespec step = {.tv_nsec = DYING_STEP_MS * 1000000L};
    for (int waited = 0;; waited += DYING_STEP_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        int r = -errno;
        if (r != -EWOULDBLOCK || waited >= DYING_MS || !holder_is_dying(fd))
            return r;
        nanosleep(&step, NULL);
    }
}

int lockfile_take(const char *state_dir, const char *account, const char *mountpoint, int *ret_fd,
                  struct errtext *err)
{
    int r = mkdir_private(state_dir);
    if (r < 0)
        return err_set(err, -r, "state directory %s: %s", state_dir,
                       r == -EPERM ? "must be yours and closed to others (chmod 700)"
                                   : strerror(-r));
    CLEANUP_FREE char *path = str_printf("%s/lock", state_dir);
    if (!path)
        return err_set(err, ENOMEM, "out of memory");
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    r = lock(fd);
    if (r < 0) {
        char other[4096];
        if (r != -EWOULDBLOCK)
            return err_set(err, -r, "%s: %s", path, strerror(-r));
        holder(fd, other, sizeof(other));
        return err_set(err, EBUSY, "%s is already mounted at %s", account,
                       other[0] ? other : "(starting)");
    }
    r = lockfile_set_pid(fd, mountpoint);
    if (r < 0)
        return err_set(err, -r, "%s: %s", path, strerror(-r));
    *ret_fd = steal_fd(&fd);
    return 0;
}
