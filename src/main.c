/*
 * main.c -- the order of starting and stopping.
 *
 *   options -> lock -> secret (may ask the terminal) -> fork -> account, view, fs -> login and
 *   folder list -> control socket -> mount -> report -> serve
 *   with a cache: ... account, view, fs -> control socket -> mount -> serve, and meanwhile, on a
 *   thread of its own, login and folder list -> report
 *   stop: login, control socket, account (answers what is parked), mount, the rest
 *
 * With ANNOUNCER_WORD it is the helper of another mailmount instead (announcer.h).
 *
 * Everything that can fail has failed before the command returns 0, and then nothing stays
 * mounted.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account.h"
#include "announcer.h"
#include "answers.h"
#include "background.h"
#include "control.h"
#include "fs.h"
#include "lockfile.h"
#include "log.h"
#include "mountpoint.h"
#include "options.h"
#include "secret.h"
#include "verbs.h"
#include "view.h"

struct daemon {
    struct mount_command command;
    char *mountpoint; /* absolute */
    char *socket_path;
    int lock_fd;
    struct secret *secret;
    struct background background;
    struct account *account;
    struct view *view;
    struct fs *fs;
    struct control *control;
    /* With a cache; `failure` and `failed` are the thread's until it has been joined. */
    pthread_t main_thread, login_thread;
    bool logs_in_beside;
    int failed; /* 0, or -errno: the mount ends */
    struct errtext failure;
};

static int exit_code_of(int r)
{
    switch (r) {
    case -EKEYEXPIRED:
    case -ENOTSUP: /* the mechanism asked for */
        return EXIT_LOGIN;
    case -EKEYREJECTED:
        return EXIT_TLS;
    case -ENETUNREACH:
    case -EHOSTUNREACH:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ETIMEDOUT:
    case -EPROTO:
    case -EAGAIN: /* the server takes no more logins now */
        return EXIT_UNREACHABLE;
    case -ENOENT:
        return EXIT_NOT_FOUND;
    default:
        return EXIT_OTHER;
    }
}

/* ---- before the fork */

static int check_mountpoint(struct daemon *d, struct errtext *err)
{
    struct stat st;
    char resolved[PATH_MAX];
    const char *given = d->command.mountpoint;
    int r = mountpoint_detach_dead(given, err);
    if (r < 0)
        return EXIT_OTHER;
    if (!realpath(given, resolved) || stat(resolved, &st) < 0) {
        err_set(err, errno, "mount point %s: %s", given, strerror(errno));
        return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_OTHER;
    }
    if (!S_ISDIR(st.st_mode)) {
        err_set(err, ENOTDIR, "mount point %s: not a directory", given);
        return EXIT_USAGE;
    }
    d->mountpoint = strdup(resolved);
    return d->mountpoint ? EXIT_OK : EXIT_OTHER;
}

/* What must be settled while a terminal is there and before anything is running. */
static int prepare(struct daemon *d, struct errtext *err)
{
    struct settings *settings = &d->command.settings;
    int code = check_mountpoint(d, err);
    if (code != EXIT_OK)
        return code;
    int r = lockfile_take(settings->state_dir, settings->account, d->mountpoint, &d->lock_fd, err);
    if (r < 0)
        return r == -EBUSY ? EXIT_MOUNTED : EXIT_OTHER;
    d->socket_path = options_socket_path(settings);
    if (!d->socket_path)
        return err_set(err, ENOMEM, "out of memory") < 0 ? EXIT_OTHER : EXIT_OK;
    r = secret_get(settings, true, NULL, &d->secret, err);
    return r < 0 ? EXIT_LOGIN : EXIT_OK;
}

/* Secrets must not reach a core dump.  (LeakSanitizer has to look into its own process.) */
static void protect_memory(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__)
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

static int answer(void *ctx, int argc, char **argv, struct reply *reply)
{
    const struct daemon *d = ctx;
    const struct answer_context context = {
        .view = d->view, .account = d->account, .mountpoint = d->mountpoint};
    return answer_request(&context, argc, argv, reply);
}

/* ---- after the fork */

static int open_log(const struct settings *settings, struct errtext *err)
{
    CLEANUP_FREE char *path = str_printf("%s/log", settings->state_dir);
    if (settings->debug)
        log_set_level(LOG_LEVEL_DEBUG);
    int r = path ? log_open_file(path) : -ENOMEM;
    if (r < 0)
        return err_set(err, -r, "log in %s: %s", settings->state_dir, strerror(-r));
    log_set_stderr(settings->foreground);
    return 0;
}

static int make_parts(struct daemon *d, struct errtext *err)
{
    const struct settings *settings = &d->command.settings;
    CLEANUP_FREE char *fsname =
        str_printf("%s://%s@%s", settings->tls == SETTINGS_TLS_IMPLICIT ? "imaps" : "imap",
                   settings->user, settings->host);
    if (!fsname)
        return err_set(err, ENOMEM, "out of memory");
    int r = account_new(settings, &d->account, err);
    if (r < 0)
        return r;
    r = view_new(d->account, d->socket_path, d->mountpoint, &d->view);
    if (r < 0)
        return err_set(err, -r, "%s", strerror(-r));
    return fs_new(d->view, fsname, settings->fuse_options, settings->debug, &d->fs, err);
}

/* The thread that serves takes these, and only while it does (fs_loop). */
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void interrupt_start(void *ctx)
{
    account_interrupt(ctx);
}

static int check_root(struct daemon *d, struct errtext *err)
{
    int r = view_check_root(d->view);
    return r < 0 ? err_set(err, -r, "folder %s: %s", d->command.settings.folder, strerror(-r)) : 0;
}

static int log_in(struct daemon *d, struct errtext *err)
{
    int r = account_start(d->account, steal(&d->secret), err);
    return r < 0 ? r : check_root(d, err);
}

static int mount_it(struct daemon *d, struct errtext *err)
{
    int r = control_start(d->socket_path, answer, d, &d->control, err);
    if (r == 0)
        r = fs_mount(d->fs, d->mountpoint, err);
    if (r == 0)
        log_info("%s mounted at %s", d->command.settings.account, d->mountpoint);
    return r;
}

static void report_done(struct daemon *d, const struct errtext *err)
{
    CLEANUP_FREE char *offline =
        err->text[0] ? str_printf("%s; working offline from the cache", err->text) : NULL;
    background_report(&d->background, EXIT_OK, offline ? offline : "");
}

static void *login_main(void *arg)
{
    struct daemon *d = arg;
    struct errtext err = {""};
    int r = log_in(d, &err);
    if (background_unwatch(&d->background))
        r = err_set(&err, ECANCELED, "interrupted");
    if (r == 0) {
        report_done(d, &err);
        return NULL;
    }
    d->failed = r;
    d->failure = err;
    pthread_kill(d->main_thread, SIGTERM); /* ends fs_loop; blocked when that has ended already */
    return NULL;
}

static int start(struct daemon *d, struct errtext *err)
{
    int r = open_log(&d->command.settings, err);
    if (r == 0 && (r = account_global_init()) < 0)
        err_set(err, -r, "the libraries could not be set up: %s", strerror(-r));
    if (r == 0)
        r = lockfile_set_pid(d->lock_fd, d->mountpoint);
    if (r == 0)
        r = make_parts(d, err);
    if (r < 0)
        return r;
    struct news_listener listener = fs_listener(d->fs);
    account_set_listener(d->account, &listener);
    r = background_watch(&d->background, interrupt_start, d->account);
    if (r < 0)
        return err_set(err, -r, "thread: %s", strerror(-r));
    if (account_has_cache(d->account) && !d->command.settings.offline &&
        view_check_root(d->view) == 0) {
        r = mount_it(d, err);
        d->main_thread = pthread_self();
        if (r == 0 && (r = -pthread_create(&d->login_thread, NULL, login_main, d)) < 0)
            err_set(err, -r, "thread: %s", strerror(-r));
        d->logs_in_beside = r == 0;
        if (r == 0)
            return 0;
    } else {
        r = log_in(d, err);
        if (r == 0)
            r = mount_it(d, err);
    }
    if (background_unwatch(&d->background))
        r = err_set(err, ECANCELED, "interrupted");
    return r;
}

static void stop(struct daemon *d)
{
    if (d->control)
        control_stop(d->control);
    if (d->account)
        account_stop(d->account);
    fs_free(d->fs);
    view_free(d->view);
    account_free(d->account);
    /* libfuse leaves a mount whose connection was aborted (umount -f) where it is. */
    struct errtext err = {""};
    if (mountpoint_detach_dead(d->mountpoint, &err) < 0)
        log_error("%s is still mounted: %s", d->mountpoint, err.text);
}

static int end(struct daemon *d, int r, const struct errtext *err)
{
    stop(d);
    background_report(&d->background, exit_code_of(r), err->text[0] ? err->text : strerror(-r));
    return exit_code_of(r);
}

static int serve(struct daemon *d)
{
    struct errtext err = {""};
    protect_memory();
    secret_lock(d->secret);
    signal(SIGPIPE, SIG_IGN);
    block_signals();
    int r = start(d, &err);
    if (r < 0)
        return end(d, r, &err);
    if (!d->logs_in_beside)
        report_done(d, &err);
    r = fs_loop(d->fs);
    if (d->logs_in_beside) {
        account_interrupt(d->account);
        pthread_join(d->login_thread, NULL);
    }
    if (d->failed < 0)
        return end(d, d->failed, &d->failure);
    stop(d);
    log_info("%s unmounted", d->command.settings.account);
    return r < 0 ? EXIT_OTHER : EXIT_OK;
}

static int run(struct daemon *d, int argc, char **argv)
{
    struct errtext err = {""};
    int code = options_parse(argc, argv, &d->command, &err);
    if (code == EXIT_OK)
        code = prepare(d, &err);
    if (code == EXIT_OK &&
        background_begin(d->command.settings.foreground, d->mountpoint, &d->background, &err) < 0)
        code = EXIT_OTHER;
    if (code != EXIT_OK) {
        fprintf(stderr, "mailmount: %s\n", err.text);
        return code;
    }
    return serve(d);
}

int main(int argc, char **argv)
{
    struct daemon d = {.lock_fd = -1, .background = {.report_fd = -1}};
    if (argc > 1 && strcmp(argv[1], ANNOUNCER_WORD) == 0)
        return announcer_main(argc, argv);
    umask(077);
    if (argc > 1 && verb_known(argv[1]))
        return verb_run(argc - 1, argv + 1);
    int code = run(&d, argc, argv);
    secret_free(d.secret);
    mount_command_release(&d.command);
    free(d.mountpoint);
    free(d.socket_path);
    if (d.lock_fd >= 0)
        close(d.lock_fd);
    return code;
}
