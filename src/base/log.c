#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG_FILE_MAX (4 << 20)

static _Atomic(enum log_level) log_level = LOG_LEVEL_INFO;

static struct {
    pthread_mutex_t mutex;
    int fd;         /* protected by mutex; -1: no file */
    off_t size;     /* protected by mutex */
    char *path;     /* protected by mutex */
    bool to_stderr; /* protected by mutex */
} log_state = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .to_stderr = true};

void log_set_level(enum log_level level)
{
    log_level = level;
}

enum log_level log_get_level(void)
{
    return log_level;
}

void log_set_stderr(bool on)
{
    pthread_mutex_lock(&log_state.mutex);
    log_state.to_stderr = on;
    pthread_mutex_unlock(&log_state.mutex);
}

static int open_log(const char *path, off_t *ret_size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    struct stat st;
    *ret_size = fstat(fd, &st) == 0 ? st.st_size : 0;
    return fd;
}

int log_open_file(const char *path)
{
    off_t size;
    CLEANUP_FREE char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    int fd = open_log(path, &size);
    if (fd < 0)
        return fd;
    pthread_mutex_lock(&log_state.mutex);
    int old_fd = log_state.fd;
    char *old_path = log_state.path;
    log_state.fd = fd;
    log_state.size = size;
    log_state.path = steal(&copy);
    log_state.to_stderr = false;
    pthread_mutex_unlock(&log_state.mutex);
    if (old_fd >= 0)
        close(old_fd);
    free(old_path);
    return 0;
}

/* Called with the mutex held.  When the old file cannot be moved away we go on with it. */
static void rotate(void)
{
    CLEANUP_FREE char *old = str_printf("%s.1", log_state.path);
    off_t size;
    if (!old || rename(log_state.path, old) < 0)
        return;
    int fd = open_log(log_state.path, &size);
    if (fd < 0)
        return;
    close(log_state.fd);
    log_state.fd = fd;
    log_state.size = size;
}

static size_t format_time(char *text, size_t max)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(text, max, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(text + n, max - n, ".%03ldZ ", now.tv_nsec / 1000000);
    return n;
}

void log_write(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    if (level > log_level)
        return;
    char line[1100];
    size_t stamp = format_time(line, sizeof(line));
    size_t begin = stamp + (size_t)snprintf(line + stamp, 16, "%s", names[level]);
    va_list args;
    va_start(args, format);
    vsnprintf(line + begin, 1000, format, args);
    va_end(args);
    for (char *c = line + begin; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    size_t n = strlen(line);
    line[n++] = '\n';

    pthread_mutex_lock(&log_state.mutex);
    if (log_state.to_stderr)
        dprintf(STDERR_FILENO, "mailmount: %.*s", (int)(n - stamp), line + stamp);
    if (log_state.fd >= 0 && write_full(log_state.fd, line, n) == 0) {
        log_state.size += (off_t)n;
        if (log_state.size > LOG_FILE_MAX)
            rotate();
    }
    pthread_mutex_unlock(&log_state.mutex);
}
