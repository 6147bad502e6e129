#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "plain.h"

#define FOLDER_MAX 4097
#define STAMP_MAX  40 /* {"time":"2026-11-27T08:02:20.123Z", */

struct events {
    pthread_mutex_t mutex;
    int fd;           /* protected by mutex */
    size_t size;      /* protected by mutex: of the file */
    uint64_t dropped; /* protected by mutex */
    uint64_t told;    /* protected by mutex: of dropped, how many a line tells of */
    bool full;        /* protected by mutex: the last one could not be written */
    size_t max;
    char *path, *old_path;
};

static const char *const kind_words[EVENT_KINDS] = {
    [EVENT_STARTED] = "started",
    [EVENT_ENDED] = "ended",
    [EVENT_ONLINE] = "online",
    [EVENT_OFFLINE] = "offline",
    [EVENT_REFUSED] = "login-refused",
    [EVENT_CONNECTION] = "connection",
    [EVENT_LISTED] = "listed",
    [EVENT_SYNCED] = "synced",
    [EVENT_FAILED] = "failed",
    [EVENT_COMPARED] = "compared",
    [EVENT_FOLDER_ADDED] = "folder-added",
    [EVENT_FOLDER_REMOVED] = "folder-removed",
    [EVENT_FOLDER_RENAMED] = "folder-renamed",
    [EVENT_FOLDERS] = "folders",
    [EVENT_UIDVALIDITY] = "uidvalidity",
    [EVENT_CACHE] = "cache",
    [EVENT_BODY] = "body",
    [EVENT_PINNED] = "pinned",
    [EVENT_EVICTED] = "evicted",
    [EVENT_DROPPED] = "dropped",
};

/* ---- the file */

static int open_file(const char *path, size_t *ret_size)
{
    struct stat st;
    CLEANUP_FD int fd =
        open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    char last = '\n';
    size_t size = (size_t)st.st_size;
    /* A line that a crash has cut must not swallow the next one. */
    if (size > 0 && pread_full(fd, &last, 1, st.st_size - 1) == 1 && last != '\n' &&
        write(fd, "\n", 1) == 1)
        size++;
    *ret_size = size;
    return steal_fd(&fd);
}

static void events_freep(struct events **events)
{
    events_close(*events);
}

int events_open(const char *state_dir, size_t max, struct events **ret)
{
    CLEANUP(events_freep) struct events *events = calloc(1, sizeof(*events));
    if (!events)
        return -ENOMEM;
    pthread_mutex_init(&events->mutex, NULL);
    events->fd = -1;
    events->max = max;
    events->path = str_printf("%s/%s", state_dir, EVENTS_FILE);
    events->old_path = str_printf("%s/%s.1", state_dir, EVENTS_FILE);
    if (!events->path || !events->old_path)
        return -ENOMEM;
    int fd = open_file(events->path, &events->size);
    if (fd < 0)
        return fd;
    events->fd = fd;
    *ret = steal(&events);
    return 0;
}

void events_close(struct events *events)
{
    if (!events)
        return;
    cleanup_fd(&events->fd);
    pthread_mutex_destroy(&events->mutex);
    free(events->path);
    free(events->old_path);
    free(events);
}

/* The mutex is held.  Where the old file cannot be moved away it is gone on with, but not without
 * end. */
static int rotate(struct events *events)
{
    size_t size;
    if (rename(events->path, events->old_path) < 0)
        return events->size < 2 * events->max ? 0 : -errno;
    int fd = open_file(events->path, &size);
    if (fd < 0) {
        int back = rename(events->old_path, events->path);
        return back < 0 ? -errno : fd;
    }
    close(events->fd);
    events->fd = fd;
    events->size = size;
    return 0;
}

/* The mutex is held.  A line is there whole or not at all. */
static int append_line(struct events *events, const char *line, size_t n)
{
    int r = events->size > 0 && events->size + n > events->max ? rotate(events) : 0;
    if (r < 0)
        return r;
    ssize_t written = write(events->fd, line, n);
    if (written == (ssize_t)n) {
        events->size += n;
        return 0;
    }
    r = written < 0 ? -errno : -ENOSPC;
    if (written > 0 && ftruncate(events->fd, (off_t)events->size) < 0)
        events->size += (size_t)written; /* the reader passes over it */
    return r;
}

/* ---- lines */

static size_t make_stamp(char out[STAMP_MAX])
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(out, STAMP_MAX, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, STAMP_MAX - n, ".%03ldZ\",", now.tv_nsec / 1000000);
}

/* What comes behind the time, with the newline; NULL: no memory. */
static char *make_rest(enum event_kind kind, const char *folder, const struct event_count *counts,
                       const char *text)
{
    char clean[FOLDER_MAX];
    json_t *object = json_pack("{s:s}", "event", kind_words[kind]);
    if (object && folder)
        json_object_set_new(object, "folder",
                            json_string(plain_copy(folder, clean, sizeof(clean))));
    if (object && counts && counts->name) {
        json_t *numbers = json_object();
        for (; counts->name; counts++)
            json_object_set_new(numbers, counts->name, json_integer((json_int_t)counts->value));
        json_object_set_new(object, "counts", numbers);
    }
    if (object)
        json_object_set_new(object, "text", json_string(text));
    CLEANUP_FREE char *rest = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return rest ? str_printf("%s\n", rest + 1) : NULL;
}

/* The mutex is held.  The time is taken here, so that lines are in its order. */
static int write_rest(struct events *events, const char *rest)
{
    char stamp[STAMP_MAX];
    size_t n = make_stamp(stamp);
    CLEANUP_FREE char *line = rest ? str_printf("%s%s", stamp, rest) : NULL;
    return line ? append_line(events, line, n + strlen(rest)) : -ENOMEM;
}

/* The mutex is held.  Says how many are missing, once there is room again. */
static void tell_dropped(struct events *events)
{
    uint64_t n = events->dropped - events->told;
    if (n == 0)
        return;
    CLEANUP_FREE char *text =
        str_printf("%llu events could not be written before this", (unsigned long long)n);
    CLEANUP_FREE char *rest =
        text
            ? make_rest(EVENT_DROPPED, NULL, (const struct event_count[]){{"events", n}, {0}}, text)
            : NULL;
    if (rest && write_rest(events, rest) == 0)
        events->told = events->dropped;
}

void event_log(struct events *events, enum event_kind kind, const char *folder,
               const struct event_count *counts, const char *format, ...)
{
    char raw[EVENT_TEXT_MAX * 2], text[EVENT_TEXT_MAX];
    va_list args;
    if (!events)
        return;
    va_start(args, format);
    vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    CLEANUP_FREE char *rest = make_rest(kind, folder, counts, plain_copy(raw, text, sizeof(text)));
    pthread_mutex_lock(&events->mutex);
    tell_dropped(events);
    int r = write_rest(events, rest);
    bool news = r < 0 && !events->full;
    events->full = r < 0;
    events->dropped += r < 0;
    pthread_mutex_unlock(&events->mutex);
    if (news)
        log_warn("%s: %s; events are dropped until it can be written", events->path, strerror(-r));
}

uint64_t events_dropped(struct events *events)
{
    pthread_mutex_lock(&events->mutex);
    uint64_t n = events->dropped;
    pthread_mutex_unlock(&events->mutex);
    return n;
}
