#include "history.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "events.h"
#include "plain.h"

#define LINE_MAX_BYTES 65536
#define CHUNK          16384
#define PATIENCE       5 /* rotations while we open */

/* Further sources go here. */
static const char *const source_names[] = {EVENTS_FILE};

static const char time_key[] = "{\"time\":\"";
#define TIME_AT  (sizeof(time_key) - 1)
#define TIME_LEN 24 /* 2026-11-27T08:02:20.123Z */

struct source {
    char *path, *old_path;
    int old_fd;      /* the predecessor, read first; -1: done */
    int fd;          /* -1: not there yet */
    struct str text; /* read and not yet given out */
    size_t begin;    /* of the next line in it */
    size_t len;      /* of the next line; 0: none found yet */
    bool skipping;   /* inside a line that is too long */
};

struct history {
    struct source sources[ARRAY_LEN(source_names)];
};

static void source_release(struct source *source)
{
    cleanup_fd(&source->old_fd);
    cleanup_fd(&source->fd);
    free(source->path);
    free(source->old_path);
    str_release(&source->text);
}

void history_close(struct history *history)
{
    if (!history)
        return;
    for (size_t i = 0; i < ARRAY_LEN(history->sources); i++)
        source_release(&history->sources[i]);
    free(history);
}

static void history_freep(struct history **history)
{
    history_close(*history);
}

/* -1 where the file is not there. */
static int open_one(const char *path, int *ret_fd)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno != ENOENT)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static bool same_file(int a, int b)
{
    struct stat first, second;
    return a >= 0 && b >= 0 && fstat(a, &first) == 0 && fstat(b, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/* The file and its predecessor as they were at one moment. */
static int source_open(struct source *source)
{
    for (int i = 0; i < PATIENCE; i++) {
        cleanup_fd(&source->fd);
        cleanup_fd(&source->old_fd);
        source->fd = source->old_fd = -1;
        int r = open_one(source->path, &source->fd);
        if (r == 0)
            r = open_one(source->old_path, &source->old_fd);
        if (r < 0)
            return r;
        if (!same_file(source->fd, source->old_fd)) /* else it was rotated in between */
            return 0;
    }
    return -EBUSY;
}

int history_open(const char *state_dir, struct history **ret)
{
    CLEANUP(history_freep) struct history *history = calloc(1, sizeof(*history));
    if (!history)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(history->sources); i++) {
        struct source *source = &history->sources[i];
        source->fd = source->old_fd = -1;
        str_init(&source->text, LINE_MAX_BYTES + CHUNK + 2); /* and the ends of two files */
    }
    for (size_t i = 0; i < ARRAY_LEN(history->sources); i++) {
        struct source *source = &history->sources[i];
        source->path = str_printf("%s/%s", state_dir, source_names[i]);
        source->old_path = str_printf("%s/%s.1", state_dir, source_names[i]);
        int r = source->path && source->old_path ? source_open(source) : -ENOMEM;
        if (r < 0)
            return r;
    }
    *ret = steal(&history);
    return 0;
}

/* ---- lines */

/* The file that is to be read now; -1: there is none.  Goes on to the next when one is at its end
 * and will not grow any more. */
static int go_on(struct source *source)
{
    int fresh = -1;
    if (source->old_fd >= 0) {
        close(source->old_fd);
        source->old_fd = -1;
        return source->fd;
    }
    if (open_one(source->path, &fresh) < 0 || fresh < 0)
        return -1;
    if (same_file(fresh, source->fd)) {
        close(fresh);
        return -1;
    }
    source->old_fd = source->fd; /* what came into it before it was moved away */
    source->fd = fresh;
    return source->old_fd >= 0 ? source->old_fd : source->fd;
}

/* Bytes read; 0: nothing more for now. */
static ssize_t fill(struct source *source)
{
    if (source->begin > 0) {
        memmove(source->text.data, source->text.data + source->begin,
                source->text.len - source->begin);
        source->text.len -= source->begin;
        source->begin = 0;
    }
    int r = str_reserve(&source->text, CHUNK);
    if (r < 0)
        return r;
    int fd = source->old_fd >= 0 ? source->old_fd : source->fd;
    for (;;) {
        ssize_t n = fd < 0 ? 0 : read(fd, source->text.data + source->text.len, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n > 0) {
            source->text.len += (size_t)n;
            return n;
        }
        fd = go_on(source);
        if (fd < 0)
            return 0;
        /* A file that ends inside a line: that line ends there, too. */
        if (source->text.len > 0 && source->text.data[source->text.len - 1] != '\n' &&
            (r = str_append_char(&source->text, '\n')) < 0)
            return r;
        if ((r = str_reserve(&source->text, CHUNK)) < 0)
            return r;
    }
}

static bool is_record(const char *line, size_t n)
{
    return n > TIME_AT + TIME_LEN && memcmp(line, time_key, TIME_AT) == 0 && line[n - 1] == '}' &&
           !memchr(line, '\0', n);
}

/* 1: source->len is that of the next record.  0: none for now. */
static int peek(struct source *source)
{
    size_t searched = 0;
    while (source->len == 0) {
        char *line = source->text.data + source->begin;
        size_t have = source->text.len - source->begin;
        char *end = have > searched ? memchr(line + searched, '\n', have - searched) : NULL;
        if (end) {
            size_t n = (size_t)(end - line);
            if (!source->skipping && is_record(line, n)) {
                *end = '\0';
                source->len = n;
                return 1;
            }
            source->skipping = false;
            source->begin += n + 1;
            searched = 0;
            continue;
        }
        searched = have;
        if (have > LINE_MAX_BYTES) {
            source->skipping = true;
            source->begin = source->text.len;
            searched = 0;
        }
        ssize_t n = fill(source);
        if (n <= 0)
            return (int)n;
    }
    return 1;
}

int history_next(struct history *history, const char **ret_line)
{
    struct source *first = NULL;
    for (size_t i = 0; i < ARRAY_LEN(history->sources); i++) {
        struct source *source = &history->sources[i];
        int r = peek(source);
        if (r < 0)
            return r;
        if (r > 0 && (!first || memcmp(source->text.data + source->begin + TIME_AT,
                                       first->text.data + first->begin + TIME_AT, TIME_LEN) < 0))
            first = source;
    }
    if (!first)
        return 0;
    *ret_line = first->text.data + first->begin;
    first->begin += first->len + 1;
    first->len = 0;
    return 1;
}

/* ---- for people */

/* "2026-11-27T08:02:20.123Z" as local time; false: not that. */
static bool local_time(const char *stamp, char *out, size_t size)
{
    struct tm tm = {0};
    const char *end = strptime(stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    time_t seconds = timegm(&tm);
    if (!end || *end != '.' || !localtime_r(&seconds, &tm))
        return false;
    return strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm) > 0;
}

int history_text(const char *line, struct str *out)
{
    char when[32], folder[1024], text[EVENT_TEXT_MAX];
    json_t *object = json_loads(line, 0, NULL);
    const char *stamp = json_string_value(json_object_get(object, "time"));
    const char *where = json_string_value(json_object_get(object, "folder"));
    const char *words = json_string_value(json_object_get(object, "text"));
    if (stamp && local_time(stamp, when, sizeof(when))) {
        plain_copy(where, folder, sizeof(folder));
        plain_copy(words, text, sizeof(text));
        str_printf_append(out, "%s  %s%s%s\n", when, folder, folder[0] ? ": " : "", text);
    }
    json_decref(object);
    return str_error(out);
}
