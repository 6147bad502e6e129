#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void cleanup_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

void cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

int err_set(struct errtext *err, int code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
        for (char *c = err->text; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 0x7f)
                *c = '?';
    }
    return -code;
}

int parse_u64(const char *text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (max - digit) / 10 || digit > max)
            return -ERANGE;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return 0;
}

int parse_bytes(const char *text, uint64_t *ret_bytes)
{
    size_t n = strlen(text);
    char digits[32];
    unsigned shift = 0;
    if (n == 0 || n >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, text, n + 1);
    switch (digits[n - 1]) {
    case 'K':
    case 'k':
        shift = 10;
        break;
    case 'M':
    case 'm':
        shift = 20;
        break;
    case 'G':
    case 'g':
        shift = 30;
        break;
    case 'T':
    case 't':
        shift = 40;
        break;
    default:
        break;
    }
    if (shift)
        digits[n - 1] = '\0';
    uint64_t value;
    int r = parse_u64(digits, UINT64_MAX >> (shift + 1), &value);
    if (r < 0)
        return r;
    *ret_bytes = value << shift;
    return 0;
}

int64_t clock_mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int write_full(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -errno;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int pwrite_full(int fd, const void *data, size_t n, off_t offset)
{
    const char *p = data;
    while (n > 0) {
        ssize_t w = pwrite(fd, p, n, offset);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -errno;
        p += w;
        offset += w;
        n -= (size_t)w;
    }
    return 0;
}

ssize_t read_full(int fd, void *data, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = read(fd, (char *)data + done, n - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

ssize_t pread_full(int fd, void *data, size_t n, off_t offset)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = pread(fd, (char *)data + done, n - done, offset + (off_t)done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

int mkdir_private(const char *path)
{
    CLEANUP_FREE char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    if (mkdir(copy, 0700) < 0 && errno != EEXIST)
        return -errno;
    struct stat st;
    if (stat(copy, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if (st.st_uid != geteuid() || (st.st_mode & 077))
        return -EPERM;
    return 0;
}

static int sync_directory(const char *dir)
{
    CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

int file_replace(const char *dir, const char *name, const void *data, size_t n)
{
    CLEANUP_FREE char *path = str_printf("%s/%s", dir, name);
    CLEANUP_FREE char *temp = str_printf("%s/%s.tmp", dir, name);
    if (!path || !temp)
        return -ENOMEM;
    CLEANUP_FD int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = write_full(fd, data, n);
    if (r == 0 && (fsync(fd) < 0 || rename(temp, path) < 0))
        r = -errno;
    if (r < 0) {
        unlink(temp);
        return r;
    }
    return sync_directory(dir);
}

/* Sizes are not believed: files of /proc say 0, others may grow while they are read. */
int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP_FREE char *text = NULL;
    size_t len = 0, alloc = 0;
    if (fd < 0)
        return -errno;
    for (;;) {
        if (alloc - len < 2) {
            alloc = alloc ? alloc * 2 : 4096;
            char *larger = realloc(text, alloc);
            if (!larger)
                return -ENOMEM;
            text = larger;
        }
        ssize_t n = read_full(fd, text + len, alloc - len - 1);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max)
            return -EFBIG;
    }
    text[len] = '\0';
    *ret_text = steal(&text);
    if (ret_len)
        *ret_len = len;
    return 0;
}

char *str_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return n < 0 ? NULL : text;
}
