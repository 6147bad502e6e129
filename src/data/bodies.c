#include "segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store_db.h"

#define DEFAULT_LIMIT (UINT64_C(2) << 30)

/* ---- what an earlier run left */

/* 0 for a name that is no segment's. */
static uint64_t name_id(const char *name)
{
    char digits[24];
    char again[SEGMENT_NAME_MAX];
    uint64_t id;
    size_t n = strspn(name, "0123456789");
    if (n == 0 || n >= sizeof(digits))
        return 0;
    memcpy(digits, name, n);
    digits[n] = '\0';
    if (parse_u64(digits, INT64_MAX, &id) < 0)
        return 0;
    segment_name(id, "seg", again);
    return strcmp(name, again) == 0 ? id : 0;
}

static int add_segment(struct bodies *bodies, const struct segment_row *row, uint64_t size)
{
    CLEANUP_FREE struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment)
        return -ENOMEM;
    *segment = (struct segment){.id = row->id,
                                .end = size,
                                .live = row->live,
                                .used = row->used,
                                .pinned = -1,
                                .fd = -1,
                                .seat = -1};
    int r = segment_add(bodies, segment);
    if (r == 0)
        segment = NULL;
    return r;
}

/* Rows that have a file come into the table; the others go. */
static int load_segments(struct bodies *bodies)
{
    CLEANUP_FREE struct segment_row *rows = NULL;
    size_t n = 0;
    int r = store_segments(bodies->store, &rows, &n);
    for (size_t i = 0; i < n && r == 0; i++) {
        char name[SEGMENT_NAME_MAX];
        struct stat st;
        segment_name(rows[i].id, "seg", name);
        if (rows[i].id >= bodies->next_id)
            bodies->next_id = rows[i].id + 1;
        if (rows[i].live > 0 && fstatat(bodies->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            r = add_segment(bodies, &rows[i], (uint64_t)st.st_size);
        else
            r = store_segment_forget(bodies->store, rows[i].id);
    }
    return r;
}

/* Files that no row names go: half written ones, and those of an older cache.db. */
static int remove_strangers(struct bodies *bodies)
{
    int fd = openat(bodies->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        uint64_t id = name_id(entry->d_name);
        if (id >= bodies->next_id)
            bodies->next_id = id + 1;
        if (entry->d_name[0] != '.' && (!id || !segment_find(bodies, id)))
            unlinkat(bodies->dir_fd, entry->d_name, 0); /* a directory stays */
    }
    closedir(dir);
    return 0;
}

/* ---- open and close */

static int open_dir(struct bodies *bodies, const char *cache_dir, uint64_t cache_size)
{
    struct statvfs fs;
    bodies->path = str_printf("%s/bodies", cache_dir);
    if (!bodies->path)
        return -ENOMEM;
    int r = mkdir_private(bodies->path);
    if (r < 0)
        return r;
    bodies->dir_fd = open(bodies->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (bodies->dir_fd < 0)
        return -errno;
    if (cache_size == 0) {
        if (fstatvfs(bodies->dir_fd, &fs) < 0)
            return -errno;
        cache_size = (uint64_t)fs.f_blocks / 10 * fs.f_frsize;
        if (cache_size > DEFAULT_LIMIT)
            cache_size = DEFAULT_LIMIT;
    }
    bodies->limit = cache_size;
    /* A small cache is divided too, or eviction would empty it. */
    bodies->segment_max = cache_size / 8;
    if (bodies->segment_max > SEGMENT_MAX)
        bodies->segment_max = SEGMENT_MAX;
    if (bodies->segment_max < SEGMENT_MIN)
        bodies->segment_max = SEGMENT_MIN;
    return 0;
}

static void bodies_free(struct bodies *bodies)
{
    bodies->current[0] = bodies->current[1] = NULL;
    while (bodies->n > 0)
        segment_detach(bodies, bodies->table[bodies->n - 1]);
    if (bodies->dir_fd >= 0)
        close(bodies->dir_fd);
    pthread_mutex_destroy(&bodies->mutex);
    free(bodies->table);
    free(bodies->path);
    free(bodies);
}

static void bodies_freep(struct bodies **bodies)
{
    if (*bodies)
        bodies_free(*bodies);
}

int bodies_open(struct store *store, const char *cache_dir, uint64_t cache_size,
                struct bodies **ret, struct errtext *err)
{
    CLEANUP(bodies_freep) struct bodies *bodies = calloc(1, sizeof(*bodies));
    if (!bodies)
        return err_set(err, ENOMEM, "out of memory");
    bodies->store = store;
    bodies->dir_fd = -1;
    bodies->next_id = 1;
    pthread_mutex_init(&bodies->mutex, NULL);
    int r = open_dir(bodies, cache_dir, cache_size);
    if (r == 0)
        r = load_segments(bodies);
    if (r == 0)
        r = remove_strangers(bodies);
    if (r == 0)
        r = store_has_pins(store, &bodies->any_pins);
    if (r < 0)
        return err_set(err, -r, "cannot use %s/bodies: %s", cache_dir, strerror(-r));
    segments_resume(bodies);
    store_set_body_gone(store, bodies_gone, bodies);
    segments_evict(bodies, bodies->limit, NULL, true);
    *ret = steal(&bodies);
    return 0;
}

/* When each was last used; nothing is lost but the order of eviction when this fails. */
static void save_used(struct bodies *bodies)
{
    CLEANUP_FREE struct segment_row *rows = NULL;
    size_t n = 0;
    pthread_mutex_lock(&bodies->mutex);
    rows = reallocarray(NULL, bodies->n + 1, sizeof(*rows));
    for (; rows && n < bodies->n; n++)
        rows[n] = (struct segment_row){.id = bodies->table[n]->id, .used = bodies->table[n]->used};
    pthread_mutex_unlock(&bodies->mutex);
    (void)!store_segments_used(bodies->store, rows, n);
}

void bodies_close(struct bodies *bodies)
{
    if (!bodies)
        return;
    store_set_body_gone(bodies->store, NULL, NULL);
    save_used(bodies);
    bodies_free(bodies);
}

/* ---- questions */

bool body_exists(struct bodies *bodies, uint64_t ino)
{
    uint64_t before = 0;
    for (;;) { /* it may move between the two looks */
        struct body_row row = {0};
        if (store_body_get(bodies->store, ino, &row) < 0 || row.segment == before)
            return false;
        pthread_mutex_lock(&bodies->mutex);
        bool exists = segment_find(bodies, row.segment) != NULL;
        pthread_mutex_unlock(&bodies->mutex);
        if (exists)
            return true;
        before = row.segment;
    }
}

int body_drop(struct bodies *bodies, uint64_t ino)
{
    uint64_t segment = 0;
    int r = store_body_delete(bodies->store, ino, 0, 0, &segment);
    if (r == 0)
        bodies_gone(bodies, segment);
    return r;
}

void bodies_stat(struct bodies *bodies, uint64_t *ret_bytes, uint64_t *ret_count)
{
    pthread_mutex_lock(&bodies->mutex);
    *ret_bytes = bodies->bytes;
    *ret_count = bodies->count;
    pthread_mutex_unlock(&bodies->mutex);
}
