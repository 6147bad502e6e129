/*
 * drain.c -- requests answered between the end of the loop and the unmounting.
 *
 * After SIGTERM the mount is still there.  Whoever looks something up holds the directory's lock
 * until he is answered, and a notification that is under way waits for that lock: without answers
 * the thread that notifies could not be ended, nor a verb that waits for it.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fs_internal.h"

#define LOOK_MS 20

struct drain {
    struct fuse_session *session;
    pthread_t thread;
    atomic_bool stopping;
};

static void *drain_main(void *arg)
{
    struct drain *drain = arg;
    struct fuse_buf buffer = {.mem = NULL};
    struct pollfd polled = {.fd = fuse_session_fd(drain->session), .events = POLLIN};
    while (!drain->stopping) {
        if (poll(&polled, 1, LOOK_MS) <= 0)
            continue;
        if (fuse_session_receive_buf(drain->session, &buffer) <= 0)
            break; /* unmounted */
        fuse_session_process_buf(drain->session, &buffer);
    }
    free(buffer.mem);
    return NULL;
}

struct drain *drain_start(struct fuse_session *session)
{
    struct drain *drain = calloc(1, sizeof(*drain));
    if (!drain)
        return NULL;
    drain->session = session;
    fuse_session_reset(session); /* a session that has ended receives nothing */
    if (pthread_create(&drain->thread, NULL, drain_main, drain) == 0)
        return drain;
    free(drain);
    return NULL;
}

void drain_stop(struct drain *drain)
{
    if (!drain)
        return;
    drain->stopping = true;
    pthread_join(drain->thread, NULL);
    free(drain);
}
