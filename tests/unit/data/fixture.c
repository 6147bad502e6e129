#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void dirs_make(struct dirs *dirs, const char *parent)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dirs->base, sizeof(dirs->base), "%s/mailmount-test-XXXXXX",
             parent ? parent : (tmp && strlen(tmp) < 30 ? tmp : "/tmp"));
    assert_non_null(mkdtemp(dirs->base));
    snprintf(dirs->cache, sizeof(dirs->cache), "%s/cache", dirs->base);
    snprintf(dirs->state, sizeof(dirs->state), "%s/state", dirs->base);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void dirs_remove(struct dirs *dirs)
{
    nftw(dirs->base, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int dirs_setup(void **state)
{
    struct dirs *dirs = calloc(1, sizeof(*dirs));
    assert_non_null(dirs);
    dirs_make(dirs, NULL);
    *state = dirs;
    return 0;
}

int dirs_teardown(void **state)
{
    dirs_remove(*state);
    free(*state);
    return 0;
}

struct store *must_open(const struct dirs *dirs)
{
    struct errtext err = {""};
    struct store *store = NULL;
    int r = store_open(dirs->cache, dirs->state, IDENTITY, &store, &err);
    if (r < 0)
        fail_msg("store_open: %d %s", r, err.text);
    return store;
}

void must_list(struct store *store, const char *const *paths, size_t n)
{
    struct store_folder_entry *entries = calloc(n, sizeof(*entries));
    char *raw = malloc(n * 64);
    assert_true(entries && raw);
    for (size_t i = 0; i < n; i++) {
        snprintf(raw + i * 64, 64, "\"%s\"", paths[i]);
        entries[i] = (struct store_folder_entry){paths[i], raw + i * 64, '/', 0};
    }
    assert_int_equal(store_apply_list(store, entries, n, NULL, NULL), 0);
    free(entries);
    free(raw);
}

uint64_t must_folder(struct store *store, const char *name)
{
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    assert_int_equal(store_folder_by_name(store, STORE_ROOT_INODE, name, &folder), 0);
    return folder.ino;
}

uint64_t must_inbox(struct store *store)
{
    must_list(store, (const char *[]){"INBOX"}, 1);
    uint64_t ino = must_folder(store, "INBOX");
    assert_int_equal(store_begin_listing(store, ino, 7, NULL, NULL), 0);
    return ino;
}

void fill_message(struct store_new_message *m, uint32_t uid, const char *plain)
{
    *m = (struct store_new_message){
        .uid = uid,
        .flags = uid & 1,
        .keywords = "",
        .size = 1000 + uid,
        .internaldate = 1700000000 + uid,
        .zone = 60,
        .message_id = "<0123456789.abcdef@mail.example.com>",
    };
    if (plain)
        snprintf(m->name.name, sizeof(m->name.name), "%s", plain);
    else
        snprintf(m->name.name, sizeof(m->name.name),
                 "2026-%02u-%02u_%02u%02u_Alice-Example_Re-invoice-%u-and-what-follows~abc%03u.eml",
                 uid / 40000 % 12 + 1, uid / 1440 % 28 + 1, uid / 60 % 24, uid % 60, uid,
                 uid % 1000);
    memcpy(m->name.hash, &uid, sizeof(uid));
    m->name.date = m->internaldate;
}

void must_add(struct store *store, uint64_t folder, uint32_t first, uint32_t last)
{
    struct store_new_message *batch = calloc(STORE_BATCH_MAX, sizeof(*batch));
    assert_non_null(batch);
    for (uint64_t uid = first; uid <= last;) {
        size_t n = 0;
        for (; n < STORE_BATCH_MAX && uid <= last; n++, uid++)
            fill_message(&batch[n], (uint32_t)uid, NULL);
        assert_int_equal(store_add_messages(store, folder, batch, n), 0);
    }
    free(batch);
}

uint64_t must_add_named(struct store *store, uint64_t folder, uint32_t uid, const char *plain,
                        char name[MSGNAME_MAX + 1])
{
    struct store_new_message m;
    fill_message(&m, uid, plain);
    assert_int_equal(store_add_messages(store, folder, &m, 1), 0);
    if (name)
        memcpy(name, m.name.name, sizeof(m.name.name));
    return m.ino;
}

void fill_body(unsigned char *data, size_t n, uint64_t seed)
{
    uint64_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (unsigned char)x;
    }
}

int write_body(struct bodies *bodies, uint64_t ino, size_t n, uint64_t seed)
{
    CLEANUP(body_writer_freep) struct body_writer *w = NULL;
    CLEANUP_FREE unsigned char *data = malloc(n + 1);
    assert_non_null(data);
    fill_body(data, n, seed);
    int r = body_writer_new(bodies, n, &w);
    for (size_t done = 0; r == 0 && done < n;) {
        size_t piece = n - done < 100000 ? n - done : 100000;
        r = body_write(w, data + done, piece);
        done += piece;
    }
    if (r == 0)
        r = body_finish(w);
    return r == 0 ? body_commit(w, ino) : r;
}

int check_body(struct bodies *bodies, uint64_t ino, size_t n, uint64_t seed)
{
    struct body *body;
    off_t offset;
    int r = body_open(bodies, ino, &body);
    if (r < 0)
        return r;
    CLEANUP_FREE unsigned char *want = malloc(n + 1);
    CLEANUP_FREE unsigned char *got = malloc(n + 1);
    assert_true(want && got);
    fill_body(want, n, seed);
    int fd = body_fd(body, &offset);
    assert_int_equal(body_size(body), n);
    assert_int_equal(pread_full(fd, got, n, offset), n);
    assert_memory_equal(want, got, n);
    body_close(body);
    return 0;
}

void tell(void *ctx, enum store_change change, uint64_t parent, uint64_t ino, const char *name)
{
    static const char marks[] = {'+', '-', '='};
    struct told *told = ctx;
    (void)parent;
    assert_true(ino >= STORE_FIRST_INODE);
    told->text.max = 1 << 20;
    told->n++;
    str_printf_append(&told->text, "%c%s ", marks[change], name);
}

size_t count_files(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

void damage(const char *path, long offset, size_t n)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, offset, offset < 0 ? SEEK_END : SEEK_SET);
    long at = ftell(f);
    for (size_t i = 0; i < n; i++) {
        int c = fgetc(f);
        assert_int_not_equal(c, EOF);
        fseek(f, at + (long)i, SEEK_SET);
        fputc(~c & 0xff, f);
        fseek(f, at + (long)i + 1, SEEK_SET);
    }
    fclose(f);
}
