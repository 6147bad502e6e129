/*
 * DESIGN.  Handlers (ops.c) run on a few libfuse threads and never wait: what is not here is
 * parked (park.c) and answered by an account's worker.  The kernel caches names, attributes,
 * listings and pages for a day; notify.c takes back what changed, announce.c tells watchers of it.
 * Every change is refused with EROFS, by the kernel where the mount is `ro`, else by change.c.
 */
#include "fs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fs_internal.h"
#include "log.h"
#include "park.h"
#include "str.h"

#define LOOP_THREADS 4

/* libfuse's own words (for example of a failed mount) belong into the log. */
PRINTF(2, 0)
static void log_fuse(enum fuse_log_level level, const char *format, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    log_write(level <= FUSE_LOG_ERR       ? LOG_LEVEL_ERROR
              : level == FUSE_LOG_WARNING ? LOG_LEVEL_WARN
                                          : LOG_LEVEL_DEBUG,
              "fuse: %s", text);
}

/* FUSE options are separated by commas: those inside a value are escaped. */
static void append_escaped(struct str *out, const char *value)
{
    for (; *value; value++) {
        if (*value == ',' || *value == '\\')
            str_append_char(out, '\\');
        str_append_char(out, *value);
    }
}

static int make_session(struct fs *fs, const char *fsname, const char *fuse_options, bool debug)
{
    CLEANUP_STR struct str options = STR_INIT(65536);
    if (account_settings(view_account(fs->view))->read_only)
        str_append_text(&options, "ro,");
    str_append_text(&options, "nosuid,nodev,noexec,default_permissions,subtype=mailmount,fsname=");
    append_escaped(&options, fsname);
    if (fuse_options)
        str_printf_append(&options, ",%s", fuse_options);
    if (debug)
        str_append_text(&options, ",debug");
    if (str_error(&options) < 0)
        return str_error(&options);
    char program[] = "mailmount", dash_o[] = "-o";
    char *argv[] = {program, dash_o, options.data, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);
    fs->session = fuse_session_new(&args, &fs_ops, fs_ops_size, fs);
    fuse_opt_free_args(&args);
    return fs->session ? 0 : -EINVAL;
}

int fs_new(struct view *view, const char *fsname, const char *fuse_options, bool debug,
           struct fs **ret, struct errtext *err)
{
    struct fs *fs = calloc(1, sizeof(*fs));
    if (!fs)
        return err_set(err, ENOMEM, "out of memory");
    fs->view = view;
    fuse_set_log_func(log_fuse);
    int r = notify_new(&fs->notify);
    if (r == 0)
        r = parks_new(&fs->parks);
    if (r == 0)
        r = announce_new(view, &fs->announce);
    if (r == 0)
        r = make_session(fs, fsname, fuse_options, debug);
    if (r < 0) {
        err_set(err, -r, "the file system could not be set up: %s", strerror(-r));
        fs_free(fs);
        return r;
    }
    *ret = fs;
    return 0;
}

void fs_free(struct fs *fs)
{
    if (!fs)
        return;
    if (fs->notify)
        notify_stop(fs->notify);
    if (fs->announce)
        announce_stop(fs->announce);
    drain_stop(fs->drain);
    fs_unmount(fs);
    if (fs->session)
        fuse_session_destroy(fs->session);
    announce_free(fs->announce);
    notify_free(fs->notify);
    parks_free(fs->parks);
    free(fs->mountpoint);
    free(fs);
}

static void tell(void *ctx, enum news news, uint64_t parent, uint64_t ino, const char *name)
{
    struct fs *fs = ctx;
    notify_news(fs->notify, news, view_visible_ino(fs->view, parent),
                view_visible_ino(fs->view, ino), name);
}

static void when_told(void *ctx, void (*fn)(void *arg), void *arg)
{
    notify_call_behind_all(((struct fs *)ctx)->notify, fn, arg);
}

struct news_listener fs_listener(struct fs *fs)
{
    return (struct news_listener){.ctx = fs, .tell = tell, .when_told = when_told};
}

int fs_mount(struct fs *fs, const char *mountpoint, struct errtext *err)
{
    fs->mountpoint = strdup(mountpoint);
    if (!fs->mountpoint)
        return err_set(err, ENOMEM, "out of memory");
    if (fuse_session_mount(fs->session, mountpoint) != 0)
        return err_set(err, EIO,
                       "%s: could not be mounted; is /dev/fuse there and fusermount3 "
                       "installed?",
                       mountpoint);
    fs->mounted = true;
    return 0;
}

/* Signals that end the mount reach this thread alone, and only while libfuse handles them: all
 * threads inherit them blocked. */
static void let_signals_in(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(how, &set, NULL);
}

static void start_announcing(struct fs *fs)
{
    const struct settings *settings = account_settings(view_account(fs->view));
    if (settings->read_only || !settings->announce)
        return;
    int r = announce_start(fs->announce, fs->session, fs->mountpoint);
    if (r < 0)
        log_error("%s: changes are not announced to inotify watchers: %s", fs->mountpoint,
                  strerror(-r));
}

int fs_loop(struct fs *fs)
{
    if (fuse_set_signal_handlers(fs->session) != 0)
        return -EINVAL;
    start_announcing(fs);
    int r = notify_start(fs->notify, fs->session, fs->announce);
    if (r == 0)
        r = parks_start(fs->parks);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (r == 0 && config) {
        fuse_loop_cfg_set_max_threads(config, LOOP_THREADS);
        fuse_loop_cfg_set_idle_threads(config, LOOP_THREADS);
        let_signals_in(SIG_UNBLOCK);
        r = fuse_session_loop_mt(fs->session, config);
        let_signals_in(SIG_BLOCK);
        fs->drain = drain_start(fs->session);
    }
    if (config)
        fuse_loop_cfg_destroy(config);
    parks_stop(fs->parks);
    fuse_remove_signal_handlers(fs->session);
    return r > 0 ? 0 : r; /* a positive number is the signal that ended the loop */
}

void fs_unmount(struct fs *fs)
{
    if (fs->mounted)
        fuse_session_unmount(fs->session);
    fs->mounted = false;
}
