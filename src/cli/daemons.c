#include "daemons.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "mountpoint.h"
#include "paths.h"

#define DAEMONS_MAX 1000

struct collecting {
    struct daemon_list list;
    dev_t devs[DAEMONS_MAX]; /* of list.paths */
    ino_t inos[DAEMONS_MAX];
    int error;
};

void daemon_list_release(struct daemon_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->paths[i]);
    free(list->paths);
    *list = (struct daemon_list){0};
}

static void add(struct collecting *c, const char *path)
{
    struct stat st;
    size_t n = c->list.n;
    if (c->error || n == DAEMONS_MAX || stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    for (size_t i = 0; i < n; i++)
        if (c->devs[i] == st.st_dev && c->inos[i] == st.st_ino)
            return;
    c->list.paths[n] = strdup(path);
    if (!c->list.paths[n]) {
        c->error = -ENOMEM;
        return;
    }
    c->devs[n] = st.st_dev;
    c->inos[n] = st.st_ino;
    c->list.n++;
}

/* `dir` is taken literally, `pattern` is a glob below it. */
static void add_matching(struct collecting *c, const char *dir, const char *pattern)
{
    CLEANUP_FREE char *escaped = dir ? malloc(2 * strlen(dir) + strlen(pattern) + 2) : NULL;
    glob_t found = {0};
    if (!escaped)
        return;
    char *out = escaped;
    for (; *dir; dir++) {
        if (strchr("*?[\\", *dir))
            *out++ = '\\';
        *out++ = *dir;
    }
    memcpy(out, pattern, strlen(pattern) + 1);
    if (glob(escaped, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            add(c, found.gl_pathv[i]);
    globfree(&found);
}

static void add_mount(void *ctx, const char *path)
{
    CLEANUP_FREE char *socket = NULL;
    if (mountpoint_socket(path, &socket) == 0)
        add(ctx, socket);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void collecting_free(struct collecting **c)
{
    if (*c)
        daemon_list_release(&(*c)->list);
    free(*c);
}

int daemon_list_find(struct daemon_list *ret)
{
    CLEANUP(collecting_free) struct collecting *c = calloc(1, sizeof(*c));
    CLEANUP_FREE char *runtime = paths_runtime_dir();
    CLEANUP_FREE char *state = paths_state_dir(NULL);
    if (!c || !(c->list.paths = calloc(DAEMONS_MAX, sizeof(char *))))
        return -ENOMEM;
    add_matching(c, runtime, "/*.sock");
    add_matching(c, state, "/*/socket");
    /* Where /proc is not mounted, the first two must do. */
    (void)!mountpoint_each(add_mount, c);
    if (c->error)
        return c->error;
    qsort(c->list.paths, c->list.n, sizeof(char *), compare);
    *ret = c->list;
    c->list = (struct daemon_list){0};
    return 0;
}
