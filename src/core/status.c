#include "status.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "view_internal.h"

static const char *const state_names[] = {
    [ACCOUNT_STARTING] = "starting",
    [ACCOUNT_ONLINE] = "online",
    [ACCOUNT_OFFLINE] = "offline",
    [ACCOUNT_REFUSED] = "login refused",
};

#define TIME_LEN 32

/* ISO 8601 in UTC, "" for 0. */
static void format_time(int64_t ns, char out[TIME_LEN])
{
    time_t seconds = ns / 1000000000;
    struct tm tm;
    out[0] = '\0';
    if (ns && gmtime_r(&seconds, &tm))
        strftime(out, TIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static json_t *time_value(int64_t ns)
{
    char text[TIME_LEN];
    format_time(ns, text);
    return text[0] ? json_string(text) : json_null();
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* Names from the server may hold bytes that are no UTF-8 in their raw form. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    return value ? value : json_null();
}

/* ---- folders */

typedef int folder_fn(void *ctx, const struct store_folder *folder, uint64_t messages,
                      uint64_t cached);

static int each_folder(struct view *view, folder_fn *fn, void *ctx)
{
    for (uint64_t after = 0;;) {
        CLEANUP_STORE_FOLDER struct store_folder folder = {0};
        uint64_t messages = 0, cached = 0;
        int r = store_folder_next_any(view->store, after, &folder);
        if (r == -ENOENT)
            return 0;
        if (r < 0)
            return r;
        after = folder.ino;
        if (!folder.raw)
            continue;
        r = store_folder_counts(view->store, folder.ino, &messages, &cached);
        if (r == 0)
            r = fn(ctx, &folder, messages, cached);
        if (r < 0)
            return r;
    }
}

static int add_folder(void *ctx, const struct store_folder *folder, uint64_t messages,
                      uint64_t cached)
{
    json_t *object = json_pack("{s:o, s:o, s:o, s:b, s:o}", "path", text_value(folder->path),
                               "messages", number(messages), "cached", number(cached), "listed",
                               folder->listed, "last_sync", time_value(folder->synced_ns));
    return object && json_array_append_new(ctx, object) == 0 ? 0 : -ENOMEM;
}

/* ---- JSON */

static json_t *connections_value(struct view *view, const struct account_snapshot *snapshot)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < snapshot->n_connections; i++) {
        CLEANUP_STORE_FOLDER struct store_folder folder = {0};
        const struct account_connection *c = &snapshot->connections[i];
        if (!c->connected)
            continue;
        bool named = c->folder && store_folder_by_ino(view->store, c->folder, &folder) == 0;
        json_array_append_new(array, json_pack("{s:s, s:o}", "state", "connected", "folder",
                                               named ? text_value(folder.path) : json_null()));
    }
    return array;
}

static json_t *quota_value(struct view *view)
{
    uint64_t used, limit;
    if (!account_quota(view->account, &used, &limit))
        return json_null();
    return json_pack("{s:o, s:o}", "used", number(used), "limit", number(limit));
}

/* What inotify watchers were told. */
static json_t *announcements_value(struct view *view)
{
    static const char *const names[] = {[ANNOUNCE_OFF] = "off",
                                        [ANNOUNCE_IDLE] = "idle",
                                        [ANNOUNCE_RUNNING] = "running",
                                        [ANNOUNCE_FAILED] = "failed"};
    const struct announce_figures *f = view_announce_figures(view);
    enum announce_state state =
        atomic_load(&f->state); /* before it is an index: GCC reads it plainly */
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "state", names[state], "announced",
                     number(f->announced), "dropped", number(f->dropped), "failed",
                     number(f->failed), "helper_starts", number(f->starts));
}

static void set_account(json_t *object, struct view *view, const struct account_snapshot *s)
{
    const struct settings *settings = view->settings;
    int64_t wait = s->next_attempt_ms ? s->next_attempt_ms - clock_mono_ms() : 0;
    json_object_set_new(object, "version", json_string(MAILMOUNT_VERSION));
    json_object_set_new(object, "account", text_value(settings->account));
    json_object_set_new(object, "host", text_value(settings->host));
    json_object_set_new(object, "user", text_value(settings->user));
    json_object_set_new(object, "mountpoint", text_value(view->mountpoint));
    json_object_set_new(object, "pid", number((uint64_t)getpid()));
    json_object_set_new(object, "started", time_value(view->started_ns));
    json_object_set_new(object, "state", json_string(state_names[s->state]));
    json_object_set_new(object, "error", s->error[0] ? text_value(s->error) : json_null());
    json_object_set_new(object, "next_attempt_seconds",
                        s->next_attempt_ms ? json_integer(wait > 0 ? wait / 1000 : 0)
                                           : json_null());
    json_object_set_new(object, "mechanism", json_string(s->mechanism));
}

static void set_figures(json_t *object, struct view *view, const struct account_snapshot *s)
{
    uint64_t bytes, count;
    bodies_stat(view->bodies, &bytes, &count);
    json_object_set_new(object, "connections", connections_value(view, s));
    json_object_set_new(object, "bytes_down", number(s->bytes_down));
    json_object_set_new(object, "bytes_up", number(s->bytes_up));
    json_object_set_new(object, "commands", number(s->commands));
    json_object_set_new(object, "logins", number(s->logins));
    json_object_set_new(object, "bodies_fetched", number(s->bodies_fetched));
    json_object_set_new(object, "jobs_waiting", number(s->jobs_waiting));
    json_object_set_new(object, "jobs_running", number(s->jobs_running));
    json_object_set_new(object, "cache_bytes", number(bytes));
    json_object_set_new(object, "cache_bodies", number(count));
    json_object_set_new(object, "quota", quota_value(view));
    json_object_set_new(object, "announcements", announcements_value(view));
}

static int append_chunk(const char *data, size_t n, void *ctx)
{
    return str_append(ctx, data, n) < 0 ? -1 : 0;
}

int status_json(struct view *view, struct str *out)
{
    struct account_snapshot snapshot;
    account_snapshot(view->account, &snapshot);
    json_t *object = json_object(), *folders = json_array();
    if (!object || !folders) {
        json_decref(object);
        json_decref(folders);
        return -ENOMEM;
    }
    set_account(object, view, &snapshot);
    set_figures(object, view, &snapshot);
    int r = each_folder(view, add_folder, folders);
    json_object_set_new(object, "folders", folders);
    if (r == 0 && json_dump_callback(object, append_chunk, out, JSON_INDENT(1)) != 0)
        r = -ENOMEM;
    json_decref(object);
    return r < 0 ? r : str_append_char(out, '\n');
}

/* ---- text */

static int folder_line(void *ctx, const struct store_folder *folder, uint64_t messages,
                       uint64_t cached)
{
    char synced[TIME_LEN];
    format_time(folder->synced_ns, synced);
    if (!folder->listed)
        return str_printf_append(ctx, "  %-40s  not listed yet\n", folder->path);
    return str_printf_append(ctx, "  %-40s  %8" PRIu64 " messages  %8" PRIu64 " cached  %s\n",
                             folder->path, messages, cached, synced);
}

int status_text(struct view *view, struct str *out)
{
    struct account_snapshot s;
    uint64_t bytes, count, used, limit;
    unsigned connected = 0;
    account_snapshot(view->account, &s);
    bodies_stat(view->bodies, &bytes, &count);
    for (unsigned i = 0; i < s.n_connections; i++)
        connected += s.connections[i].connected;
    str_printf_append(out, "%s on %s: %s\n", view->settings->account, view->mountpoint,
                      state_names[s.state]);
    if (s.error[0])
        str_printf_append(out, "  %s\n", s.error);
    if (s.next_attempt_ms) {
        int64_t wait = s.next_attempt_ms - clock_mono_ms();
        str_printf_append(out, "  next attempt in %" PRId64 " s\n", wait > 0 ? wait / 1000 : 0);
    }
    str_printf_append(
        out,
        "  %u of %u connections, %" PRIu64 " bytes down, %" PRIu64 " up, %" PRIu64 " commands\n"
        "  %" PRIu64 " bodies fetched; cache: %" PRIu64 " bodies, %" PRIu64 " bytes\n",
        connected, s.n_connections, s.bytes_down, s.bytes_up, s.commands, s.bodies_fetched, count,
        bytes);
    if (account_quota(view->account, &used, &limit))
        str_printf_append(out, "  quota: %" PRIu64 " of %" PRIu64 " bytes used\n", used, limit);
    int r = each_folder(view, folder_line, out);
    return r < 0 ? r : str_error(out);
}
