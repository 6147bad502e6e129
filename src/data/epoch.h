/*
 * epoch.h -- what the state directory remembers about the cache: the epoch, and whether the
 * cache on the disk is whole.  Internal to data.
 *
 * STATE_DIR/epoch is one line, replaced durably: `EPOCH STATE BOOT`.
 *
 *   clean    everything written to cache.db is on the disk
 *   dirty    cache.db was written to by the boot BOOT and perhaps not all of it is on the disk
 *   damaged  SQLite found cache.db corrupt
 *
 * Errors: -errno of the file system.  Not thread-safe.
 */
#ifndef MAILMOUNT_EPOCH_H
#define MAILMOUNT_EPOCH_H

#include "util.h"

#define EPOCH_MAX   0xffff
#define EPOCH_SHIFT 40

enum epoch_state { EPOCH_CLEAN, EPOCH_DIRTY, EPOCH_DAMAGED };

struct epoch {
    bool known; /* false: no such file, or one that makes no sense (then `exists`) */
    bool exists;
    unsigned epoch; /* 1 to EPOCH_MAX */
    enum epoch_state state;
    bool same_boot; /* the machine has run since the line was written */
};

MUST_USE int epoch_load(const char *state_dir, struct epoch *ret);
MUST_USE int epoch_save(const char *state_dir, unsigned epoch, enum epoch_state state);
/* An epoch for a cache whose earlier ones nobody remembers: random, so most likely unused. */
unsigned epoch_random(void);

#endif
