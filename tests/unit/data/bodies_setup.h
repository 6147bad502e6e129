/* A store with 99 messages and its bodies, for the tests of bodies. */
#ifndef MAILMOUNT_TEST_BODIES_SETUP_H
#define MAILMOUNT_TEST_BODIES_SETUP_H

#include "fixture.h"

#include <string.h>

#define MIB (UINT64_C(1) << 20)

struct setup {
    struct dirs dirs;
    struct store *store;
    struct bodies *bodies;
    uint64_t inbox;
    uint64_t ino[100]; /* of UIDs 1 to 99 */
};

static inline void open_all(struct setup *s, uint64_t cache_size)
{
    struct errtext err = {""};
    s->store = must_open(&s->dirs);
    if (bodies_open(s->store, s->dirs.cache, cache_size, &s->bodies, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void close_all(struct setup *s)
{
    bodies_close(s->bodies);
    store_close(s->store);
}

static inline void add_messages(struct setup *s)
{
    s->inbox = must_inbox(s->store);
    for (uint32_t uid = 1; uid < 100; uid++)
        s->ino[uid] = must_add_named(s->store, s->inbox, uid, NULL, NULL);
}

static inline void begin(struct setup *s, uint64_t cache_size, const char *parent)
{
    memset(s, 0, sizeof(*s));
    dirs_make(&s->dirs, parent);
    open_all(s, cache_size);
    add_messages(s);
}

static inline void end(struct setup *s)
{
    close_all(s);
    dirs_remove(&s->dirs);
}

#endif
