/*
 * netwatch.h -- notices that the machine's network has changed: another cable, WLAN or VPN.
 *
 * The kernel tells by rtnetlink(7); much of what it tells changes nothing (renewed life times,
 * statistics of a link), so links and addresses are compared with what they were, and only a
 * default route counts by itself.  A change comes as many messages: they are told once, when it
 * has been quiet for NETWATCH_QUIET_MS, or NETWATCH_MAX_MS after the first.
 *
 * Threads: one at a time.
 */
#ifndef MAILMOUNT_NETWATCH_H
#define MAILMOUNT_NETWATCH_H

#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define NETWATCH_QUIET_MS 1000
#define NETWATCH_MAX_MS   5000

struct netwatch;

/* Fails where there is no netlink (some containers). */
MUST_USE int netwatch_new(struct netwatch **ret);
void netwatch_free(struct netwatch *netwatch);
/* Reads what has come; never waits.  True once after each change; to be asked every second or so.
 * now_ms: clock_mono_ms. */
bool netwatch_changed(struct netwatch *netwatch, int64_t now_ms);

/* ---- its parts, for tests */

enum netwatch_news { NETWATCH_NOTHING, NETWATCH_LOOK, NETWATCH_CHANGED };
/* What a datagram of the kernel means: links or addresses are to be looked at, or a default route
 * of the main table came or went. */
enum netwatch_news netwatch_parse(const void *data, size_t n);

struct netwatch_debounce {
    int64_t first_ms, last_ms; /* 0: nothing to tell */
};
/* True when what was noted is to be told now. */
bool netwatch_due(struct netwatch_debounce *debounce, bool news, int64_t now_ms);

#endif
