#include "health.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <uthash.h>

#include "plain.h"

struct row {
    uint64_t ino;
    struct health_folder figures; /* but last_error */
    char *error;                  /* owned; NULL: none.  Few folders have one */
    UT_hash_handle hh;
};

struct health {
    pthread_mutex_t mutex;
    struct row *rows;            /* protected by mutex: by inode */
    struct health_totals totals; /* protected by mutex */
};

int health_new(struct health **ret)
{
    struct health *health = calloc(1, sizeof(*health));
    if (!health)
        return -ENOMEM;
    pthread_mutex_init(&health->mutex, NULL);
    *ret = health;
    return 0;
}

static void remove_row(struct health *health, struct row *row)
{
    HASH_DEL(health->rows, row);
    free(row->error);
    free(row);
}

void health_free(struct health *health)
{
    struct row *row, *next;
    if (!health)
        return;
    HASH_ITER(hh, health->rows, row, next)
    {
        remove_row(health, row);
    }
    pthread_mutex_destroy(&health->mutex);
    free(health);
}

static struct row *find(struct health *health, uint64_t ino)
{
    struct row *row;
    HASH_FIND(hh, health->rows, &ino, sizeof(ino), row);
    return row;
}

/* NULL: there are too many, or no memory; then only the totals know. */
static struct row *find_or_add(struct health *health, uint64_t ino)
{
    struct row *row = find(health, ino);
    if (row || HASH_COUNT(health->rows) >= HEALTH_MAX || !(row = calloc(1, sizeof(*row))))
        return row;
    row->ino = ino;
    row->figures.last_duration_ms = -1;
    HASH_ADD(hh, health->rows, ino, sizeof(row->ino), row);
    return row;
}

/* The text of an error, bounded and clean. */
static char *error_text(const struct health_run *run)
{
    char text[HEALTH_TEXT_MAX];
    bool given = run->error && run->error[0];
    return strdup(plain_copy(given ? run->error : strerror(-run->status), text, sizeof(text)));
}

static void note_run(struct row *row, const struct health_run *run, char **error)
{
    struct health_folder *figures = &row->figures;
    figures->tried++;
    figures->bytes_down += run->bytes_down;
    figures->bytes_up += run->bytes_up;
    free(row->error);
    row->error = steal(error);
    if (run->status < 0) {
        figures->failed++;
        figures->last_error_ns = clock_wall_ns();
        return;
    }
    figures->completed++;
    figures->last_success_ns = clock_wall_ns();
    figures->last_duration_ms = run->duration_ms;
    figures->level = run->level;
}

void health_listed(struct health *health, uint64_t folder, const struct health_run *run)
{
    CLEANUP_FREE char *error = run->status < 0 ? error_text(run) : NULL;
    pthread_mutex_lock(&health->mutex);
    health->totals.tried++;
    if (run->status < 0) {
        health->totals.failed++;
        health->totals.errors++;
    } else {
        health->totals.completed++;
    }
    struct row *row = find_or_add(health, folder);
    if (row)
        note_run(row, run, &error);
    pthread_mutex_unlock(&health->mutex);
}

void health_compared(struct health *health, uint64_t folder, uint64_t differences)
{
    pthread_mutex_lock(&health->mutex);
    health->totals.comparisons++;
    health->totals.differences += differences;
    struct row *row = find_or_add(health, folder);
    if (row) {
        row->figures.comparisons++;
        row->figures.differences += differences;
        row->figures.last_comparison_ns = clock_wall_ns();
    }
    pthread_mutex_unlock(&health->mutex);
}

void health_failed(struct health *health)
{
    pthread_mutex_lock(&health->mutex);
    health->totals.errors++;
    pthread_mutex_unlock(&health->mutex);
}

void health_forget(struct health *health, uint64_t folder)
{
    pthread_mutex_lock(&health->mutex);
    struct row *row = find(health, folder);
    if (row)
        remove_row(health, row);
    pthread_mutex_unlock(&health->mutex);
}

void health_folder(struct health *health, uint64_t folder, struct health_folder *ret)
{
    *ret = (struct health_folder){.last_duration_ms = -1};
    pthread_mutex_lock(&health->mutex);
    struct row *row = find(health, folder);
    if (row) {
        *ret = row->figures;
        if (row->error)
            memcpy(ret->last_error, row->error, strlen(row->error) + 1);
    }
    pthread_mutex_unlock(&health->mutex);
}

void health_totals(struct health *health, struct health_totals *ret)
{
    pthread_mutex_lock(&health->mutex);
    *ret = health->totals;
    pthread_mutex_unlock(&health->mutex);
}
