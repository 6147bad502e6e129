/*
 * clocks.h -- notices that time has passed without us: a suspend, a stopped process, a virtual
 * machine put back.  Connections may be dead then without having said so.  Pure but for
 * clocks_read.
 */
#ifndef MAILMOUNT_CLOCKS_H
#define MAILMOUNT_CLOCKS_H

#include <stdint.h>

struct clocks {
    int64_t mono_ms; /* CLOCK_MONOTONIC: stands still while the machine sleeps */
    int64_t boot_ms; /* CLOCK_BOOTTIME: does not */
    int64_t wall_ms; /* CLOCK_REALTIME */
};

struct clocks clocks_read(void);
/* What has happened between two readings about a second apart, in words, or NULL for nothing. */
const char *clocks_jumped(const struct clocks *before, const struct clocks *now);

#endif
