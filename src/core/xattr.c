/*
 * xattr.c -- extended attributes of messages and folders, as in mailmount(1), EXTENDED ATTRIBUTES.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "date.h"
#include "flags.h"
#include "view_internal.h"

struct target {
    struct view *view;
    const struct store_message *message; /* NULL: a directory */
    const struct store_folder *folder;   /* of the message, or the directory itself */
};

typedef int attr_fn(const struct target *target, struct str *out);

static int get_flags(const struct target *t, struct str *out)
{
    CLEANUP_STR struct str keywords = STR_INIT(KEYWORDS_MAX);
    int r = store_message_keywords(t->view->store, t->message->ino, &keywords);
    return r < 0 ? r : flags_format(t->message->flags, keywords.data ? keywords.data : "", out);
}

static int get_tags(const struct target *t, struct str *out)
{
    CLEANUP_STR struct str keywords = STR_INIT(KEYWORDS_MAX);
    size_t before = out->len;
    int r = store_message_keywords(t->view->store, t->message->ino, &keywords);
    if (r == 0)
        r = flags_format_tags(t->message->flags, keywords.data ? keywords.data : "", out);
    return r < 0 ? r : out->len == before ? -ENODATA : 0;
}

static int get_uid(const struct target *t, struct str *out)
{
    return str_printf_append(out, "%" PRIu32, t->message->uid);
}

static int get_uidvalidity(const struct target *t, struct str *out)
{
    if (!t->folder->raw || !t->folder->uidvalidity)
        return -ENODATA;
    return str_printf_append(out, "%" PRIu32, t->folder->uidvalidity);
}

static int get_internaldate(const struct target *t, struct str *out)
{
    char text[DATE_INTERNAL_LEN + 1];
    date_format_internal(t->message->internaldate, t->message->zone, text);
    return str_append_text(out, text);
}

static int get_message_id(const struct target *t, struct str *out)
{
    size_t before = out->len;
    int r = store_message_id(t->view->store, t->message->ino, out);
    return r < 0 ? r : out->len == before ? -ENODATA : 0;
}

static int get_mailbox(const struct target *t, struct str *out)
{
    return t->folder->raw ? str_append_text(out, t->folder->raw) : -ENODATA;
}

static int get_state(const struct target *t, struct str *out)
{
    (void)t;
    return str_append_text(out, "synced");
}

static int get_cached(const struct target *t, struct str *out)
{
    return str_append_text(out, body_exists(t->view->bodies, t->message->ino) ? "full" : "none");
}

static int get_socket(const struct target *t, struct str *out)
{
    return str_append_text(out, t->view->socket_path);
}

static const struct attr {
    const char *name;
    attr_fn *get;
    bool of_messages, of_folders, listed;
} attrs[] = {
    {"user.imap.flags", get_flags, true, false, true},
    {"user.imap.uid", get_uid, true, false, true},
    {"user.imap.uidvalidity", get_uidvalidity, true, true, true},
    {"user.imap.internaldate", get_internaldate, true, false, true},
    {"user.imap.message-id", get_message_id, true, false, true},
    {"user.imap.mailbox", get_mailbox, true, true, true},
    {"user.xdg.tags", get_tags, true, false, true},
    {"user.mailmount.state", get_state, true, false, true},
    {"user.mailmount.cached", get_cached, true, false, true},
    {"user.mailmount.socket", get_socket, false, true, false}, /* for our own verbs */
};

static bool applies(const struct attr *attr, const struct target *t)
{
    return t->message ? attr->of_messages : attr->of_folders;
}

/* Finds what `ino` is, then calls `fn` on it. */
static int with_target(struct view *view, uint64_t ino,
                       int (*fn)(const struct target *t, const char *name, struct str *out),
                       const char *name, struct str *out)
{
    struct store_message message;
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    struct target t = {.view = view, .folder = &folder};
    if (is_special(ino))
        return name ? -ENODATA : 0;
    int r = ino == VIEW_ROOT ? -ENOENT : store_message_by_ino(view->store, ino, &message);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0)
        t.message = &message;
    r = view_folder(view, t.message ? message.folder : ino, &folder);
    return r < 0 ? r : fn(&t, name, out);
}

static int get_one(const struct target *t, const char *name, struct str *out)
{
    for (size_t i = 0; i < ARRAY_LEN(attrs); i++)
        if (applies(&attrs[i], t) && strcmp(name, attrs[i].name) == 0)
            return attrs[i].get(t, out);
    return -ENODATA;
}

static int list_all(const struct target *t, const char *name, struct str *out)
{
    (void)name;
    for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
        CLEANUP_STR struct str value = STR_INIT(1 << 16);
        if (!attrs[i].listed || !applies(&attrs[i], t) || attrs[i].get(t, &value) < 0)
            continue;
        int r = str_append(out, attrs[i].name, strlen(attrs[i].name) + 1);
        if (r < 0)
            return r;
    }
    return 0;
}

int view_getxattr(struct view *view, uint64_t ino, const char *name, struct str *out)
{
    /* Asked for every file by `ls -l`: answered without a look into the store. */
    if (strncmp(name, "user.", 5) != 0)
        return -EOPNOTSUPP;
    return with_target(view, ino, get_one, name, out);
}

int view_listxattr(struct view *view, uint64_t ino, struct str *out)
{
    return with_target(view, ino, list_all, NULL, out);
}
