#include "in_use.h"

void in_use_note(struct in_use *in_use, uint64_t ino, int64_t now_ms)
{
    unsigned place = 0;
    for (unsigned i = 0; i < IN_USE_MAX; i++) {
        if (in_use->folders[i].ino == ino) {
            place = i;
            break;
        }
        if (in_use->folders[i].at_ms < in_use->folders[place].at_ms)
            place = i;
    }
    in_use->folders[place].ino = ino;
    in_use->folders[place].at_ms = now_ms;
}

/* When it was used last; INT64_MIN: not lately. */
static int64_t used_at(const struct in_use *in_use, uint64_t ino, int64_t now_ms)
{
    for (unsigned i = 0; i < IN_USE_MAX; i++)
        if (ino && in_use->folders[i].ino == ino && now_ms - in_use->folders[i].at_ms < IN_USE_MS)
            return in_use->folders[i].at_ms;
    return INT64_MIN;
}

/* The folder used last that nobody watches; 0: none. */
static uint64_t next_folder(const struct in_use *in_use, uint64_t except, int64_t now_ms,
                            const struct in_use_watch *watches, unsigned n)
{
    uint64_t best = 0;
    for (unsigned i = 0; i < IN_USE_MAX; i++) {
        uint64_t ino = in_use->folders[i].ino;
        bool watched = ino == except;
        for (unsigned k = 0; k < n; k++)
            watched |= watches[k].ino == ino;
        if (!watched && used_at(in_use, ino, now_ms) > used_at(in_use, best, now_ms))
            best = ino;
    }
    return best;
}

/* The watch whose folder was used the longest ago, of those that may change. */
static struct in_use_watch *next_watch(const struct in_use *in_use, int64_t now_ms,
                                       struct in_use_watch *watches, unsigned n)
{
    struct in_use_watch *oldest = NULL;
    for (unsigned k = 0; k < n; k++) {
        struct in_use_watch *w = &watches[k];
        if (w->ino && now_ms - w->since_ms < IN_USE_HOLD_MS)
            continue;
        if (!oldest || used_at(in_use, w->ino, now_ms) < used_at(in_use, oldest->ino, now_ms))
            oldest = w;
    }
    return oldest;
}

unsigned in_use_assign(const struct in_use *in_use, uint64_t except, int64_t now_ms,
                       struct in_use_watch *watches, unsigned n)
{
    unsigned changed = 0;
    for (unsigned k = 0; k < n; k++) {
        struct in_use_watch *w = &watches[k];
        bool over = w->ino && (w->ino == except || used_at(in_use, w->ino, now_ms) == INT64_MIN);
        if (over && now_ms - w->since_ms >= IN_USE_HOLD_MS) {
            w->ino = 0;
            changed++;
        }
    }
    for (;;) {
        uint64_t ino = next_folder(in_use, except, now_ms, watches, n);
        struct in_use_watch *w = next_watch(in_use, now_ms, watches, n);
        if (!ino || !w || used_at(in_use, w->ino, now_ms) >= used_at(in_use, ino, now_ms))
            return changed;
        w->ino = ino;
        w->since_ms = now_ms;
        changed++;
    }
}
