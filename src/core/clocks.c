#include "clocks.h"

#include <stddef.h>
#include <time.h>

#define SLEPT_MS   2000
#define STOPPED_MS 10000 /* a busy machine or a slow disk makes a second long, too */
#define SET_MS     60000

static int64_t read_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct clocks clocks_read(void)
{
    return (struct clocks){.mono_ms = read_ms(CLOCK_MONOTONIC),
                           .boot_ms = read_ms(CLOCK_BOOTTIME),
                           .wall_ms = read_ms(CLOCK_REALTIME)};
}

const char *clocks_jumped(const struct clocks *before, const struct clocks *now)
{
    int64_t mono = now->mono_ms - before->mono_ms;
    if (now->boot_ms - before->boot_ms - mono >= SLEPT_MS)
        return "the machine was asleep";
    if (mono >= STOPPED_MS)
        return "this process was stopped for a while";
    if (now->wall_ms - before->wall_ms - mono >= SET_MS)
        return "the clock was put forward";
    return NULL;
}
