/*
 * control_socket.h -- what both sides of the control socket share.  For control*.c only.
 */
#ifndef MAILMOUNT_CONTROL_SOCKET_H
#define MAILMOUNT_CONTROL_SOCKET_H

#include <sys/socket.h>
#include <sys/un.h>

#include "util.h"

/* How long a client may take to send its request, and again to take the answer.  Tests make it
 * shorter before they start. */
extern int control_client_ms;

/* An address for a path of any length: one that does not fit is named through the descriptor of
 * its directory, which must stay open while the address is used (`ret_dir`, -1: not needed). */
MUST_USE int control_address(const char *path, struct sockaddr_un *ret, int *ret_dir);

/* A connected socket, not blocking.  -ENOENT, -ECONNREFUSED: nobody listens. */
MUST_USE int control_connect(const char *path);

/* 0 when the other side has our uid or is root, else -EPERM. */
MUST_USE int control_check_peer(int fd);

/* Waits until the socket is ready for `events`, or for `stop_fd` (-1: none) to be readable.
 * 0, -ETIMEDOUT at the deadline (clock_mono_ms), -ECANCELED for stop_fd. */
MUST_USE int control_poll(int fd, short events, int stop_fd, int64_t deadline_ms);

#endif
