/*
 * evict.c -- which segments go when there are too many bytes, and what is carried over.
 *
 * DESIGN.  The longest unused segment goes, whole.  Open bodies hold a reference on their segment,
 * and with it it stays: its blocks would not be free before they are closed anyway.  Pinned bodies
 * are copied into the segment that pinned bodies are appended to, and found there, before their
 * old one goes; the order is copy, row, commit, unlink, so kill -9 in the middle loses neither.
 * Pinned bodies are appended apart from the others, so one is copied once at most, as long as the
 * pins stay.  What was used recently is not copied: the time is known of segments only.
 *
 * A round always sets free an eighth of a segment or more, so eviction ends whatever is pinned:
 * first go segments of which at most half is pinned, then the one that has most to give.  Where
 * all is pinned nothing goes; then there may be as many bytes as the pins have, and one segment.
 *
 * How much of a segment is pinned is counted when it is asked for, in pages, and remembered until
 * the pins or its rows change.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "segment.h"
#include "store_db.h"

#define PAGE  256 /* rows in one hold of the store */
#define CHUNK 65536

/* ---- counting */

static int count_pinned(struct bodies *bodies, uint64_t id, uint64_t *ret)
{
    struct body_place places[PAGE];
    uint64_t bytes = 0;
    uint64_t after = 0;
    for (;;) {
        int n = store_bodies_of_segment(bodies->store, id, after, places, PAGE);
        if (n < 0)
            return n;
        for (int i = 0; i < n; i++)
            if (places[i].pinned)
                bytes += RECORD_SIZE + places[i].row.length;
        if (n < PAGE)
            break;
        after = places[n - 1].row.ino;
    }
    *ret = bytes;
    return 0;
}

/* Counts the pinned bytes of one segment.  Where they cannot be counted all of it counts. */
static void learn(struct bodies *bodies, uint64_t id)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&bodies->mutex);
    uint64_t round = bodies->pin_round;
    bool any = bodies->any_pins;
    pthread_mutex_unlock(&bodies->mutex);
    int r = any ? count_pinned(bodies, id, &bytes) : 0;
    pthread_mutex_lock(&bodies->mutex);
    struct segment *segment = segment_find(bodies, id);
    if (segment && bodies->pin_round == round)
        segment->pinned = (int64_t)(r < 0 || bytes > segment->end ? segment->end : bytes);
    pthread_mutex_unlock(&bodies->mutex);
}

void bodies_pins_changed(struct bodies *bodies)
{
    bool any = true;
    int r = store_has_pins(bodies->store, &any);
    pthread_mutex_lock(&bodies->mutex);
    bodies->any_pins = r < 0 || any;
    bodies->pin_round++;
    for (size_t i = 0; i < bodies->n; i++)
        bodies->table[i]->pinned = -1;
    pthread_mutex_unlock(&bodies->mutex);
}

/* The sum of what is known; *ret_unknown: a segment to be counted first, 0 for none. */
static uint64_t sum_pinned(struct bodies *bodies, uint64_t *ret_unknown)
{
    uint64_t sum = 0;
    *ret_unknown = 0;
    pthread_mutex_lock(&bodies->mutex);
    for (size_t i = 0; i < bodies->n && bodies->any_pins; i++) {
        if (bodies->table[i]->pinned < 0)
            *ret_unknown = bodies->table[i]->id;
        else
            sum += (uint64_t)bodies->table[i]->pinned;
    }
    pthread_mutex_unlock(&bodies->mutex);
    return sum;
}

void bodies_pinned(struct bodies *bodies, uint64_t *ret_bytes, uint64_t *ret_limit)
{
    uint64_t unknown = 0;
    uint64_t sum = sum_pinned(bodies, &unknown);
    while (unknown) {
        learn(bodies, unknown);
        sum = sum_pinned(bodies, &unknown);
    }
    *ret_bytes = sum;
    *ret_limit = bodies->limit > 4 * bodies->segment_max ? bodies->limit - 2 * bodies->segment_max
                                                         : bodies->limit / 2;
}

uint64_t bodies_limit(const struct bodies *bodies)
{
    return bodies->limit;
}

/* ---- what goes next; mutex held */

static bool mostly_pinned(const struct segment *segment)
{
    return segment->pinned > 0 && (uint64_t)segment->pinned > segment->end / 2;
}

/* Worth copying the rest for. */
static uint64_t to_give(const struct segment *segment)
{
    uint64_t rest = segment->end - (uint64_t)segment->pinned;
    return rest > segment->end / 8 ? rest : 0;
}

static bool may_go(const struct segment *segment, const struct segment *keep, bool may_copy)
{
    return segment != keep && segment->refs == 0 && !segment->moving &&
           (may_copy || segment->pinned <= 0);
}

/* The segment that goes next; NULL: none may.  One whose pinned bytes are not known comes back to
 * have them counted. */
static struct segment *choose_victim(struct bodies *bodies, const struct segment *keep,
                                     bool may_copy)
{
    struct segment *victim = NULL;
    struct segment *dense = NULL;
    for (size_t i = 0; i < bodies->n; i++) {
        struct segment *segment = bodies->table[i];
        if (!may_go(segment, keep, may_copy) || segment_is_current(bodies, segment))
            continue;
        if (!mostly_pinned(segment)) {
            if (!victim || segment->used < victim->used)
                victim = segment;
        } else if (to_give(segment) > (dense ? to_give(dense) : 0)) {
            dense = segment;
        }
    }
    if (!victim)
        victim = dense;
    for (int i = 0; i < 2 && !victim; i++) {
        struct segment *segment = bodies->current[i];
        if (segment && may_go(segment, keep, may_copy) &&
            (segment->pinned < 0 || to_give(segment) > 0))
            victim = segment;
    }
    return victim;
}

/* ---- carrying over */

static int copy_bytes(const struct segment *segment, const struct body_row *row,
                      struct body_writer *w)
{
    char buffer[CHUNK];
    for (uint64_t done = 0; done < row->length;) {
        size_t n = row->length - done < CHUNK ? (size_t)(row->length - done) : CHUNK;
        off_t at = (off_t)(row->offset + RECORD_SIZE + done);
        if (pread_full(segment->fd, buffer, n, at) != (ssize_t)n)
            return -ENODATA;
        int r = body_write(w, buffer, n);
        if (r < 0)
            return r;
        done += n;
    }
    return 0;
}

/* A body that reads wrong is dropped; whoever keeps pinned bodies fetches it again. */
static void drop(struct bodies *bodies, const struct body_row *row)
{
    uint64_t segment = 0;
    log_warn("the cached body of inode %llu is damaged; it will be fetched again",
             (unsigned long long)row->ino);
    if (store_body_delete(bodies->store, row->ino, row->segment, row->offset, &segment) == 0)
        bodies_gone(bodies, segment);
}

static int copy_one(struct bodies *bodies, struct segment *segment, const struct body_row *row)
{
    CLEANUP(body_writer_freep) struct body_writer *w = NULL;
    int r = body_writer_new(bodies, row->length, &w);
    if (r < 0)
        return r;
    body_writer_pin(w);
    r = copy_bytes(segment, row, w);
    if (r == 0)
        r = body_finish(w);
    if (r == -ENODATA || (r == 0 && body_writer_crc(w) != row->crc)) {
        drop(bodies, row);
        return 0;
    }
    if (r == 0)
        r = body_commit_copy(w, row);
    if (r == -ENOENT) /* it went, or was fetched anew, meanwhile */
        return 0;
    if (r < 0)
        return r;
    pthread_mutex_lock(&bodies->mutex);
    if (segment->live > 0 && !segment->gone) {
        segment->live--;
        bodies->count--;
    }
    pthread_mutex_unlock(&bodies->mutex);
    return 0;
}

static int copy_all(struct bodies *bodies, struct segment *segment)
{
    struct body_place places[PAGE];
    uint64_t after = 0;
    for (;;) {
        int n = store_bodies_of_segment(bodies->store, segment->id, after, places, PAGE);
        int r = n < 0 ? n : 0;
        for (int i = 0; i < n && r == 0; i++)
            if (places[i].pinned)
                r = copy_one(bodies, segment, &places[i].row);
        if (r < 0 || n < PAGE)
            return r;
        after = places[n - 1].row.ino;
    }
}

/* The pinned bodies of a segment, on which the caller has a reference and `moving`, move; then it
 * goes, unless somebody uses it.  Gives the reference back. */
static int move_out(struct bodies *bodies, struct segment *segment)
{
    uint64_t id = segment->id;
    int r = copy_all(bodies, segment);
    if (r == 0)
        store_flush(bodies->store); /* the rows say where the copies are before the file goes */
    pthread_mutex_lock(&bodies->mutex);
    segment->moving = false;
    segment->pinned = r < 0 ? (int64_t)segment->end : 0;
    bool goes = r == 0 && !segment->gone && segment->refs == 1;
    if (goes)
        segment_detach(bodies, segment);
    segment_unref(bodies, segment);
    pthread_mutex_unlock(&bodies->mutex);
    if (goes)
        segment_erase(bodies, id);
    if (r < 0)
        log_warn("pinned bodies cannot be moved together: %s; cache_size may be exceeded",
                 strerror(-r));
    return r;
}

enum step { STEP_COUNT, STEP_GOES, STEP_MOVES, STEP_END };

/* Under the mutex; what is to be done with *ret, or with the segment *ret_id. */
static enum step next_step(struct bodies *bodies, uint64_t target, const struct segment *keep,
                           bool may_copy, struct segment **ret, uint64_t *ret_id)
{
    struct segment *victim = bodies->bytes > target ? choose_victim(bodies, keep, may_copy) : NULL;
    if (!victim)
        return STEP_END;
    *ret = victim;
    *ret_id = victim->id;
    if (victim->pinned < 0)
        return STEP_COUNT;
    if (victim->pinned == 0) {
        segment_detach(bodies, victim);
        return STEP_GOES;
    }
    if (segment_ref(bodies, victim) < 0) { /* its file was deleted: nothing to carry over */
        segment_detach(bodies, victim);
        return STEP_GOES;
    }
    /* What is appended from now on goes elsewhere. */
    for (int i = 0; i < 2; i++)
        if (bodies->current[i] == victim)
            bodies->current[i] = NULL;
    victim->moving = true;
    return STEP_MOVES;
}

bool segments_evict(struct bodies *bodies, uint64_t target, const struct segment *keep,
                    bool may_copy)
{
    bool any = false;
    for (;;) {
        struct segment *victim = NULL;
        uint64_t id = 0;
        pthread_mutex_lock(&bodies->mutex);
        enum step step = next_step(bodies, target, keep, may_copy, &victim, &id);
        pthread_mutex_unlock(&bodies->mutex);
        if (step == STEP_END)
            return any;
        if (step == STEP_COUNT)
            learn(bodies, id);
        else if (step == STEP_GOES)
            segment_erase(bodies, id);
        else if (move_out(bodies, victim) < 0)
            return any;
        any |= step != STEP_COUNT;
    }
}

bool segments_make_room(struct bodies *bodies, uint64_t need)
{
    pthread_mutex_lock(&bodies->mutex);
    uint64_t bytes = bodies->bytes;
    pthread_mutex_unlock(&bodies->mutex);
    return segments_evict(bodies, bytes > need ? bytes - need : 0, NULL, false);
}

/* ---- going on */

#define RESUME_LOOK 16 /* newest segments looked at */

/* The newest segment of each kind is filled up, so that many short runs do not leave many small
 * files. */
void segments_resume(struct bodies *bodies)
{
    bool seen[2] = {false, false};
    for (size_t i = bodies->n; i > 0 && bodies->n - i < RESUME_LOOK; i--) {
        struct segment *segment = bodies->table[i - 1];
        learn(bodies, segment->id);
        bool pinned = mostly_pinned(segment);
        if (!seen[pinned] && segment->end + BODY_SMALL_MAX < bodies->segment_max)
            bodies->current[pinned] = segment;
        seen[pinned] = true;
        if (seen[0] && (seen[1] || !bodies->any_pins))
            return;
    }
}
