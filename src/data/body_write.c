#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "segment.h"
#include "store_db.h"

/* WRITING: body_write.  WRITTEN (body_finish): the record is whole, its inode still 0.
 * COMMITTED: indexed.  LOST: it can only be read through its descriptor, because its commit failed
 * (a large one) or the disk is full (memory_fd). */
enum writer_state { WRITING, WRITTEN, COMMITTED, LOST };

struct body_writer {
    struct bodies *bodies;
    enum writer_state state;
    uint64_t size;         /* announced */
    uint64_t got;          /* bytes so far */
    uint32_t crc;          /* of a large body so far; of a small one when written */
    unsigned char *record; /* owned; a small body while WRITING */
    struct segment
        *segment;    /* a reference and a place among its writers; a small body: once WRITTEN */
    uint64_t offset; /* of the record */
    bool pinned;     /* goes among its like */
    int memory_fd;   /* the disk is full: the bytes are here, without a header; else -1 */
};

/* A body that finds the disk full is held in memory for whoever waits for it, up to this size. */
#define MEMORY_MAX (64 << 20)

static bool is_small(const struct body_writer *w)
{
    return w->size <= BODY_SMALL_MAX;
}

/* Old bodies make room on a full disk. */
static int write_at(struct bodies *bodies, int fd, const void *data, size_t n, uint64_t offset)
{
    int r = pwrite_full(fd, data, n, (off_t)offset);
    if (r == -EDQUOT)
        r = -ENOSPC;
    if (r == -ENOSPC && segments_make_room(bodies, n))
        r = pwrite_full(fd, data, n, (off_t)offset);
    return r == 0 || r == -ENOSPC ? r : -EIO;
}

/* ---- beginning */

/* Somebody deleted the directory, as he may at any moment: the same descriptor, a new one. */
static int remake_dir(struct bodies *bodies)
{
    int r = mkdir_private(bodies->path);
    if (r < 0)
        return r;
    CLEANUP_FD int fd = open(bodies->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || dup3(fd, bodies->dir_fd, O_CLOEXEC) < 0)
        return -errno;
    return 0;
}

static int open_new(struct bodies *bodies, const char *name)
{
    int fd = openat(bodies->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

/* A new file; not in the table yet. */
static int segment_create(struct bodies *bodies, const char *suffix, struct segment **ret)
{
    char name[SEGMENT_NAME_MAX];
    CLEANUP_FREE struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment)
        return -ENOMEM;
    segment->id = bodies->next_id++;
    segment->seat = -1;
    segment->gone = true;
    segment->used = clock_wall_ns() / 1000000000;
    segment->pinned = 0;
    segment_name(segment->id, suffix, name);
    int fd = open_new(bodies, name);
    if (fd == -ENOENT && remake_dir(bodies) == 0)
        fd = open_new(bodies, name);
    if (fd < 0)
        return fd == -ENOSPC || fd == -EDQUOT ? -ENOSPC : -EIO;
    segment_seat(bodies, segment, fd);
    *ret = steal(&segment);
    return 0;
}

static int begin_large(struct body_writer *w)
{
    struct bodies *bodies = w->bodies;
    pthread_mutex_lock(&bodies->mutex);
    int r = segment_create(bodies, "tmp", &w->segment);
    if (r == 0)
        r = segment_ref(bodies, w->segment);
    if (r == 0)
        w->segment->writers = 1;
    pthread_mutex_unlock(&bodies->mutex);
    return r;
}

static void drop_temporary(struct body_writer *w);
static void release_segment(struct body_writer *w);

/* The bytes so far of a large body, or a small one as a whole. */
static int copy_to_memory(const struct body_writer *w, int fd)
{
    char buffer[65536];
    if (w->record)
        return pwrite_full(fd, w->record + RECORD_SIZE, (size_t)w->size, 0);
    for (uint64_t done = 0; done < w->got;) {
        size_t n = w->got - done < sizeof(buffer) ? (size_t)(w->got - done) : sizeof(buffer);
        if (pread_full(w->segment->fd, buffer, n, (off_t)(RECORD_SIZE + done)) != (ssize_t)n)
            return -EIO;
        int r = pwrite_full(fd, buffer, n, (off_t)done);
        if (r < 0)
            return r;
        done += n;
    }
    return 0;
}

/* After -ENOSPC: a full disk must not keep anyone from reading. */
static int move_to_memory(struct body_writer *w)
{
    CLEANUP_FD int fd = w->size > MEMORY_MAX ? -1 : memfd_create("mailmount-body", MFD_CLOEXEC);
    if (fd < 0)
        return -ENOSPC;
    int r = copy_to_memory(w, fd);
    if (r < 0)
        return r;
    drop_temporary(w);
    release_segment(w);
    w->memory_fd = steal_fd(&fd);
    return 0;
}

int body_writer_new(struct bodies *bodies, uint64_t size, struct body_writer **ret)
{
    CLEANUP(body_writer_freep) struct body_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->bodies = bodies;
    w->size = size;
    w->memory_fd = -1;
    w->crc = (uint32_t)crc32(0, NULL, 0);
    if (size > INT64_MAX - RECORD_SIZE)
        return -EFBIG;
    if (is_small(w)) {
        w->record = malloc(RECORD_SIZE + size);
        if (!w->record)
            return -ENOMEM;
    } else {
        int r = begin_large(w);
        if (r == -ENOSPC)
            r = move_to_memory(w);
        if (r < 0)
            return r;
    }
    *ret = steal(&w);
    return 0;
}

void body_writer_pin(struct body_writer *w)
{
    w->pinned = true;
}

int body_write(struct body_writer *w, const void *data, size_t n)
{
    if (w->state != WRITING || n > w->size - w->got)
        return -EINVAL;
    if (n == 0)
        return 0;
    if (w->record) {
        memcpy(w->record + RECORD_SIZE + w->got, data, n);
    } else {
        int r = w->memory_fd >= 0
                    ? 0
                    : write_at(w->bodies, w->segment->fd, data, n, RECORD_SIZE + w->got);
        if (r == -ENOSPC)
            r = move_to_memory(w);
        if (r == 0 && w->memory_fd >= 0)
            r = pwrite_full(w->memory_fd, data, n, (off_t)w->got);
        if (r < 0)
            return r;
        w->crc = (uint32_t)crc32_z(w->crc, data, n);
    }
    w->got += n;
    return 0;
}

/* ---- the whole record */

/* A reference on the current segment if it has room for n bytes, else on a new one. */
static int take_current(struct bodies *bodies, bool pinned, uint64_t n, struct segment **ret)
{
    struct segment *segment = bodies->current[pinned];
    if (segment && segment->end + n <= bodies->segment_max && segment_ref(bodies, segment) == 0) {
        *ret = segment;
        return 0;
    }
    int r = segment_create(bodies, "seg", &segment);
    if (r == 0)
        r = segment_ref(bodies, segment);
    if (r < 0)
        return r;
    r = segment_add(bodies, segment);
    if (r < 0) {
        segment_unref(bodies, segment);
        return r;
    }
    bodies->current[pinned] = segment;
    *ret = segment;
    return 0;
}

/* Room for n bytes. */
static int reserve(struct body_writer *w, uint64_t n)
{
    struct bodies *bodies = w->bodies;
    struct segment *segment = NULL;
    pthread_mutex_lock(&bodies->mutex);
    int r = take_current(bodies, w->pinned, n, &segment);
    if (r == 0) {
        segment->writers++;
        w->segment = segment;
        w->offset = segment->end;
        segment->end += n;
        bodies->bytes += n;
    }
    pthread_mutex_unlock(&bodies->mutex);
    return r;
}

static void release_segment(struct body_writer *w)
{
    if (!w->segment)
        return;
    pthread_mutex_lock(&w->bodies->mutex);
    if (w->state != COMMITTED)
        w->segment->writers--;
    segment_unref(w->bodies, w->segment);
    pthread_mutex_unlock(&w->bodies->mutex);
    w->segment = NULL;
}

static int finish_small(struct body_writer *w)
{
    size_t n = RECORD_SIZE + (size_t)w->size;
    w->crc = (uint32_t)crc32_z(w->crc, w->record + RECORD_SIZE, (size_t)w->size);
    record_encode(&(struct record){.crc = w->crc, .length = w->size}, w->record);
    int r = reserve(w, n);
    if (r == 0)
        r = write_at(w->bodies, w->segment->fd, w->record, n, w->offset);
    if (r < 0)
        release_segment(w); /* leaves a hole, which no row will name */
    return r;
}

static int finish_large(struct body_writer *w)
{
    unsigned char header[RECORD_SIZE];
    record_encode(&(struct record){.crc = w->crc, .length = w->size}, header);
    int r = write_at(w->bodies, w->segment->fd, header, sizeof(header), 0);
    /* A large body is not read through to check it when it is opened, so it must be there. */
    if (r == 0 && fdatasync(w->segment->fd) < 0)
        r = errno == ENOSPC || errno == EDQUOT ? -ENOSPC : -EIO;
    return r;
}

int body_finish(struct body_writer *w)
{
    if (w->state != WRITING || w->got != w->size)
        return -EINVAL;
    int r = w->memory_fd >= 0 ? 0 : is_small(w) ? finish_small(w) : finish_large(w);
    if (r == -ENOSPC)
        r = move_to_memory(w);
    if (r < 0)
        return r;
    free(w->record);
    w->record = NULL;
    w->state = w->memory_fd >= 0 ? LOST : WRITTEN;
    return 0;
}

/* ---- the index */

/* The file of a large body gets its name and its place in the table. */
static int publish(struct body_writer *w)
{
    char temporary[SEGMENT_NAME_MAX];
    char name[SEGMENT_NAME_MAX];
    struct bodies *bodies = w->bodies;
    segment_name(w->segment->id, "tmp", temporary);
    segment_name(w->segment->id, "seg", name);
    if (renameat(bodies->dir_fd, temporary, bodies->dir_fd, name) < 0)
        return errno == ENOSPC || errno == EDQUOT ? -ENOSPC : -EIO;
    pthread_mutex_lock(&bodies->mutex);
    w->segment->end = RECORD_SIZE + w->size;
    int r = segment_add(bodies, w->segment);
    pthread_mutex_unlock(&bodies->mutex);
    if (r < 0)
        unlinkat(bodies->dir_fd, name, 0);
    return r;
}

static void count(struct body_writer *w, bool add)
{
    struct segment *segment = w->segment;
    pthread_mutex_lock(&w->bodies->mutex);
    if (add) {
        segment->live++;
        w->bodies->count++;
    } else {
        segment->live--;
        w->bodies->count--;
    }
    if (add && w->pinned && segment->pinned >= 0)
        segment->pinned += (int64_t)(RECORD_SIZE + w->size);
    else if (w->bodies->any_pins) /* this one may be pinned as well */
        segment->pinned = -1;
    segment->used = clock_wall_ns() / 1000000000;
    pthread_mutex_unlock(&w->bodies->mutex);
}

/* A large body without a row: its file goes, its descriptor stays. */
static void unpublish(struct body_writer *w)
{
    uint64_t id = w->segment->id;
    pthread_mutex_lock(&w->bodies->mutex);
    segment_detach(w->bodies, w->segment);
    pthread_mutex_unlock(&w->bodies->mutex);
    segment_erase(w->bodies, id);
}

/* from NULL: a new body, or one that replaces another. */
static int put(struct body_writer *w, uint64_t ino, const struct body_row *from,
               uint64_t *ret_replaced)
{
    struct body_row row = {.ino = ino,
                           .segment = w->segment->id,
                           .offset = w->offset,
                           .length = w->size,
                           .crc = w->crc};
    if (from)
        return store_body_move(w->bodies->store, from, &row);
    int r = store_body_put(w->bodies->store, &row, ret_replaced);
    if (r == -ENOSPC && segments_make_room(w->bodies, 1))
        r = store_body_put(w->bodies->store, &row, ret_replaced);
    return r;
}

static int commit(struct body_writer *w, uint64_t ino, const struct body_row *from,
                  uint64_t *ret_replaced)
{
    uint64_t little = htole64(ino);
    if (w->memory_fd >= 0)
        return -ENOSPC;
    if (w->state != WRITTEN)
        return -EINVAL;
    int r = write_at(w->bodies, w->segment->fd, &little, sizeof(little), w->offset + RECORD_INO);
    if (r < 0)
        return r;
    if (!is_small(w)) {
        r = publish(w);
        if (r < 0) {
            w->state = LOST;
            return r;
        }
    }
    /* Counted before the row can be seen, and so deleted, by others. */
    count(w, true);
    r = put(w, ino, from, ret_replaced);
    if (r < 0) {
        count(w, false);
        if (!is_small(w)) {
            unpublish(w);
            w->state = LOST;
        }
        return r;
    }
    pthread_mutex_lock(&w->bodies->mutex);
    w->segment->writers--;
    w->state = COMMITTED;
    pthread_mutex_unlock(&w->bodies->mutex);
    return 0;
}

int body_commit(struct body_writer *w, uint64_t ino)
{
    uint64_t replaced = 0;
    int r = commit(w, ino, NULL, &replaced);
    if (r < 0)
        return r;
    if (replaced)
        bodies_gone(w->bodies, replaced);
    segments_evict(w->bodies, w->bodies->limit, w->segment, true);
    return 0;
}

int body_commit_copy(struct body_writer *w, const struct body_row *from)
{
    uint64_t unused = 0;
    return commit(w, from->ino, from, &unused);
}

uint32_t body_writer_crc(const struct body_writer *w)
{
    return w->crc;
}

/* ---- the end */

static bool has_temporary(const struct body_writer *w)
{
    return w->segment && !is_small(w) && (w->state == WRITING || w->state == WRITTEN);
}

static void drop_temporary(struct body_writer *w)
{
    char name[SEGMENT_NAME_MAX];
    if (!has_temporary(w))
        return;
    segment_name(w->segment->id, "tmp", name);
    unlinkat(w->bodies->dir_fd, name, 0);
}

int body_from_writer(struct body_writer *w, struct body **ret)
{
    if (w->state == WRITING)
        return -EINVAL;
    struct body *body = malloc(sizeof(*body));
    if (!body)
        return -ENOMEM;
    drop_temporary(w);
    pthread_mutex_lock(&w->bodies->mutex);
    if (w->state != COMMITTED && w->segment)
        w->segment->writers--;
    pthread_mutex_unlock(&w->bodies->mutex);
    *body = (struct body){.bodies = w->bodies,
                          .segment = steal(&w->segment), /* with the reference */
                          .memory_fd = steal_fd(&w->memory_fd),
                          .offset = w->offset + RECORD_SIZE,
                          .size = w->size};
    if (body->memory_fd >= 0)
        body->offset = 0;
    body_writer_free(w);
    *ret = body;
    return 0;
}

void body_writer_free(struct body_writer *w)
{
    if (!w)
        return;
    drop_temporary(w);
    release_segment(w);
    cleanup_fd(&w->memory_fd);
    free(w->record);
    free(w);
}

void body_writer_freep(struct body_writer **w)
{
    body_writer_free(*w);
    *w = NULL;
}
