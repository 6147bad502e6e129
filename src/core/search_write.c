#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "flags.h"
#include "search_internal.h"
#include "unicode.h"
#include "view_internal.h"

#define PATH_TEXT_MAX 65536

struct writing {
    const struct search *search;
    const char *prefix;
    enum search_format format;
    search_out_fn *out;
    void *ctx;
    bool any;
};

/* ISO 8601 in UTC. */
static json_t *time_value(int64_t seconds)
{
    char text[40];
    struct tm tm;
    time_t t = (time_t)seconds;
    if (!gmtime_r(&t, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_null();
    return json_string(text);
}

/* JSON has no other text than UTF-8: in a directory's name that is none, `?` stands for a byte. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    CLEANUP_FREE char *copy = value ? NULL : strdup(text);
    if (value || !copy)
        return value;
    for (char *c = copy; *c;) {
        uint32_t character;
        size_t n = utf8_decode(c, strlen(c), &character);
        if (n == 0)
            *c = '?';
        c += n ? n : 1;
    }
    return json_string(copy);
}

static json_t *flags_value(const struct search *search, const struct store_message *message)
{
    CLEANUP_STR struct str keywords = STR_INIT(2 * KEYWORDS_MAX), text = STR_INIT(3 * KEYWORDS_MAX);
    json_t *array = json_array();
    int r = store_message_keywords(search->view->store, message->ino, &keywords);
    if (r == 0)
        r = flags_format(message->flags, keywords.data ? keywords.data : "", &text);
    if (r < 0 || text.len == 0)
        return array;
    char *rest = text.data, *flag;
    while (array && (flag = strsep(&rest, " ")))
        if (json_array_append_new(array, text_value(flag)) < 0)
            break;
    return array;
}

static int write_object(struct writing *w, const struct search_target *target,
                        const struct store_message *message, const char *path)
{
    size_t root_len = w->search->root_len; /* beyond its end where the folder is the root itself */
    const char *folder = strlen(target->path) > root_len ? target->path + root_len : "";
    json_t *object =
        json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "path", text_value(path), "folder",
                  text_value(folder), "uid", (json_int_t)message->uid, "size",
                  (json_int_t)message->size, "date", time_value(message->date), "received",
                  time_value(message->internaldate), "flags", flags_value(w->search, message));
    CLEANUP_FREE char *text =
        object ? json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(object);
    if (!text)
        return -ENOMEM;
    int r = w->out(w->ctx, w->any ? ",\n" : "\n", w->any ? 2 : 1);
    return r ? r : w->out(w->ctx, text, strlen(text));
}

static int write_hit(struct writing *w, const struct search_target *target, uint64_t ino)
{
    CLEANUP_STR struct str path = STR_INIT(PATH_TEXT_MAX);
    struct store_message message;
    int r = store_message_by_ino(w->search->view->store, ino, &message);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    size_t n = strlen(w->prefix), path_len = strlen(target->path);
    str_append_text(&path, w->prefix);
    if (n == 0 || w->prefix[n - 1] != '/')
        str_append_char(&path, '/');
    if (path_len > w->search->base_len)
        str_printf_append(&path, "%s/", target->path + w->search->base_len);
    str_append_text(&path, message.name);
    r = str_error(&path);
    if (r < 0)
        return r;
    if (w->format == SEARCH_JSON)
        r = write_object(w, target, &message, path.data);
    else
        r = w->out(w->ctx, path.data, path.len);
    if (r == 0 && w->format != SEARCH_JSON)
        r = w->out(w->ctx, w->format == SEARCH_NULS ? "" : "\n", 1);
    w->any = true;
    return r;
}

int search_write(const struct search *search, const char *prefix, enum search_format format,
                 search_out_fn *out, void *ctx)
{
    struct writing w = {
        .search = search, .prefix = prefix, .format = format, .out = out, .ctx = ctx};
    int r = format == SEARCH_JSON ? out(ctx, "[", 1) : 0;
    for (size_t i = 0; r == 0 && i < search->n_targets; i++) {
        const struct search_target *target = &search->targets[i];
        for (size_t k = 0; r == 0 && k < target->n_hits; k++)
            r = write_hit(&w, target, target->hits[k].ino);
    }
    if (r == 0 && format == SEARCH_JSON)
        r = out(ctx, w.any ? "\n]\n" : "]\n", w.any ? 3 : 2);
    return r;
}
