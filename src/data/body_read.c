#include <errno.h>
#include <sys/stat.h>
#include <zlib.h>

#include "log.h"
#include "segment.h"
#include "store_db.h"

#define CHUNK 16384

static void unref(struct bodies *bodies, struct segment *segment)
{
    pthread_mutex_lock(&bodies->mutex);
    segment_unref(bodies, segment);
    pthread_mutex_unlock(&bodies->mutex);
}

/* A reference on the segment of a row.  -ENOENT: it is being evicted, or somebody deleted the
 * file. */
static int find_segment(struct bodies *bodies, uint64_t id, struct segment **ret)
{
    bool lost = false;
    pthread_mutex_lock(&bodies->mutex);
    struct segment *segment = segment_find(bodies, id);
    int r = segment ? segment_ref(bodies, segment) : -ENOENT;
    if (r == 0) {
        segment->used = clock_wall_ns() / 1000000000;
    } else if (segment && r == -ENOENT && segment->refs == 0) {
        segment_detach(bodies, segment);
        lost = true;
    }
    pthread_mutex_unlock(&bodies->mutex);
    if (lost)
        segment_erase(bodies, id);
    if (r == 0)
        *ret = segment;
    return r;
}

/* Reads header and body as far as it is to be checked; one read for most messages. */
static bool record_is_good(int fd, const struct body_row *row)
{
    unsigned char buffer[CHUNK];
    struct record record;
    struct stat st;
    uint64_t total = RECORD_SIZE + (row->length <= BODY_SMALL_MAX ? row->length : 0);
    uint32_t crc = (uint32_t)crc32(0, NULL, 0);
    for (uint64_t done = 0; done < total;) {
        size_t n = total - done < CHUNK ? (size_t)(total - done) : CHUNK;
        if (pread_full(fd, buffer, n, (off_t)(row->offset + done)) != (ssize_t)n)
            return false;
        size_t skip = done == 0 ? RECORD_SIZE : 0;
        if (skip && (record_decode(buffer, &record) < 0 || record.ino != row->ino ||
                     record.length != row->length || record.crc != row->crc))
            return false;
        crc = (uint32_t)crc32_z(crc, buffer + skip, n - skip);
        done += n;
    }
    if (row->length <= BODY_SMALL_MAX)
        return crc == row->crc;
    return fstat(fd, &st) == 0 && (uint64_t)st.st_size >= row->offset + RECORD_SIZE + row->length;
}

static void drop_bad(struct bodies *bodies, const struct body_row *row)
{
    uint64_t segment = 0;
    log_warn("the cached body of inode %llu is damaged; it will be fetched again",
             (unsigned long long)row->ino);
    /* Only this one: it may have been replaced meanwhile. */
    if (store_body_delete(bodies->store, row->ino, row->segment, row->offset, &segment) == 0)
        bodies_gone(bodies, segment);
}

/* Where a body is, with a reference on its segment.  It may move between the two looks. */
static int locate(struct bodies *bodies, uint64_t ino, struct body_row *ret_row,
                  struct segment **ret_segment)
{
    struct body_row before = {0};
    for (;;) {
        struct body_row row = {0};
        int r = store_body_get(bodies->store, ino, &row);
        if (r == 0 && row.segment == before.segment && row.offset == before.offset)
            r = -ENOENT;
        if (r < 0)
            return r;
        r = find_segment(bodies, row.segment, ret_segment);
        if (r == 0)
            *ret_row = row;
        if (r != -ENOENT)
            return r;
        before = row;
    }
}

int body_open(struct bodies *bodies, uint64_t ino, struct body **ret)
{
    struct body_row row = {0};
    struct segment *segment = NULL;
    int r = locate(bodies, ino, &row, &segment);
    if (r < 0)
        return r;
    if (!record_is_good(segment->fd, &row)) {
        unref(bodies, segment);
        drop_bad(bodies, &row);
        return -ENOENT;
    }
    struct body *body = malloc(sizeof(*body));
    if (!body) {
        unref(bodies, segment);
        return -ENOMEM;
    }
    *body = (struct body){.bodies = bodies,
                          .segment = segment,
                          .memory_fd = -1,
                          .offset = row.offset + RECORD_SIZE,
                          .size = row.length};
    *ret = body;
    return 0;
}

uint64_t body_size(const struct body *body)
{
    return body->size;
}

int body_fd(const struct body *body, off_t *ret_offset)
{
    *ret_offset = (off_t)body->offset;
    return body->segment ? body->segment->fd : body->memory_fd;
}

void body_close(struct body *body)
{
    if (!body)
        return;
    if (body->segment)
        unref(body->bodies, body->segment);
    cleanup_fd(&body->memory_fd);
    free(body);
}
