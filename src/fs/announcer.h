/*
 * announcer.h -- the helper process that announces other clients' changes through the mount.
 *
 * A notification to the kernel makes it forget, but creates no inotify event; a system call on
 * the mount does.  So this process makes the system call (mknod, unlink, mkdir, rmdir, utimensat)
 * that the other client's change would have been here, and the daemon, which knows it by its
 * process ID (announce.h), answers as if it had been done and does nothing.
 *
 * It is this program, executed anew: an address space without secrets, startable again at any
 * time.  Requests come in packets on its standard input, one at a time, each answered by a packet;
 * it ends when the socket ends.  Between two requests it holds no descriptor in the mount.
 */
#ifndef MAILMOUNT_ANNOUNCER_H
#define MAILMOUNT_ANNOUNCER_H

#include <limits.h>

#include "util.h"

/* argv: the program, this word, the mount point (which is for the reader of ps). */
#define ANNOUNCER_WORD "--announcer"

enum announcer_op {
    ANNOUNCER_CREATE, /* a message appeared */
    ANNOUNCER_DELETE, /* a message went */
    ANNOUNCER_MKDIR,  /* a folder appeared */
    ANNOUNCER_RMDIR,  /* a folder went */
    ANNOUNCER_TOUCH,  /* the directory itself: more happened in it than could be told */
};

struct announcer_request {
    uint32_t op;
    uint32_t dev_major, dev_minor; /* of the mount */
    uint64_t ino;                  /* of the directory; nothing is done in any other */
    char directory[PATH_MAX];      /* absolute */
    char name[NAME_MAX + 1];       /* in it; "" for ANNOUNCER_TOUCH */
};

struct announcer_reply {
    int32_t error; /* 0 or -errno */
};

/* The helper's whole life; returns its exit code. */
int announcer_main(int argc, char **argv);

#endif
