#include "mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "str.h"

extern char **environ;

#define BUSY_TRIES    10
#define MOUNTINFO_MAX ((size_t)16 << 20)
#define FS_TYPE       "fuse.mailmount"
#define SOCKET_XATTR  "user.mailmount.socket"

/* One line of mountinfo; strings point into the line. */
struct mount_line {
    char *path; /* octal escapes undone */
    char *type;
    char *options; /* of the file system: rw,user_id=0,... */
};

/* ---- /proc/self/mountinfo (proc(5)) */

static int read_mountinfo(struct str *out)
{
    CLEANUP_FD int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    str_append_text(out, "");
    for (;;) {
        int r = str_reserve(out, 16384);
        if (r < 0)
            return r;
        ssize_t n = read_full(fd, out->data + out->len, 16384);
        if (n <= 0)
            return (int)n;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

/* \040 and the like, in place. */
static void unescape(char *text)
{
    char *out = text;
    for (char *c = text; *c; c++) {
        if (c[0] == '\\' && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' && c[2] <= '7' &&
            c[3] >= '0' && c[3] <= '7') {
            *out++ = (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0'));
            c += 3;
        } else {
            *out++ = *c;
        }
    }
    *out = '\0';
}

/* The next field of the line, ended with a NUL; "" behind the last. */
static char *next_field(char **rest)
{
    char *field = *rest;
    *rest += strcspn(*rest, " ");
    if (**rest)
        *(*rest)++ = '\0';
    return field;
}

/* 36 35 98:0 /root /mount/point options optional... - type source options */
static void split_line(char *line, struct mount_line *ret)
{
    for (int i = 0; i < 4; i++)
        next_field(&line);
    ret->path = next_field(&line);
    unescape(ret->path);
    while (*line && strcmp(next_field(&line), "-") != 0)
        ;
    ret->type = next_field(&line);
    next_field(&line);
    ret->options = line;
}

typedef bool line_fn(void *ctx, const struct mount_line *mount); /* false: enough */

static int each_line(line_fn *fn, void *ctx)
{
    CLEANUP_STR struct str text = STR_INIT(MOUNTINFO_MAX);
    int r = read_mountinfo(&text);
    if (r < 0)
        return r;
    for (char *line = text.data; *line;) {
        char *end = line + strcspn(line, "\n");
        char *next = *end ? end + 1 : end;
        struct mount_line mount;
        *end = '\0';
        split_line(line, &mount);
        if (!fn(ctx, &mount))
            break;
        line = next;
    }
    return 0;
}

struct search {
    const char *path;
    bool found;
};

/* A later line lies above an earlier one at the same place. */
static bool look_for_path(void *ctx, const struct mount_line *mount)
{
    struct search *search = ctx;
    if (strcmp(mount->path, search->path) == 0)
        search->found = strcmp(mount->type, FS_TYPE) == 0;
    return true;
}

static int is_mounted(const char *path)
{
    struct search search = {.path = path};
    int r = each_line(look_for_path, &search);
    return r < 0 ? r : search.found;
}

/* ---- resolving */

/* The parent resolved, and the last component as it is: a dead mount cannot be looked into.
 * NULL: the last component is not a name. */
static char *resolve_parent(const char *dir)
{
    CLEANUP_FREE char *copy = strdup(dir);
    if (!copy)
        return NULL;
    size_t n = strlen(copy);
    while (n > 1 && copy[n - 1] == '/')
        copy[--n] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return NULL;
    const char *parent = !slash ? "." : slash == copy ? "/" : copy;
    if (slash && slash != copy)
        *slash = '\0';
    CLEANUP_FREE char *real = realpath(parent, NULL);
    if (!real)
        return NULL;
    return str_printf("%s/%s", strcmp(real, "/") == 0 ? "" : real, name);
}

/* The path of the mount of ours that DIR names.  Errors as mountpoint_is_ours. */
static int find(const char *dir, char **ret_path)
{
    CLEANUP_FREE char *path = resolve_parent(dir);
    int r = path ? is_mounted(path) : 0;
    if (r == 0) {
        /* Not that; DIR may be a symbolic link to a mount point, or `.` */
        free(path);
        path = realpath(dir, NULL);
        if (!path)
            return errno == ENOENT || errno == ENOTDIR ? -ENOENT : -EINVAL;
        r = is_mounted(path);
    }
    if (r < 0)
        return r;
    if (r == 0)
        return -EINVAL;
    *ret_path = steal(&path);
    return 0;
}

/* Not stat(2): the kernel would answer that from its cache. */
static bool is_dead(const char *path)
{
    struct statfs st;
    return statfs(path, &st) < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

int mountpoint_is_ours(const char *dir, bool *ret_dead)
{
    CLEANUP_FREE char *path = NULL;
    int r = find(dir, &path);
    if (r == 0 && ret_dead)
        *ret_dead = is_dead(path);
    return r;
}

struct each {
    mountpoint_fn *fn;
    void *ctx;
    char user_id[32];
};

static bool call_for_line(void *ctx, const struct mount_line *mount)
{
    struct each *each = ctx;
    const char *user =
        strcmp(mount->type, FS_TYPE) == 0 ? strstr(mount->options, each->user_id) : NULL;
    size_t n = strlen(each->user_id);
    if (user && (user[n] == ',' || user[n] == '\0'))
        each->fn(each->ctx, mount->path);
    return true;
}

int mountpoint_each(mountpoint_fn *fn, void *ctx)
{
    struct each each = {.fn = fn, .ctx = ctx};
    snprintf(each.user_id, sizeof(each.user_id), "user_id=%u", (unsigned)geteuid());
    return each_line(call_for_line, &each);
}

int mountpoint_socket(const char *dir, char **ret_path)
{
    char value[PATH_MAX];
    ssize_t n = getxattr(dir, SOCKET_XATTR, value, sizeof(value) - 1);
    if (n < 0 && errno == ENOTCONN)
        return -ENOTCONN;
    if (n <= 0 || value[0] != '/' || memchr(value, '\0', (size_t)n))
        return -ENODATA;
    char *path = strndup(value, (size_t)n);
    if (!path)
        return -ENOMEM;
    *ret_path = path;
    return 0;
}

/* ---- unmounting */

static int spawn_fusermount(char *const *argv, int output, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    int e = posix_spawn_file_actions_init(&actions);
    if (e)
        return -e;
    e = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    if (!e)
        e = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    if (!e)
        e = posix_spawnp(ret_pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -e;
}

/* What it says on standard error is the reason; it gives no other. */
static int run_fusermount(const char *path, bool lazy, struct errtext *err)
{
    char *argv[] = {(char *)"fusermount3", (char *)(lazy ? "-uz" : "-u"), (char *)"--",
                    (char *)path, NULL};
    char said[400] = "";
    int ends[2], status = 0;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    CLEANUP_FD int output = ends[0];
    int r = spawn_fusermount(argv, ends[1], &pid);
    close(ends[1]);
    if (r < 0)
        return err_set(err, -r, "%s: fusermount3: %s", path, strerror(-r));
    ssize_t n = read_full(output, said, sizeof(said) - 1);
    said[n < 0 ? 0 : strcspn(said, "\n")] = '\0';
    close(steal_fd(&output));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(err, errno, "%s: fusermount3: %s", path, strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (strcasestr(said, "busy"))
        return err_set(err, EBUSY, "%s: in use", path);
    return err_set(err, EPERM, "%s: %s", path, *said ? said : "fusermount3 failed");
}

static int unmount_path(const char *path, bool lazy, struct errtext *err)
{
    if (geteuid() == 0) {
        if (umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
            return 0;
        if (errno == EBUSY)
            return err_set(err, EBUSY, "%s: in use", path);
        if (errno != EPERM)
            return err_set(err, errno, "%s: %s", path, strerror(errno));
    }
    return run_fusermount(path, lazy, err);
}

int mountpoint_unmount(const char *dir, bool lazy, struct errtext *err)
{
    CLEANUP_FREE char *path = NULL;
    int r = find(dir, &path);
    if (r < 0)
        return err_set(err, -r, "%s: not a mailmount mount point", dir);
    /* The helper that announces changes is in the mount for moments; who else is there, stays. */
    r = unmount_path(path, lazy, err);
    for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000L}, NULL);
        r = unmount_path(path, lazy, err);
    }
    return r;
}

int mountpoint_detach_dead(const char *dir, struct errtext *err)
{
    CLEANUP_FREE char *path = NULL;
    if (find(dir, &path) < 0 || !is_dead(path))
        return 0;
    return unmount_path(path, true, err);
}

int mountpoint_wait_gone(const char *dir, int timeout_ms)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    while (mountpoint_is_ours(dir, NULL) == 0) {
        if (clock_mono_ms() >= deadline)
            return -ETIMEDOUT;
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000L}, NULL);
    }
    return 0;
}
