#include "segment.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store_db.h"

/* ---- records */

void record_encode(const struct record *record, unsigned char out[RECORD_SIZE])
{
    uint32_t magic = htole32(RECORD_MAGIC);
    uint32_t crc = htole32(record->crc);
    uint64_t ino = htole64(record->ino);
    uint64_t length = htole64(record->length);
    memcpy(out, &magic, 4);
    memcpy(out + 4, &crc, 4);
    memcpy(out + RECORD_INO, &ino, 8);
    memcpy(out + 16, &length, 8);
}

int record_decode(const unsigned char in[RECORD_SIZE], struct record *ret)
{
    uint32_t magic;
    uint32_t crc;
    uint64_t ino;
    uint64_t length;
    memcpy(&magic, in, 4);
    memcpy(&crc, in + 4, 4);
    memcpy(&ino, in + RECORD_INO, 8);
    memcpy(&length, in + 16, 8);
    if (le32toh(magic) != RECORD_MAGIC)
        return -EINVAL;
    *ret = (struct record){.crc = le32toh(crc), .ino = le64toh(ino), .length = le64toh(length)};
    return 0;
}

void segment_name(uint64_t id, const char *suffix, char out[SEGMENT_NAME_MAX])
{
    snprintf(out, SEGMENT_NAME_MAX, "%08llu.%s", (unsigned long long)id, suffix);
}

/* ---- the table; mutex held */

/* Index of the first segment with an id not below `id`. */
static size_t position(const struct bodies *bodies, uint64_t id)
{
    size_t low = 0;
    size_t high = bodies->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bodies->table[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int segment_add(struct bodies *bodies, struct segment *segment)
{
    if (bodies->n == bodies->alloc) {
        size_t alloc = bodies->alloc ? bodies->alloc * 2 : 64;
        struct segment **table = reallocarray(bodies->table, alloc, sizeof(*table));
        if (!table)
            return -ENOMEM;
        bodies->table = table;
        bodies->alloc = alloc;
    }
    size_t at = position(bodies, segment->id);
    memmove(&bodies->table[at + 1], &bodies->table[at], (bodies->n - at) * sizeof(segment));
    bodies->table[at] = segment;
    bodies->n++;
    bodies->bytes += segment->end;
    bodies->count += segment->live;
    segment->gone = false;
    return 0;
}

struct segment *segment_find(struct bodies *bodies, uint64_t id)
{
    size_t at = position(bodies, id);
    return at < bodies->n && bodies->table[at]->id == id ? bodies->table[at] : NULL;
}

bool segment_is_current(const struct bodies *bodies, const struct segment *segment)
{
    return segment == bodies->current[0] || segment == bodies->current[1];
}

static void close_fd(struct bodies *bodies, struct segment *segment)
{
    if (segment->fd >= 0)
        close(segment->fd);
    segment->fd = -1;
    if (segment->seat >= 0)
        bodies->fds[segment->seat] = NULL;
    segment->seat = -1;
}

void segment_detach(struct bodies *bodies, struct segment *segment)
{
    size_t at = position(bodies, segment->id);
    bodies->n--;
    memmove(&bodies->table[at], &bodies->table[at + 1], (bodies->n - at) * sizeof(segment));
    bodies->bytes -= segment->end;
    bodies->count -= segment->live;
    for (int i = 0; i < 2; i++)
        if (bodies->current[i] == segment)
            bodies->current[i] = NULL;
    segment->gone = true;
    if (segment->refs == 0) {
        close_fd(bodies, segment);
        free(segment);
    }
}

void segment_seat(struct bodies *bodies, struct segment *segment, int fd)
{
    int seat = -1;
    segment->fd = fd;
    for (int i = 0; i < SEGMENT_FDS; i++) {
        struct segment *other = bodies->fds[i];
        if (!other) {
            seat = i;
            break;
        }
        if (other->refs == 0 && (seat < 0 || other->opened < bodies->fds[seat]->opened))
            seat = i;
    }
    /* All seats taken by segments in use: closed again with the last reference. */
    if (seat < 0)
        return;
    if (bodies->fds[seat])
        close_fd(bodies, bodies->fds[seat]);
    bodies->fds[seat] = segment;
    segment->seat = seat;
}

int segment_ref(struct bodies *bodies, struct segment *segment)
{
    if (segment->fd < 0) {
        char name[SEGMENT_NAME_MAX];
        segment_name(segment->id, "seg", name);
        int fd = openat(bodies->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            return -errno;
        segment_seat(bodies, segment, fd);
    }
    segment->refs++;
    segment->opened = ++bodies->tick;
    return 0;
}

void segment_unref(struct bodies *bodies, struct segment *segment)
{
    if (--segment->refs > 0)
        return;
    if (segment->gone || segment->seat < 0)
        close_fd(bodies, segment);
    if (segment->gone)
        free(segment);
}

/* ---- going; mutex not held */

void segment_erase(struct bodies *bodies, uint64_t id)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(id, "seg", name);
    /* The file first: on a full disk its blocks are what the rows need in order to go.  Rows
     * that stay behind are not found in the table, and go at the next start. */
    unlinkat(bodies->dir_fd, name, 0);
    (void)!store_segment_forget(bodies->store, id);
}

void bodies_gone(void *ctx, uint64_t id)
{
    struct bodies *bodies = ctx;
    bool empty = false;
    pthread_mutex_lock(&bodies->mutex);
    struct segment *segment = segment_find(bodies, id);
    /* Rows that a failed commit brought back are told twice. */
    if (segment && segment->live > 0) {
        segment->live--;
        bodies->count--;
        segment->pinned = -1;
        empty = segment->live == 0 && segment->writers == 0 && !segment_is_current(bodies, segment);
        if (empty)
            segment_detach(bodies, segment);
    }
    pthread_mutex_unlock(&bodies->mutex);
    if (empty)
        segment_erase(bodies, id);
}
