/*
 * segment.h -- the files that hold bodies: which there are, which are open, which go first.
 * Internal to data.
 *
 * DESIGN.  bodies->mutex is held for look-ups and counting, and for the open(2) of a segment that
 * has no descriptor; never during reading or writing of bodies, and never while the store is
 * called: the store calls back (bodies_gone) without its own locks, so there is no order between
 * the two.  A segment in the table may be evicted unless somebody holds a reference; one that left
 * the table (`gone`) lives on until its last reference is given back, its file unlinked but open.
 */
#ifndef MAILMOUNT_SEGMENT_H
#define MAILMOUNT_SEGMENT_H

#include <pthread.h>

#include "bodies.h"

#define BODY_SMALL_MAX (UINT64_C(1) << 20)  /* larger ones have a file of their own */
#define SEGMENT_MAX    (UINT64_C(32) << 20) /* bytes of a file of small ones */
#define SEGMENT_MIN    (BODY_SMALL_MAX + RECORD_SIZE)
#define SEGMENT_FDS    64 /* descriptors kept open while nobody reads */

/* A record: magic, CRC-32 of the body, inode, length (little-endian, 4 + 4 + 8 + 8 bytes), then
 * the body. */
#define RECORD_SIZE  24
#define RECORD_INO   8 /* offset of the inode: known only at commit */
#define RECORD_MAGIC 0x31626d6d
struct record {
    uint32_t crc;
    uint64_t ino;
    uint64_t length;
};
void record_encode(const struct record *record, unsigned char out[RECORD_SIZE]);
MUST_USE int record_decode(const unsigned char in[RECORD_SIZE], struct record *ret);

struct body_row;

struct segment {
    uint64_t id;
    uint64_t end;     /* protected by bodies->mutex, as all below; bytes reserved */
    uint64_t live;    /* bodies indexed here */
    int64_t used;     /* seconds since 1970 */
    uint64_t opened;  /* tick of the last reference */
    int64_t pinned;   /* bytes of records that are pinned; -1: to be counted again */
    unsigned refs;    /* handles and writers; fd is open and stays the same while > 0 */
    unsigned writers; /* records reserved, not yet indexed: not to be evicted */
    int fd;           /* -1: not open */
    int seat;         /* in bodies->fds, or -1 */
    bool moving;      /* somebody copies the pinned ones out of it */
    bool gone;        /* not in the table; freed with the last reference */
};

struct bodies {
    struct store *store; /* constant, as are the four below */
    char *path;          /* owned; of the directory */
    int dir_fd;
    uint64_t limit;       /* bytes in all */
    uint64_t segment_max; /* bytes of one */

    pthread_mutex_t mutex;
    struct segment **table; /* protected by mutex, as all below; owned; ascending ids */
    size_t n, alloc;
    /* The two appended to, [1] by what is pinned; NULL: the next body begins one. */
    struct segment *current[2];
    bool any_pins;      /* without any, nothing need be counted */
    uint64_t pin_round; /* grows when the pins change */
    uint64_t next_id;
    uint64_t bytes, count; /* of the segments in the table */
    uint64_t tick;
    struct segment *fds[SEGMENT_FDS]; /* segments whose fd may stay open without references */
};

#define SEGMENT_NAME_MAX 32
void segment_name(uint64_t id, const char *suffix, char out[SEGMENT_NAME_MAX]);

/* ---- mutex held */

/* Adds a segment; it is then owned by the table.  -ENOMEM. */
MUST_USE int segment_add(struct bodies *bodies, struct segment *segment);
struct segment *segment_find(struct bodies *bodies, uint64_t id);
bool segment_is_current(const struct bodies *bodies, const struct segment *segment);
/* Takes it out of the table, for good. */
void segment_detach(struct bodies *bodies, struct segment *segment);
/* Opens its file if need be. */
MUST_USE int segment_ref(struct bodies *bodies, struct segment *segment);
void segment_unref(struct bodies *bodies, struct segment *segment);
/* The file is there already, open as fd; takes the descriptor over. */
void segment_seat(struct bodies *bodies, struct segment *segment, int fd);

/* ---- mutex not held */

/* The file and the rows of a segment that was detached. */
void segment_erase(struct bodies *bodies, uint64_t id);
/* ---- evict.c; mutex not held */

/* Evicts segments, the longest unused first, until no more than `target` bytes are left or
 * nothing may go.  `keep` (may be NULL) stays, and so do the current ones unless nothing else is
 * left, and those with a reference.  Pinned bodies are copied into another segment first; with
 * `may_copy` false, segments that have any stay.  Returns whether anything went. */
bool segments_evict(struct bodies *bodies, uint64_t target, const struct segment *keep,
                    bool may_copy);
/* After ENOSPC: gives up at least `need` bytes of old bodies, if there are any. */
bool segments_make_room(struct bodies *bodies, uint64_t need);
/* store_body_gone_fn: a row of this segment was deleted by the store. */
void bodies_gone(void *bodies, uint64_t id);
/* After open, when the table is there: the segments to be filled up. */
void segments_resume(struct bodies *bodies);

/* ---- body_write.c */

/* body_commit for the copy of a body that is still where `from` says; -ENOENT: it is not. */
MUST_USE int body_commit_copy(struct body_writer *w, const struct body_row *from);
/* Of what was written so far. */
uint32_t body_writer_crc(const struct body_writer *w);

struct body {
    struct bodies *bodies;
    struct segment *segment; /* holds a reference; NULL: the bytes are in memory_fd */
    int memory_fd;           /* owned; -1: they are in the segment */
    uint64_t offset;         /* of byte 0 */
    uint64_t size;
};

#endif
