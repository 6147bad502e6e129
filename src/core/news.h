/*
 * news.h -- how changes travel upward: one listener, told after the new state is visible.
 *
 * Called on any thread of core, without locks; the listener may only note it down (the notify
 * thread of fs passes it on to the kernel).
 */
#ifndef MAILMOUNT_NEWS_H
#define MAILMOUNT_NEWS_H

#include <stdint.h>

enum news {
    NEWS_ADDED,   /* `name` appeared in directory `parent` */
    NEWS_REMOVED, /* `name`, inode `ino`, went from directory `parent` */
    NEWS_CHANGED, /* attributes of `ino` (size, flags, ctime; mtime of a directory) */
};

struct news_listener {
    void *ctx;
    void (*tell)(void *ctx, enum news news, uint64_t parent, uint64_t ino, const char *name);
    /* Calls fn(arg) once, on this or another thread, when all that was told before has had its
     * effect.  NULL: it has it at once. */
    void (*when_told)(void *ctx, void (*fn)(void *arg), void *arg);
};

#endif
