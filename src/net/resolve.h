/*
 * resolve.h -- getaddrinfo that can be interrupted.
 */
#ifndef MAILMOUNT_RESOLVE_H
#define MAILMOUNT_RESOLVE_H

#include <stdint.h>

#include "util.h"

struct addrinfo;

/* The stream addresses of `host` (a name, or an address without brackets).  Names are looked up
 * on a thread of their own, which is left behind when `interrupt_fd` becomes readable
 * (-ECANCELED) or timeout_ms are over (-ETIMEDOUT).  -ENETUNREACH: the name has no address; err
 * says why.  *ret: freeaddrinfo. */
MUST_USE int resolve_host(const char *host, uint16_t port, int interrupt_fd, int timeout_ms,
                          struct addrinfo **ret, struct errtext *err);

#endif
