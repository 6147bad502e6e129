#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "daemons.h"
#include "mountpoint.h"
#include "verb.h"

#define BAR_WIDTH 30

/* ---- which daemon */

static int socket_of_dir(const char *dir, char **ret_path)
{
    int r = mountpoint_socket(dir, ret_path);
    if (r == -ENOTCONN)
        return verb_fail(EXIT_OTHER, "%s: its daemon is gone; see mailmount unmount", dir);
    if (r == -ENOMEM)
        return verb_fail(EXIT_OTHER, "out of memory");
    return r < 0 ? verb_fail(EXIT_NOT_FOUND, "%s: not in a mailmount mount", dir) : EXIT_OK;
}

struct found {
    char *path; /* owned */
    unsigned n;
    int error;
};

static void note_mount(void *ctx, const char *path)
{
    struct found *found = ctx;
    if (found->n++ == 0 && !(found->path = strdup(path)))
        found->error = -ENOMEM;
}

static int socket_of_only_mount(char **ret_path)
{
    struct found found = {0};
    int r = mountpoint_each(note_mount, &found);
    CLEANUP_FREE char *dir = found.path;
    if (r < 0 || found.error)
        return verb_fail(EXIT_OTHER, "the mounts could not be read: %s",
                         strerror(r < 0 ? -r : -found.error));
    if (found.n != 1)
        return verb_fail(found.n ? EXIT_USAGE : EXIT_NOT_FOUND,
                         found.n ? "there are several mounts: name one" : "nothing is mounted");
    return socket_of_dir(dir, ret_path);
}

/* ---- what it says */

struct terminal {
    unsigned flags;
    bool bar;       /* standard error is a terminal */
    bool bar_shown; /* and holds a bar now */
    struct str out;
    int code; /* of a standard output that fails */
};

static void wipe_bar(struct terminal *t)
{
    if (t->bar_shown)
        fputs("\r\033[K", stderr);
    t->bar_shown = false;
}

static int on_out(void *ctx, const char *data, size_t n)
{
    struct terminal *t = ctx;
    int r = str_append(&t->out, data, n);
    if (r < 0 || !(t->flags & VERB_STREAM))
        return r;
    if (!(t->flags & VERB_RAW))
        verb_clean(&t->out);
    t->code = verb_print(t->out.data, t->out.len);
    str_clear(&t->out);
    return t->code == EXIT_OK ? 0 : -EPIPE;
}

static int on_err(void *ctx, const char *data, size_t n)
{
    struct terminal *t = ctx;
    CLEANUP_STR struct str text = STR_INIT(CONTROL_ANSWER_MAX);
    int r = str_append(&text, data, n);
    if (r < 0)
        return r;
    verb_clean(&text);
    wipe_bar(t);
    fprintf(stderr, "mailmount: %s", text.data);
    return 0;
}

static int on_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    struct terminal *t = ctx;
    char bar[BAR_WIDTH + 1];
    CLEANUP_STR struct str text = STR_INIT(65536);
    if (!t->bar)
        return 0;
    int r = str_append_text(&text, what);
    if (r < 0)
        return r;
    verb_clean(&text);
    uint64_t filled = total == 0 ? 0 : done >= total ? BAR_WIDTH : done * BAR_WIDTH / total;
    memset(bar, '-', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    wipe_bar(t);
    if (total > 0)
        fprintf(stderr, "[%s] %" PRIu64 "/%" PRIu64 " %.40s", bar, done, total, text.data);
    else
        fprintf(stderr, "%" PRIu64 " %.60s", done, text.data);
    fflush(stderr);
    t->bar_shown = true;
    return 0;
}

static int talk(const char *path, int argc, const char *const *argv, struct terminal *t)
{
    const struct control_sink sink = {
        .ctx = t, .out = on_out, .err = on_err, .progress = on_progress};
    int code = EXIT_OTHER;
    int r = control_stream(path, argc, argv, &sink, &code);
    wipe_bar(t);
    if (t->code != EXIT_OK)
        return t->code;
    if (r == -E2BIG)
        return verb_fail(EXIT_USAGE, "%s: too many or too long arguments", argv[0]);
    if (r < 0)
        return verb_fail(EXIT_OTHER, "%s: no answer from the daemon: %s", argv[0], strerror(-r));
    if (code != EXIT_OK || t->out.len == 0)
        return code;
    if (!(t->flags & VERB_RAW))
        verb_clean(&t->out);
    return verb_print(t->out.data, t->out.len);
}

int verb_call(const char *dir, int argc, const char *const *argv, unsigned flags)
{
    struct terminal t = {
        .flags = flags, .bar = isatty(STDERR_FILENO) == 1, .out = STR_INIT(CONTROL_ANSWER_MAX)};
    CLEANUP_FREE char *path = NULL;
    int code = dir ? socket_of_dir(dir, &path) : socket_of_only_mount(&path);
    if (code == EXIT_OK)
        code = talk(path, argc, argv, &t);
    str_release(&t.out);
    return code;
}

/* ---- paths */

/* Absolute, without links, `.` and `..`, as far as it exists; the last part may be missing. */
static int absolute(const char *path, char **ret)
{
    char resolved[PATH_MAX];
    if (realpath(path, resolved)) {
        *ret = strdup(resolved);
        return *ret ? 0 : -ENOMEM;
    }
    CLEANUP_FREE char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    const char *dir = !slash ? "." : slash == copy ? "/" : copy;
    if (slash)
        *slash = '\0';
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || !realpath(dir, resolved))
        return -ENOENT;
    *ret = str_printf("%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, name);
    return *ret ? 0 : -ENOMEM;
}

struct holder {
    const char *path;
    char *longest; /* owned: the mount point that holds the path */
    int error;
};

static void try_mount(void *ctx, const char *mountpoint)
{
    struct holder *holder = ctx;
    size_t n = strlen(mountpoint);
    if (strncmp(holder->path, mountpoint, n) != 0 ||
        (holder->path[n] != '/' && holder->path[n] != '\0') ||
        (holder->longest && strlen(holder->longest) >= n))
        return;
    free(holder->longest);
    holder->longest = strdup(mountpoint);
    if (!holder->longest)
        holder->error = -ENOMEM;
}

int verb_locate(const char *path, char **ret_mountpoint, char **ret_inside)
{
    CLEANUP_FREE char *full = NULL;
    int r = absolute(path, &full);
    if (r < 0)
        return r;
    struct holder holder = {.path = full};
    r = mountpoint_each(try_mount, &holder);
    CLEANUP_FREE char *mountpoint = holder.longest;
    if (r < 0 || holder.error)
        return r < 0 ? r : holder.error;
    if (!mountpoint)
        return -ENOENT;
    const char *rest = full + strlen(mountpoint);
    char *inside = strdup(*rest == '/' ? rest + 1 : rest);
    if (!inside)
        return -ENOMEM;
    *ret_mountpoint = steal(&mountpoint);
    *ret_inside = inside;
    return 0;
}
