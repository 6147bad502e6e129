#include "uidset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void uidset_release(struct uidset *set)
{
    free(set->ranges);
    *set = (struct uidset){.max_ranges = set->max_ranges};
}

static bool is_normalized(const struct uidset *set)
{
    return set->n == 0 || set->normalized;
}

/* No overflow at 2^32-1: `a` ends right before `b` begins, or later. */
static bool joins(struct uid_range a, struct uid_range b)
{
    return b.first <= a.last || b.first - a.last == 1;
}

static int grow(struct uidset *set)
{
    if (set->n < set->alloc)
        return 0;
    size_t alloc = set->alloc ? set->alloc * 2 : 8;
    struct uid_range *ranges = reallocarray(set->ranges, alloc, sizeof(*ranges));
    if (!ranges)
        return -ENOMEM;
    set->ranges = ranges;
    set->alloc = alloc;
    return 0;
}

/* Out of order, ranges that will merge stand side by side for a while: twice the cap may be
 * held before they are counted as what they are. */
static int keep_cap(struct uidset *set)
{
    if (set->max_ranges == 0 || set->n < set->max_ranges)
        return 0;
    if (!is_normalized(set)) {
        if (set->n / 2 < set->max_ranges)
            return 0;
        uidset_normalize(set);
    }
    return set->n < set->max_ranges ? 0 : -EMSGSIZE;
}

int uidset_add(struct uidset *set, uint32_t first, uint32_t last)
{
    if (first == 0 || last == 0)
        return -EINVAL;
    struct uid_range range = {first < last ? first : last, first < last ? last : first};
    bool ascends = true;
    if (set->n > 0) {
        struct uid_range *end = &set->ranges[set->n - 1];
        if (range.first >= end->first && joins(*end, range)) {
            if (range.last > end->last)
                end->last = range.last;
            return 0;
        }
        ascends = is_normalized(set) && range.first > end->last;
    }
    int r = 0;
    if (!ascends && set->normalized && set->max_ranges && set->n >= set->max_ranges)
        set->normalized = false; /* it may merge with another than the last */
    r = keep_cap(set);
    if (r == 0)
        r = grow(set);
    if (r < 0)
        return r;
    set->ranges[set->n++] = range;
    set->normalized = ascends;
    return 0;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct uid_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

void uidset_normalize(struct uidset *set)
{
    if (is_normalized(set))
        return;
    qsort(set->ranges, set->n, sizeof(*set->ranges), compare_ranges);
    size_t kept = 0;
    for (size_t i = 1; i < set->n; i++) {
        struct uid_range *end = &set->ranges[kept], range = set->ranges[i];
        if (!joins(*end, range))
            set->ranges[++kept] = range;
        else if (range.last > end->last)
            end->last = range.last;
    }
    set->n = kept + 1;
    set->normalized = true;
}

/* The first range that ends at uid or later; n if there is none. */
static size_t find_range(const struct uidset *set, uint32_t uid)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].last < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool uidset_contains(const struct uidset *set, uint32_t uid)
{
    size_t i = find_range(set, uid);
    return uid > 0 && i < set->n && set->ranges[i].first <= uid;
}

uint64_t uidset_count(const struct uidset *set)
{
    uint64_t count = 0;
    for (size_t i = 0; i < set->n; i++)
        count += (uint64_t)set->ranges[i].last - set->ranges[i].first + 1;
    return count;
}

int uidset_minus(const struct uidset *a, const struct uidset *b, struct uidset *ret)
{
    CLEANUP_UIDSET struct uidset left = {.max_ranges = ret->max_ranges};
    size_t j = 0;
    for (size_t i = 0; i < a->n; i++) {
        uint64_t first = a->ranges[i].first, last = a->ranges[i].last;
        while (j < b->n && b->ranges[j].last < first)
            j++;
        for (size_t k = j; k < b->n && b->ranges[k].first <= last && first <= last; k++) {
            if (b->ranges[k].first > first) {
                int r = uidset_add(&left, (uint32_t)first, b->ranges[k].first - 1);
                if (r < 0)
                    return r;
            }
            first = (uint64_t)b->ranges[k].last + 1;
            j = k;
        }
        if (first <= last) {
            int r = uidset_add(&left, (uint32_t)first, (uint32_t)last);
            if (r < 0)
                return r;
        }
    }
    uidset_release(ret);
    *ret = left;
    left = (struct uidset){0};
    return 0;
}

/* A number of a sequence-set at *p: digits, not 0, at most 2^32-1. */
static int parse_uid(const char **p, const char *end, uint32_t *ret_uid)
{
    const char *start = *p;
    uint64_t value = 0;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
        value = value * 10 + (uint64_t)(**p - '0');
        if (value > UINT32_MAX)
            return -EINVAL;
    }
    if (*p == start || value == 0)
        return -EINVAL;
    *ret_uid = (uint32_t)value;
    return 0;
}

static int parse_set(const char *p, const char *end, struct uidset *set)
{
    for (;;) {
        uint32_t first, last;
        int r = parse_uid(&p, end, &first);
        last = first;
        if (r == 0 && p < end && *p == ':') {
            p++;
            r = parse_uid(&p, end, &last);
        }
        if (r == 0)
            r = uidset_add(set, first, last);
        if (r < 0)
            return r;
        if (p == end)
            return 0;
        if (*p++ != ',')
            return -EINVAL;
    }
}

int uidset_parse(const char *text, size_t len, struct uidset *set)
{
    CLEANUP_UIDSET struct uidset added = {.max_ranges = set->max_ranges};
    int r = parse_set(text, text + len, &added);
    if (r < 0)
        return r;
    if (set->n == 0) {
        struct uidset empty = *set;
        *set = added;
        added = empty;
        return 0;
    }
    for (size_t i = 0; r == 0 && i < added.n; i++)
        r = uidset_add(set, added.ranges[i].first, added.ranges[i].last);
    return r;
}

/* Writes one range, cut to the UIDs and the bytes that are left; returns the UIDs, or 0. */
static uint64_t format_range(struct uid_range range, uint64_t max_uids, const char *comma,
                             size_t max_text, struct str *out)
{
    char text[32];
    if ((uint64_t)range.last - range.first >= max_uids)
        range.last = range.first + (uint32_t)(max_uids - 1);
    int n = 0;
    if (range.last > range.first)
        n = snprintf(text, sizeof(text), "%s%u:%u", comma, range.first, range.last);
    if (range.last == range.first || (size_t)n > max_text) {
        range.last = range.first;
        n = snprintf(text, sizeof(text), "%s%u", comma, range.first);
    }
    if ((size_t)n > max_text || str_append(out, text, (size_t)n) < 0)
        return 0;
    return (uint64_t)range.last - range.first + 1;
}

int64_t uidset_next_chunk(const struct uidset *set, uint32_t *cursor, uint64_t max_uids,
                          size_t max_text, struct str *out)
{
    if (max_uids == 0)
        return -EINVAL;
    size_t start = out->len;
    uint32_t last = *cursor;
    uint64_t written = 0;
    size_t i = last == UINT32_MAX ? set->n : find_range(set, last + 1);
    for (; i < set->n && written < max_uids; i++) {
        struct uid_range range = set->ranges[i];
        if (range.first <= last)
            range.first = last + 1;
        uint64_t n = format_range(range, max_uids - written, out->len > start ? "," : "",
                                  max_text - (out->len - start), out);
        if (n == 0)
            break;
        last = range.first + (uint32_t)(n - 1);
        written += n;
        if (last < range.last)
            break;
    }
    if (str_error(out))
        return str_error(out);
    if (written == 0 && i < set->n)
        return -EMSGSIZE;
    *cursor = last;
    return (int64_t)written;
}
