/*
 * search.h -- a search on the server, in many folders at once, to paths that open.
 *
 * Sequence: search_run -> search_write -> search_free.  A result is whole: a folder that cannot be
 * searched, a connection that breaks twice, or an account that is offline ends the search with an
 * error.  Nothing on the server is changed: folders are opened with EXAMINE.
 *
 * Threads: one thread owns a search and waits in search_run; workers do the work (JOB_SEARCH).
 */
#ifndef MAILMOUNT_SEARCH_H
#define MAILMOUNT_SEARCH_H

#include "query.h"
#include "view.h"

#define SEARCH_HITS_MAX 1000000 /* more are an error, not a part */

struct search;

struct search_asker {
    void *ctx;
    /* Called about every 200 ms while the search waits: true ends it. */
    bool (*gone)(void *ctx);
    /* So many of so many folders are done; may be NULL. */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
};

/* Searches `inside`, a directory's path in the mount ("": all of it), and what is below it.  A
 * folder with hits that the cache does not know, or has never listed, is listed first; what is gone
 * from the server by then is no hit.  The query is taken over, also on failure.
 *   -ENOENT no such directory   -ECANCELED `gone` said so   -EFBIG more than SEARCH_HITS_MAX
 *   -ENOTSUP the server cannot search for what is not ASCII   and the status values of account.h;
 * `err` says it in one line, with the folder. */
MUST_USE int search_run(struct view *view, const char *inside, struct query *query,
                        const struct search_asker *asker, struct search **ret, struct errtext *err);
void search_free(struct search *search);
void search_freep(struct search **search);

enum search_format {
    SEARCH_LINES, /* paths, each with a newline */
    SEARCH_NULS,  /* each with a NUL */
    SEARCH_JSON,  /* an array of objects, see mailmount(1) */
};
/* Hands the output on in pieces; nonzero from `out` ends it and is returned.  `prefix` stands for
 * the directory that was searched.  By folder, then by date.  What was removed since the search is
 * left out. */
typedef int search_out_fn(void *ctx, const char *data, size_t n);
MUST_USE int search_write(const struct search *search, const char *prefix,
                          enum search_format format, search_out_fn *out, void *ctx);

#endif
