/*
 * fixture.h -- what the tests of the data layer share: a private directory with a cache and a
 * state directory in it, messages made by number, a journal of what was told.
 */
#ifndef TEST_DATA_FIXTURE_H
#define TEST_DATA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bodies.h"
#include "store.h"

#define IDENTITY "alice@imap.example.com:993"

struct dirs {
    char base[64], cache[80], state[80];
};
/* Makes base below `parent` (NULL: the system's directory for temporary files). */
void dirs_make(struct dirs *dirs, const char *parent);
void dirs_remove(struct dirs *dirs);
/* cmocka setup and teardown: *state is a struct dirs. */
int dirs_setup(void **state);
int dirs_teardown(void **state);

/* Opens, or fails the test. */
struct store *must_open(const struct dirs *dirs);
/* A LIST of these paths; raw names are the paths in quotes. */
void must_list(struct store *store, const char *const *paths, size_t n);
uint64_t must_folder(struct store *store, const char *name);
/* One folder INBOX, begun with UIDVALIDITY 7; its inode. */
uint64_t must_inbox(struct store *store);

/* Message `uid`, with a name of its own (plain = NULL) or the given one. */
void fill_message(struct store_new_message *m, uint32_t uid, const char *plain);
/* Adds first..last in batches. */
void must_add(struct store *store, uint64_t folder, uint32_t first, uint32_t last);
/* Adds one under a given name; returns its inode, and the name it got. */
uint64_t must_add_named(struct store *store, uint64_t folder, uint32_t uid, const char *plain,
                        char name[MSGNAME_MAX + 1]);

/* Bodies of `n` bytes that differ by seed. */
void fill_body(unsigned char *data, size_t n, uint64_t seed);
int write_body(struct bodies *bodies, uint64_t ino, size_t n, uint64_t seed);
/* Whether the body of `ino` is there and has exactly these bytes; -ENOENT, or fails the test. */
int check_body(struct bodies *bodies, uint64_t ino, size_t n, uint64_t seed);

/* What a store_change_fn was told, as "+INBOX -Old =Work " (names only). */
struct told {
    struct str text;
    size_t n;
};
void tell(void *told, enum store_change change, uint64_t parent, uint64_t ino, const char *name);

/* Files of a directory, without dot-files. */
size_t count_files(const char *dir);
/* Inverts n bytes at an offset; a negative offset counts from the end. */
void damage(const char *path, long offset, size_t n);

#endif
