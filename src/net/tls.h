/*
 * tls.h -- TLS on a connected, non-blocking socket.  [OpenSSL]
 *
 * TLS 1.2 or later; the certificate's chain, dates and host name are always checked, the name
 * against subjectAltName only (RFC 9525): an address against iPAddress, anything else against
 * dNSName.  There is no way to switch a check off.  SIGPIPE is never raised.
 *
 * No call blocks: -EAGAIN comes with the poll events to wait for in *ret_want.
 */
#ifndef MAILMOUNT_TLS_H
#define MAILMOUNT_TLS_H

#include "util.h"

struct tls;

MUST_USE int tls_global_init(void);

/* `fd` is borrowed.  `cafile` NULL: the system's authorities. */
MUST_USE int tls_new(int fd, const char *host, const char *cafile, struct tls **ret,
                     struct errtext *err);
void tls_free(struct tls *tls);

/* -EKEYREJECTED: a check failed or no TLS is spoken; err names the check. */
MUST_USE int tls_handshake(struct tls *tls, short *ret_want, struct errtext *err);

/* Bytes, or -EAGAIN, -ECONNRESET (closed). */
MUST_USE ssize_t tls_read(struct tls *tls, void *data, size_t n, short *ret_want);
MUST_USE ssize_t tls_write(struct tls *tls, const void *data, size_t n, short *ret_want);
/* Whether a read returns something without the socket becoming readable. */
bool tls_pending(const struct tls *tls);

#endif
