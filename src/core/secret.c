/*
 * DESIGN.  A source (command, file, terminal) fills one locked buffer; the first line of it is
 * copied into a locked mapping of its own, exactly as long as needed; the buffer is wiped.  So
 * the secret never lies in the heap, where a later allocation could hand it on.
 */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret_source.h"

struct secret {
    size_t map_size;
    bool from_terminal;
    char text[]; /* ends with NUL */
};

/* Locking is best effort: RLIMIT_MEMLOCK may be small, and a secret in swap is better than no
 * mount. */
static void *map_locked(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)mlock(p, size);
    (void)madvise(p, size, MADV_DONTDUMP);
    return p;
}

static void unmap_wiped(void *p, size_t size)
{
    explicit_bzero(p, size);
    munmap(p, size);
}

int secret_buffer_init(struct secret_buffer *buffer)
{
    char *data = map_locked(SECRET_MAX + 2);
    if (!data)
        return -ENOMEM;
    *buffer = (struct secret_buffer){.data = data};
    return 0;
}

void secret_buffer_release(struct secret_buffer *buffer)
{
    if (buffer->data)
        unmap_wiped(buffer->data, SECRET_MAX + 2);
    *buffer = (struct secret_buffer){0};
}

static int secret_new(const char *text, size_t len, bool from_terminal, struct secret **ret)
{
    size_t size = sizeof(struct secret) + len + 1;
    struct secret *secret = map_locked(size);
    if (!secret)
        return -ENOMEM;
    secret->map_size = size;
    secret->from_terminal = from_terminal;
    memcpy(secret->text, text, len);
    secret->text[len] = '\0';
    *ret = secret;
    return 0;
}

void secret_lock(struct secret *secret)
{
    (void)mlock(secret, secret->map_size);
}

void secret_free(struct secret *secret)
{
    if (secret)
        unmap_wiped(secret, secret->map_size);
}

void secret_freep(struct secret **secret)
{
    secret_free(*secret);
}

const char *secret_text(const struct secret *secret)
{
    return secret->text;
}

/* The first line of what a source gave. */
static int take_line(const struct secret_buffer *buffer, const char *source, bool from_terminal,
                     struct secret **ret, struct errtext *err)
{
    const char *end = memchr(buffer->data, '\n', buffer->len);
    size_t len = end ? (size_t)(end - buffer->data) : buffer->len;
    if (len > 0 && buffer->data[len - 1] == '\r')
        len--;
    if (len == 0)
        return err_set(err, EKEYEXPIRED, "%s gave an empty password", source);
    if (len > SECRET_MAX)
        return err_set(err, EKEYEXPIRED, "%s gave a password of more than %d bytes", source,
                       SECRET_MAX);
    if (memchr(buffer->data, '\0', len))
        return err_set(err, EKEYEXPIRED, "%s gave a password with a NUL byte", source);
    int r = secret_new(buffer->data, len, from_terminal, ret);
    return r < 0 ? err_set(err, -r, "no memory for the password") : 0;
}

/* ---- files */

enum file_kind {
    FILE_OWN,        /* passfile: ours, and closed to everyone else */
    FILE_CREDENTIAL, /* systemd's: may belong to root and be opened to us by group or ACL */
};

static int check_file(int fd, const char *path, enum file_kind kind, struct errtext *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, EKEYEXPIRED, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, EKEYEXPIRED, "%s: not a regular file; not used", path);
    bool ours = st.st_uid == geteuid() || (kind == FILE_CREDENTIAL && st.st_uid == 0);
    if (!ours)
        return err_set(err, EKEYEXPIRED, "%s: belongs to another user (uid %u); not used", path,
                       (unsigned)st.st_uid);
    if (st.st_mode & (kind == FILE_OWN ? 077 : 027))
        return err_set(err, EKEYEXPIRED,
                       "%s: mode %04o lets others at the password; not used; chmod 600 it", path,
                       (unsigned)st.st_mode & 07777);
    return 0;
}

/* -ENOENT: no such file. */
static int from_file(const char *path, enum file_kind kind, struct secret **ret,
                     struct errtext *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ENOENT, "%s: %s", path, strerror(errno));
    if (fd < 0)
        return err_set(err, EKEYEXPIRED, "%s: %s", path,
                       errno == ELOOP ? "a symbolic link; not used" : strerror(errno));
    int r = check_file(fd, path, kind, err);
    if (r < 0)
        return r;
    CLEANUP(secret_buffer_release) struct secret_buffer buffer = {0};
    r = secret_buffer_init(&buffer);
    if (r < 0)
        return err_set(err, -r, "no memory for the password");
    ssize_t n = read_full(fd, buffer.data, SECRET_MAX + 1);
    if (n < 0)
        return err_set(err, EKEYEXPIRED, "%s: %s", path, strerror((int)-n));
    buffer.len = (size_t)n;
    return take_line(&buffer, path, false, ret, err);
}

static int from_passfile(const char *path, struct secret **ret, struct errtext *err)
{
    int r = from_file(path, FILE_OWN, ret, err);
    return r == -ENOENT ? -EKEYEXPIRED : r;
}

/* -ENOENT: systemd gave none for this account. */
static int from_credentials(const struct settings *settings, struct secret **ret,
                            struct errtext *err)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (!dir || dir[0] != '/')
        return -ENOENT;
    CLEANUP_FREE char *path = str_printf("%s/mailmount.%s", dir, settings->slug);
    if (!path)
        return err_set(err, ENOMEM, "no memory for the password");
    return from_file(path, FILE_CREDENTIAL, ret, err);
}

/* ---- command and terminal */

static int from_command(const char *command, struct secret **ret, struct errtext *err)
{
    CLEANUP(secret_buffer_release) struct secret_buffer buffer = {0};
    int r = secret_buffer_init(&buffer);
    if (r < 0)
        return err_set(err, -r, "no memory for the password");
    r = secret_run(command, SECRET_COMMAND_S * 1000, &buffer, err);
    return r < 0 ? r : take_line(&buffer, "passcmd", false, ret, err);
}

static int from_terminal(const struct settings *settings, struct secret **ret, struct errtext *err)
{
    CLEANUP(secret_buffer_release) struct secret_buffer buffer = {0};
    CLEANUP_FREE char *prompt =
        str_printf("Password for %s at %s: ", settings->user, settings->host);
    int r = prompt ? secret_buffer_init(&buffer) : -ENOMEM;
    if (r < 0)
        return err_set(err, -r, "no memory for the password");
    r = secret_ask(prompt, &buffer, err);
    return r < 0 ? r : take_line(&buffer, "the terminal", true, ret, err);
}

int secret_get(const struct settings *settings, bool ask_terminal, const struct secret *previous,
               struct secret **ret, struct errtext *err)
{
    if (settings->passcmd)
        return from_command(settings->passcmd, ret, err);
    if (settings->passfile)
        return from_passfile(settings->passfile, ret, err);
    int r = from_credentials(settings, ret, err);
    if (r != -ENOENT)
        return r;
    const char *known = settings->insecure_password;
    if (!known && previous && previous->from_terminal)
        known = previous->text;
    if (known) {
        r = secret_new(known, strlen(known), !settings->insecure_password, ret);
        return r < 0 ? err_set(err, -r, "no memory for the password") : 0;
    }
    if (ask_terminal)
        return from_terminal(settings, ret, err);
    return err_set(err, EKEYEXPIRED, "no password for %s at %s: set passcmd or passfile",
                   settings->user, settings->host);
}
