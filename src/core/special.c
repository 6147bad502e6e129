/*
 * special.c -- /.mailmount: README and status.json.
 *
 * The directory resolves but is never listed in the root, so `grep -r` over the mount sees each
 * message once.
 */
#include <errno.h>
#include <string.h>

#include "status.h"
#include "view_internal.h"

#define SPECIAL_MAX (64 << 20)

static const char readme[] =
    "This directory is a mail account, mounted by mailmount(1).\n"
    "\n"
    "Folders are directories, messages are files; their bytes are exactly the server's.\n"
    "Reading never marks a message as read.  This version does not change anything on the\n"
    "server: writing is refused.\n"
    "\n"
    "  ls -lt INBOX | head              the newest mail\n"
    "  grep -ril 'some words' INBOX     search; what is read once stays on this disk\n"
    "  getfattr -d INBOX/*.eml          flags, UID and more\n"
    "  mailmount status                 connections, folders, errors\n"
    "\n"
    "status.json beside this file has the same figures for programs.\n"
    "`man mailmount` has the rest.\n";

const struct special_name special_names[] = {{"README", SPECIAL_README},
                                             {"status.json", SPECIAL_STATUS}};
const unsigned special_names_n = ARRAY_LEN(special_names);

int special_content(struct view *view, uint64_t ino, struct str *out)
{
    if (ino == SPECIAL_README)
        return str_append_text(out, readme);
    if (ino == SPECIAL_STATUS)
        return status_json(view, out);
    return -EISDIR;
}

int special_getattr(struct view *view, uint64_t ino, struct view_node *ret)
{
    CLEANUP_STR struct str text = STR_INIT(SPECIAL_MAX);
    bool directory = ino == SPECIAL_DIR;
    int r = directory ? 0 : special_content(view, ino, &text);
    if (r < 0)
        return r;
    int64_t ns = ino == SPECIAL_STATUS ? clock_wall_ns() : view->started_ns;
    *ret = (struct view_node){.ino = ino, .fleeting = !directory};
    ret->st.st_ino = ino;
    ret->st.st_mode = directory ? S_IFDIR | 0500 : S_IFREG | 0400;
    ret->st.st_nlink = 1;
    ret->st.st_uid = view->uid;
    ret->st.st_gid = view->gid;
    ret->st.st_blksize = 4096;
    ret->st.st_size = (off_t)text.len;
    ret->st.st_blocks = (blkcnt_t)((text.len + 511) / 512);
    ret->st.st_mtim = (struct timespec){ns / 1000000000, ns % 1000000000};
    ret->st.st_atim = ret->st.st_ctim = ret->st.st_mtim;
    return 0;
}

int special_lookup(struct view *view, const char *name, struct view_node *ret)
{
    for (unsigned i = 0; i < special_names_n; i++)
        if (strcmp(name, special_names[i].name) == 0)
            return special_getattr(view, special_names[i].ino, ret);
    return -ENOENT;
}
