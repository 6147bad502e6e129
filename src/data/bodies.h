/*
 * bodies.h -- message bodies on disk, written whole or not at all, limited in size.
 *
 * DESIGN.  CACHE_DIR/bodies/NNNNNNNN.seg are segments: append-only files of up to 32 MB, each
 * record with a header (magic, inode, length, CRC-32 of the bytes); the index is a table of
 * cache.db.  A message above 1 MB is a segment of its own (NNNNNNNN.seg too), written to a
 * temporary name, synced and renamed.  Eviction removes whole segments, the longest unused first,
 * until the total is below cache_size; it never touches pinned or open bodies (evict.c).  An open
 * body keeps its file readable, also when its message goes.  The index row is
 * written only after the record is complete; what a crash leaves behind a row is never read, and
 * a record is checked against inode, length and CRC when a small body is opened (-EIO never
 * reaches the caller: a bad record is dropped and the body is "not here").
 *
 * A full disk makes eviction begin early; where nothing is left to evict, a body of up to 64 MB is
 * held in memory: body_finish succeeds, body_commit says -ENOSPC, body_from_writer reads it.  A
 * body larger than cache_size is kept, alone, until the next one comes.  Rows are committed in
 * groups (store_checkpoint): kill -9 may forget the bodies of the last moment, which are fetched
 * again.
 *
 * Measured, Release, 10,000 x 5 KB: write with its index row 14 us each (with a transaction of
 * its own 30), open, check, read and close 5 us, eviction 4 us; of pinned ones, counting 1 us,
 * carrying over 27 us.
 *
 * Errors: -ENOENT not here; -ENOSPC; -ENOMEM; -EIO.  Any thread; a writer or handle belongs to
 * one thread at a time.
 */
#ifndef MAILMOUNT_BODIES_H
#define MAILMOUNT_BODIES_H

#include "store.h"

struct bodies;
struct body_writer;
struct body;

/* cache_size: bytes; 0: 2 GiB or a tenth of the disk, whichever is less.  Removes files that the
 * index does not know, and rows whose file is gone.  One struct bodies for a store. */
MUST_USE int bodies_open(struct store *store, const char *cache_dir, uint64_t cache_size,
                         struct bodies **ret, struct errtext *err);
/* After the last writer, handle and removal of messages; before store_close. */
void bodies_close(struct bodies *bodies);

/* ---- writing: begin, write, finish (bytes are on disk, complete), then commit (it is indexed
 * under an inode).  Whatever fails, body_writer_free releases what was taken. */
MUST_USE int body_writer_new(struct bodies *bodies, uint64_t size, struct body_writer **ret);
MUST_USE int body_write(struct body_writer *w, const void *data, size_t n);
/* -EINVAL when fewer or more bytes came than announced. */
MUST_USE int body_finish(struct body_writer *w);
/* Replaces a body already there.  -ENOENT: the message is gone.  The writer is still to be freed.
 * The size in the message's row is the caller's to set (store_set_size). */
MUST_USE int body_commit(struct body_writer *w, uint64_t ino);
/* It is for a pinned message: it is put among its like, where eviction need not copy it.  Before
 * body_finish; a hint, which alone pins nothing. */
void body_writer_pin(struct body_writer *w);
void body_writer_free(struct body_writer *w);
void body_writer_freep(struct body_writer **w);

/* ---- reading */
MUST_USE int body_open(struct bodies *bodies, uint64_t ino, struct body **ret);
/* A body that was finished, committed or not (because its message is gone, or the disk is full):
 * readable until closed, without a look into the index.  Takes the writer over; on failure
 * (-ENOMEM; -EINVAL: not finished) it stays the caller's. */
MUST_USE int body_from_writer(struct body_writer *w, struct body **ret);
uint64_t body_size(const struct body *body);
/* The file and the offset of byte 0 in it, for pread and splice; valid until body_close. */
int body_fd(const struct body *body, off_t *ret_offset);
void body_close(struct body *body);

bool body_exists(struct bodies *bodies, uint64_t ino);
MUST_USE int body_drop(struct bodies *bodies, uint64_t ino);
/* ---- pins: which messages are pinned is the store's to know (store_set_pins) */

/* To be called after store_set_pins has changed them. */
void bodies_pins_changed(struct bodies *bodies);
/* Bytes on disk of pinned bodies, and how many there may be: cache_size less what eviction needs to
 * move in.  More than that is not evicted either, but whoever fetches pinned bodies stops there.
 * May read the index of all bodies. */
void bodies_pinned(struct bodies *bodies, uint64_t *ret_bytes, uint64_t *ret_limit);
/* cache_size as it is in force. */
uint64_t bodies_limit(const struct bodies *bodies);

/* Bytes on disk, and bodies indexed. */
void bodies_stat(struct bodies *bodies, uint64_t *ret_bytes, uint64_t *ret_count);

#endif
