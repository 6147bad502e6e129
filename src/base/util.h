/*
 * util.h -- the small things every layer uses: scoped cleanup, error texts, clocks, files.
 *
 * Errors: functions return 0 or -errno and leave their outputs untouched on failure, unless
 * said otherwise.  All functions may be called from any thread.
 */
#ifndef MAILMOUNT_UTIL_H
#define MAILMOUNT_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- scoped cleanup: the variable is released when it goes out of scope */

#define CLEANUP(f)   __attribute__((cleanup(f)))
#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD   CLEANUP(cleanup_fd)

void cleanup_free(void *pointer_to_pointer);
void cleanup_fd(int *fd); /* closes unless negative */

/* Returns *pointer_to_pointer and sets it to NULL: ownership leaves the scope. */
static inline void *steal(void *pointer_to_pointer)
{
    void **p = pointer_to_pointer;
    void *value = *p;
    *p = NULL;
    return value;
}

static inline int steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

/* ---- error texts: what, which, why, what next; one line, no control characters */

struct errtext {
    char text[512];
};

/* Writes the text (cut at 511 bytes, control characters become '?') and returns -code.
 * `code` is a positive errno; `err` may be NULL. */
int err_set(struct errtext *err, int code, const char *format, ...) PRINTF(3, 4);

/* ---- numbers */

/* Whole decimal string to number; -EINVAL for anything else, -ERANGE above max. */
MUST_USE int parse_u64(const char *text, uint64_t max, uint64_t *ret_value);
/* Bytes with an optional suffix K, M, G or T (powers of 1024). */
MUST_USE int parse_bytes(const char *text, uint64_t *ret_bytes);

/* ---- clocks */

int64_t clock_mono_ms(void); /* CLOCK_MONOTONIC, milliseconds */
int64_t clock_wall_ns(void); /* CLOCK_REALTIME, nanoseconds since 1970 */

/* ---- files */

/* Write or read all n bytes, through EINTR and short counts.  read_full returns the bytes
 * read (fewer only at end of file) or -errno. */
MUST_USE int write_full(int fd, const void *data, size_t n);
MUST_USE int pwrite_full(int fd, const void *data, size_t n, off_t offset);
MUST_USE ssize_t read_full(int fd, void *data, size_t n);
MUST_USE ssize_t pread_full(int fd, void *data, size_t n, off_t offset);

/* mkdir -p with mode 0700.  The last directory must belong to us and be closed to others:
 * -EPERM otherwise. */
MUST_USE int mkdir_private(const char *path);

/* Replaces DIR/NAME by `data`, durably and whole or not at all (temporary file, fsync,
 * rename, fsync of the directory); mode 0600. */
MUST_USE int file_replace(const char *dir, const char *name, const void *data, size_t n);

/* The whole file as a NUL-terminated string, at most `max` bytes (-EFBIG). */
MUST_USE int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len);

/* asprintf that returns NULL on failure instead of leaving the pointer undefined. */
char *str_printf(const char *format, ...) PRINTF(1, 2);

#endif
