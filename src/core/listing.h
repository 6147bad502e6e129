/*
 * listing.h -- the parts of sync.c that move data: rows into the store, windows of UID FETCH out.
 * Nobody else includes it.
 */
#ifndef MAILMOUNT_LISTING_H
#define MAILMOUNT_LISTING_H

#include "flags.h"
#include "sync.h"

#define ITEMS_FLAGS  (IMAP_ITEM_UID | IMAP_ITEM_FLAGS)
#define ITEMS_LISTED (ITEMS_FLAGS | IMAP_ITEM_INTERNALDATE | IMAP_ITEM_SIZE)
#define ITEMS_FULL   (ITEMS_LISTED | IMAP_ITEM_HEADER)

struct listing {
    struct sync *sync;
    const struct store_folder *folder;
    struct uidset server;   /* what SEARCH said */
    struct uidset gone;     /* what VANISHED said */
    struct uidset missing;  /* what is asked for in this round */
    struct uidset received; /* what came of it */
    unsigned want;          /* items that make a row */
    uint64_t max_modseq;    /* highest MODSEQ that came with FETCH */
    uint32_t max_uid;       /* highest UID that came with FETCH */
    struct store_new_message *batch;
    char **texts; /* of each row in the batch: keywords and message-id, in one allocation */
    size_t batch_len;
    int error; /* first failure inside an event */
};

MUST_USE int listing_init(struct listing *l, struct sync *sync, const struct store_folder *folder);
void listing_release(struct listing *l);

/* Remembers the first failure inside an event. */
void listing_fail(struct listing *l, int r);

/* For store functions: passes a change on as news; ctx is the listener. */
void listing_tell(void *ctx, enum store_change change, uint64_t parent, uint64_t ino,
                  const char *name);

/* A FETCH answer becomes a row of the batch; a full batch is stored. */
MUST_USE int listing_add_row(struct listing *l, const struct imap_fetch *f);
/* Stores what is in the batch, and tells of it where the folder has been seen before. */
MUST_USE int listing_store_batch(struct listing *l);
/* A FETCH answer changes the flags of a message that is here.  -ENOENT: it is not. */
MUST_USE int listing_set_flags(struct listing *l, const struct imap_fetch *f);

/* UID FETCH of l->missing in windows, several in flight.  The events must be set. */
MUST_USE int listing_fetch_missing(struct listing *l, unsigned items);

#endif
