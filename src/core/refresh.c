/*
 * DESIGN.  One question for the whole account: LIST with STATUS where the server can, else LIST
 * and one pipelined STATUS for each folder that has been listed.  The folder tree is replaced only
 * by a complete, tagged-OK LIST that names INBOX; a folder whose STATUS differs from its listing
 * is queued for a new one.
 */
#include "refresh.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "log.h"
#include "tree.h"

#define STATUS_IN_FLIGHT 32
#define SECOND_LOOK_MS   2000
#define META_FILTER      "folders" /* the option folders= that the tree was made with */
#define FILTER_MAX       65536

struct status_row {
    char *raw;
    bool mailbox; /* LIST named it as one that can be opened */
    struct imap_status status;
    UT_hash_handle hh;
};

struct refresh {
    struct account *account;
    struct imap *im;
    struct tree *tree;
    bool has_inbox;
    struct status_row *rows; /* by raw name: what LIST named, and what STATUS told */
    bool prefix_known;
    size_t named; /* folders of the tree that LIST gave */
    int error;    /* first failure inside an event */
};

/* ---- events */

/* NULL: no memory, or too many; the refresh fails. */
static struct status_row *row_of(struct refresh *refresh, const char *raw)
{
    struct status_row *row;
    HASH_FIND_STR(refresh->rows, raw, row);
    if (row)
        return row;
    row = HASH_COUNT(refresh->rows) < TREE_MAX ? calloc(1, sizeof(*row)) : NULL;
    if (row && !(row->raw = strdup(raw))) {
        free(row);
        row = NULL;
    }
    if (row)
        HASH_ADD_KEYPTR(hh, refresh->rows, row->raw, strlen(row->raw), row);
    else if (!refresh->error)
        refresh->error = -ENOMEM;
    return row;
}

static void on_list(void *ctx, const struct imap_list_entry *entry)
{
    struct refresh *refresh = ctx;
    if (strcasecmp(entry->name, "INBOX") == 0)
        refresh->has_inbox = true;
    int r = tree_add(refresh->tree, entry);
    if (r < 0 && !refresh->error)
        refresh->error = r;
    struct status_row *row = r == 0 ? row_of(refresh, entry->name) : NULL;
    if (row && !(entry->attrs & IMAP_ATTR_NOSELECT))
        row->mailbox = true; /* so STATUS should come: count_unanswered */
}

static void on_status(void *ctx, const struct imap_status *status)
{
    struct status_row *row = row_of(ctx, status->name);
    if (row) {
        row->status = *status;
        row->status.name = row->raw;
    }
}

static void on_namespace(void *ctx, const char *prefix, char delimiter)
{
    struct refresh *refresh = ctx;
    (void)delimiter;
    if (refresh->prefix_known)
        return;
    char *copy = strdup(prefix);
    if (!copy)
        return;
    free(refresh->account->prefix);
    refresh->account->prefix = copy;
    refresh->prefix_known = true;
}

static void on_quota(void *ctx, const struct imap_quota *quota)
{
    struct account *a = ((struct refresh *)ctx)->account;
    pthread_mutex_lock(&a->mutex);
    a->has_quota = true;
    a->quota_used = quota->used;
    a->quota_limit = quota->limit;
    pthread_mutex_unlock(&a->mutex);
}

static void tell_store_change(void *ctx, enum store_change change, uint64_t parent, uint64_t ino,
                              const char *name)
{
    struct account *a = ctx;
    static const enum news as_news[] = {
        [STORE_ADDED] = NEWS_ADDED, [STORE_REMOVED] = NEWS_REMOVED, [STORE_CHANGED] = NEWS_CHANGED};
    a->news.tell(a->news.ctx, as_news[change], parent, ino, name);
}

/* ---- questions */

static int read_namespace(struct refresh *refresh)
{
    struct imap_result result;
    if (!(imap_caps(refresh->im) & IMAP_CAP_NAMESPACE))
        return 0;
    int r = imap_send_namespace(refresh->im, &result);
    if (r < 0)
        return r;
    r = imap_wait(refresh->im, &result);
    return imap_error(refresh->im) < 0 ? r : 0; /* a refused NAMESPACE: no prefix */
}

static int read_list(struct refresh *refresh, struct errtext *err)
{
    struct imap_result noop, list, quota;
    bool with_noop = imap_selected(refresh->im);
    bool with_status = imap_caps(refresh->im) & IMAP_CAP_LIST_STATUS;
    bool with_quota = imap_caps(refresh->im) & IMAP_CAP_QUOTA;
    /* STATUS of the selected mailbox is as old as its view (seen with Dovecot). */
    int r = with_noop ? imap_send_noop(refresh->im, &noop) : 0;
    if (r == 0)
        r = imap_send_list(refresh->im, with_status, &list);
    if (r < 0)
        return r;
    int sent = with_quota ? imap_send_quota(refresh->im, &quota) : 0;
    if (with_noop)
        r = imap_wait(refresh->im, &noop);
    r = imap_wait(refresh->im, &list);
    if (with_quota && sent == 0) {
        int answered = imap_wait(refresh->im, &quota);
        (void)answered; /* no quota is no failure */
    }
    if (imap_error(refresh->im) < 0)
        return imap_error(refresh->im);
    if (r < 0)
        return err_set(err, -r, "%s: the server refused LIST: %s", refresh->account->settings->host,
                       list.text);
    if (refresh->error)
        return refresh->error;
    if (!refresh->has_inbox)
        return err_set(err, EIO, "%s: LIST was answered without INBOX: not believed",
                       refresh->account->settings->host);
    return 0;
}

/* Mailboxes that LIST names and of which no STATUS came.  Dovecot 2.3 with its
 * list index goes on naming a deleted folder on a connection that was there before, for as long as
 * it lives, and says untagged `NO Mailbox doesn't exist` in place of its STATUS. */
static unsigned count_unanswered(const struct refresh *refresh)
{
    unsigned n = 0;
    struct status_row *row, *next;
    HASH_ITER(hh, refresh->rows, row, next)
    {
        n += row->mailbox && !row->status.has;
    }
    return n;
}

/* -ESTALE: an old connection leaves more unanswered than a fresh one did. */
static int check_answers(struct refresh *refresh, bool fresh)
{
    struct account *a = refresh->account;
    unsigned unanswered = count_unanswered(refresh);
    if (!fresh && unanswered > a->unanswered)
        return -ESTALE;
    a->unanswered = unanswered;
    return 0;
}

/* Without LIST-STATUS: STATUS of every listed folder, pipelined. */
static int read_each_status(struct refresh *refresh)
{
    struct imap_result results[STATUS_IN_FLIGHT];
    unsigned sent = 0, answered = 0;
    uint64_t after = 0;
    for (bool more = true; more || answered < sent;) {
        while (more && sent - answered < STATUS_IN_FLIGHT) {
            CLEANUP_STORE_FOLDER struct store_folder folder = {0};
            more = store_folder_next_any(refresh->account->store, after, &folder) == 0;
            if (!more)
                break;
            after = folder.ino;
            if (!folder.raw || !folder.listed)
                continue;
            more =
                imap_send_status(refresh->im, folder.raw, &results[sent % STATUS_IN_FLIGHT]) == 0;
            sent += more;
        }
        if (answered == sent)
            break;
        int r = imap_wait(refresh->im, &results[answered++ % STATUS_IN_FLIGHT]);
        if (r < 0 && imap_error(refresh->im) < 0)
            return imap_error(refresh->im); /* one refused STATUS is that folder's matter */
    }
    return imap_error(refresh->im);
}

/* ---- conclusions */

bool refresh_differs(const struct store_folder *folder, const struct imap_status *status,
                     uint64_t messages)
{
    if ((status->has & IMAP_STATUS_UIDVALIDITY) && status->uidvalidity != folder->uidvalidity)
        return true;
    if ((status->has & IMAP_STATUS_UIDNEXT) && status->uidnext != folder->uidnext)
        return true;
    if ((status->has & IMAP_STATUS_MESSAGES) && status->messages != messages)
        return true;
    return (status->has & IMAP_STATUS_HIGHESTMODSEQ) && status->highestmodseq != folder->modseq;
}

/* A folder that LIST did not name stays until a second LIST agrees: that one comes soon. */
static void look_again_soon(struct account *a)
{
    pthread_mutex_lock(&a->mutex);
    int64_t soon = clock_mono_ms() + SECOND_LOOK_MS;
    if (a->next_refresh_ms > soon)
        a->next_refresh_ms = soon;
    pthread_mutex_unlock(&a->mutex);
}

static int queue_changed_folders(struct refresh *refresh)
{
    struct account *a = refresh->account;
    size_t known = 0;
    for (uint64_t after = 0;; known++) {
        CLEANUP_STORE_FOLDER struct store_folder folder = {0};
        int r = store_folder_next_any(a->store, after, &folder);
        if (r == -ENOENT && known > refresh->named)
            look_again_soon(a);
        if (r == -ENOENT)
            return 0;
        if (r < 0)
            return r;
        after = folder.ino;
        struct status_row *row = NULL;
        if (folder.listed && folder.raw)
            HASH_FIND_STR(refresh->rows, folder.raw, row);
        uint64_t messages = 0, cached;
        if (row)
            r = store_folder_counts(a->store, folder.ino, &messages, &cached);
        if (r < 0)
            return r;
        struct job job = {.kind = JOB_LISTING, .ino = folder.ino};
        if (row && row->status.has && refresh_differs(&folder, &row->status, messages))
            r = queue_add(a->queue, &job, NULL);
        if (r < 0)
            return r;
    }
}

/* Another folders= than last time: what it hides goes at once, not only when a second LIST agrees
 * (the store's rule for what the server stops naming). */
static bool filter_changed(struct account *a, struct str *filter)
{
    CLEANUP_STR struct str before = STR_INIT(FILTER_MAX);
    for (char **glob = a->settings->folders; glob && *glob; glob++)
        str_printf_append(filter, "%s:", *glob);
    str_append(filter, "", 0);
    return str_error(filter) == 0 && (store_get_meta(a->store, META_FILTER, &before) < 0 ||
                                      strcmp(before.data ? before.data : "", filter->data) != 0);
}

static int apply_list(struct refresh *refresh)
{
    const struct store_folder_entry *entries;
    size_t n;
    struct account *a = refresh->account;
    CLEANUP_STR struct str filter = STR_INIT(FILTER_MAX);
    int r = tree_finish(refresh->tree, &entries, &n);
    refresh->named = r == 0 ? n : 0;
    if (r == 0)
        r = store_apply_list(a->store, entries, n, tell_store_change, a);
    if (r == 0 && filter_changed(a, &filter)) {
        r = store_apply_list(a->store, entries, n, tell_store_change, a);
        if (r == 0)
            r = store_set_meta(a->store, META_FILTER, filter.data);
    }
    if (r < 0)
        return r;
    CLEANUP_STORE_FOLDER struct store_folder inbox = {0};
    if (store_folder_by_name(a->store, STORE_ROOT_INODE, "INBOX", &inbox) == 0)
        a->inbox_ino = inbox.ino;
    return 0;
}

static int run(struct refresh *refresh, bool fresh, struct errtext *err)
{
    struct account *a = refresh->account;
    struct imap_events events = {.ctx = refresh,
                                 .list = on_list,
                                 .status = on_status,
                                 .namespace_prefix = on_namespace,
                                 .quota = on_quota};
    imap_set_events(refresh->im, &events);
    int r = a->prefix ? 0 : read_namespace(refresh);
    if (r == 0)
        r = tree_new(a->settings, a->prefix ? a->prefix : "", &refresh->tree);
    if (r == 0)
        r = read_list(refresh, err);
    if (r == 0 && (imap_caps(refresh->im) & IMAP_CAP_LIST_STATUS))
        r = check_answers(refresh, fresh);
    if (r == 0)
        r = apply_list(refresh);
    if (r == 0 && !(imap_caps(refresh->im) & IMAP_CAP_LIST_STATUS))
        r = read_each_status(refresh);
    return r < 0 ? r : queue_changed_folders(refresh);
}

int refresh_account(struct account *a, struct imap *im, bool fresh, struct errtext *err)
{
    struct refresh refresh = {.account = a, .im = im};
    int r = run(&refresh, fresh, err);
    imap_set_events(im, NULL);
    if (imap_error(im) < 0)
        r = err_set(err, -imap_error(im), "%s", imap_errmsg(im));
    else if (r < 0 && err && !err->text[0])
        err_set(err, -r, "%s: the folder list could not be read: %s", a->settings->host,
                strerror(-r));
    struct status_row *row, *next;
    HASH_ITER(hh, refresh.rows, row, next)
    {
        HASH_DEL(refresh.rows, row);
        free(row->raw);
        free(row);
    }
    tree_free(refresh.tree);
    return r;
}
