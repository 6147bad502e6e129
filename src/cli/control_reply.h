/*
 * control_reply.h -- the inside of struct reply, for control.c.
 */
#ifndef MAILMOUNT_CONTROL_REPLY_H
#define MAILMOUNT_CONTROL_REPLY_H

#include "control.h"

struct reply {
    int fd;              /* borrowed, not blocking */
    int stop_fd;         /* borrowed: readable when the daemon ends */
    bool broken;         /* nobody takes it any more: nothing is sent */
    int64_t said_ms;     /* when something was sent last */
    int64_t progress_ms; /* when the last progress was sent; 0: never */
};

/* The last frame. */
void reply_exit(struct reply *reply, int code);

#endif
