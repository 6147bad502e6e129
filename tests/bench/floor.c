/*
 * floor -- the yardstick for listings: a FUSE file system that only answers from memory.
 *
 * build: cc -O2 -o floor floor.c $(pkg-config --cflags --libs fuse3)
 * usage: floor NAMES MOUNTPOINT     (in the foreground, until it is unmounted)
 *
 * One directory with the names of the file NAMES, one a line; every file has 1,000 bytes that
 * cannot be read.  Kernel caching is as mailmount has it, so that what is above this floor is
 * mailmount's own work.
 */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAY           86400.0
#define FIRST_FILE    2 /* inode of names[0] */
#define BUCKETS       (1u << 18)
#define LISTING_LIMIT (1 << 20)

static char **names;
static size_t count;
static unsigned buckets[BUCKETS]; /* index + 1, open addressing */

static unsigned hash(const char *name)
{
    unsigned value = 2166136261u;
    for (; *name; name++)
        value = (value ^ (unsigned char)*name) * 16777619u;
    return value % BUCKETS;
}

static void add(char *name)
{
    names = realloc(names, (count + 1) * sizeof(*names));
    if (!names || count + 1 >= BUCKETS)
        abort();
    names[count++] = name;
    unsigned at = hash(name);
    while (buckets[at])
        at = (at + 1) % BUCKETS;
    buckets[at] = (unsigned)count;
}

static struct stat attributes(fuse_ino_t inode)
{
    struct stat st = {.st_ino = inode, .st_nlink = 1, .st_size = 1000, .st_mtime = 1700000000};
    st.st_mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0500 : S_IFREG | 0400;
    return st;
}

static struct fuse_entry_param entry(fuse_ino_t inode)
{
    return (struct fuse_entry_param){
        .ino = inode, .attr = attributes(inode), .attr_timeout = DAY, .entry_timeout = DAY};
}

static void on_init(void *ctx, struct fuse_conn_info *conn)
{
    (void)ctx;
    conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    for (unsigned at = hash(name); buckets[at]; at = (at + 1) % BUCKETS) {
        if (strcmp(names[buckets[at] - 1], name) == 0) {
            struct fuse_entry_param found = entry(FIRST_FILE + buckets[at] - 1);
            fuse_reply_entry(req, &found);
            return;
        }
    }
    fuse_reply_err(req, ENOENT);
}

static void on_getattr(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st = attributes(inode);
    fuse_reply_attr(req, &st, DAY);
}

static void on_opendir(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
    (void)inode;
    fi->cache_readdir = 1;
    fi->keep_cache = 1;
    fuse_reply_open(req, fi);
}

static void list(fuse_req_t req, size_t size, off_t offset, int plus)
{
    static char buffer[LISTING_LIMIT];
    if (size > sizeof(buffer))
        size = sizeof(buffer);
    size_t used = 0;
    for (size_t i = (size_t)offset; i < count; i++) {
        struct fuse_entry_param found = entry(FIRST_FILE + i);
        size_t need = plus ? fuse_add_direntry_plus(req, buffer + used, size - used, names[i],
                                                    &found, (off_t)i + 1)
                           : fuse_add_direntry(req, buffer + used, size - used, names[i],
                                               &found.attr, (off_t)i + 1);
        if (need > size - used)
            break;
        used += need;
    }
    fuse_reply_buf(req, buffer, used);
}

static void on_readdir(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    (void)inode;
    (void)fi;
    list(req, size, offset, 0);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
    (void)inode;
    (void)fi;
    list(req, size, offset, 1);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t inode, const char *name, size_t size)
{
    (void)inode;
    (void)name;
    (void)size;
    fuse_reply_err(req, EOPNOTSUPP);
}

static const struct fuse_lowlevel_ops operations = {
    .init = on_init,
    .lookup = on_lookup,
    .getattr = on_getattr,
    .opendir = on_opendir,
    .readdir = on_readdir,
    .readdirplus = on_readdirplus,
    .getxattr = on_getxattr,
};

static int read_names(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    char line[4096];
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        char *copy = strdup(line);
        if (!copy)
            abort();
        add(copy);
    }
    fclose(file);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3 || read_names(argv[1]) != 0) {
        fprintf(stderr, "usage: floor NAMES MOUNTPOINT\n");
        return 2;
    }
    char *words[] = {argv[0], "-o", "default_permissions,fsname=floor", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, words);
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
    if (!session || fuse_set_signal_handlers(session) != 0 ||
        fuse_session_mount(session, argv[2]) != 0)
        return 1;
    int result = fuse_session_loop(session);
    fuse_session_unmount(session);
    fuse_remove_signal_handlers(session);
    fuse_session_destroy(session);
    return result != 0;
}
