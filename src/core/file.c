/*
 * file.c -- open files: message bodies, and the files of /.mailmount.
 */
#include <errno.h>
#include <string.h>

#include "view_internal.h"

struct view_file {
    struct body *body; /* a message; NULL: the bytes are in `text` */
    struct str text;
    int fd;
    off_t offset; /* of byte 0 in fd */
    struct stat st;
};

static int open_special(struct view *view, uint64_t ino, struct view_file *file)
{
    struct view_node node;
    str_init(&file->text, 64 << 20);
    int r = special_content(view, ino, &file->text);
    if (r == 0)
        r = special_getattr(view, ino, &node);
    if (r < 0)
        return r;
    file->st = node.st;
    file->st.st_size = (off_t)file->text.len;
    return 0;
}

static int find_body(struct view *view, uint64_t ino, struct body **ret)
{
    int r = body_open(view->bodies, ino, ret);
    if (r != -ENOENT)
        return r;
    *ret = account_take_loose_body(view->account, ino);
    return *ret ? 0 : -ENOENT;
}

static int open_message(struct view *view, uint64_t ino, struct waiter *waiter,
                        struct view_file *file)
{
    struct store_message message;
    struct view_node node;
    bool changed;
    int r = find_body(view, ino, &file->body);
    if (r < 0 && r != -ENOENT)
        return r;
    int known = store_message_by_ino(view->store, ino, &message);
    if (known < 0)
        return known;
    account_folder_used(view->account, message.folder);
    if (r == -ENOENT) {
        if (!waiter)
            return -EAGAIN;
        r = account_fetch_body(view->account, message.folder, ino, message.size, waiter);
        return r < 0 ? r : -EINPROGRESS;
    }
    uint64_t size = body_size(file->body);
    if (size != message.size) { /* the database is older than the body */
        r = store_set_size(view->store, ino, size, &changed);
        if (r < 0)
            return r;
        account_tell_changed(view->account, ino);
    }
    message.size = size;
    view_message_node(view, &message, &node);
    file->st = node.st;
    file->fd = body_fd(file->body, &file->offset);
    return 0;
}

int view_open(struct view *view, uint64_t ino, struct waiter *waiter, struct view_file **ret)
{
    struct view_file *file = calloc(1, sizeof(*file));
    if (!file)
        return -ENOMEM;
    file->fd = -1;
    int r = is_special(ino) ? open_special(view, ino, file) : open_message(view, ino, waiter, file);
    if (r < 0) {
        view_close(file);
        return r;
    }
    *ret = file;
    return 0;
}

ssize_t view_read(struct view_file *file, void *data, size_t n, off_t offset)
{
    if (offset < 0)
        return -EINVAL;
    if (offset >= file->st.st_size)
        return 0;
    if ((uint64_t)(file->st.st_size - offset) < n)
        n = (size_t)(file->st.st_size - offset);
    if (!file->body) {
        memcpy(data, file->text.data + offset, n);
        return (ssize_t)n;
    }
    ssize_t got = pread_full(file->fd, data, n, file->offset + offset);
    if (got < 0)
        return got;
    return (size_t)got == n ? got : -EIO; /* never cut content */
}

void view_file_stat(const struct view_file *file, struct stat *ret)
{
    *ret = file->st;
}

bool view_file_fleeting(const struct view_file *file)
{
    return !file->body;
}

void view_close(struct view_file *file)
{
    if (!file)
        return;
    if (file->body)
        body_close(file->body);
    str_release(&file->text);
    free(file);
}
