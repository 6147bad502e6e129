#include "secret_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "words.h"

extern char **environ;

#define STEP_MS 20 /* how often an exit is looked for while nothing comes */

struct running {
    pid_t pid;
    int output;          /* our end of its standard output */
    int64_t deadline_ms; /* on CLOCK_MONOTONIC */
    bool exited;
    int status; /* as waitpid gives it, when exited */
};

/* In the child: its own group, default signals, /dev/null, the pipe, our standard error, and
 * nothing above it. */
static int spawn(char *const *words, int output, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int e = posix_spawn_file_actions_init(&actions);
    if (e)
        return -e;
    e = posix_spawnattr_init(&attr);
    if (e) {
        posix_spawn_file_actions_destroy(&actions);
        return -e;
    }
    e = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!e)
        e = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (!e)
        e = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    if (!e)
        e = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                POSIX_SPAWN_SETSIGMASK);
    if (!e)
        e = posix_spawnattr_setpgroup(&attr, 0);
    if (!e)
        e = posix_spawnattr_setsigmask(&attr, &none);
    if (!e)
        e = posix_spawnattr_setsigdefault(&attr, &all);
    if (!e)
        e = posix_spawnp(ret_pid, words[0], &actions, &attr, words, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return -e;
}

static void look_for_exit(struct running *run)
{
    pid_t pid = run->exited ? 0 : waitpid(run->pid, &run->status, WNOHANG);
    if (pid == run->pid)
        run->exited = true;
}

/* Reads what is there.  1: go on; 0: end of file; -EMSGSIZE: too much. */
static int read_some(struct running *run, struct secret_buffer *buffer)
{
    ssize_t n = read(run->output, buffer->data + buffer->len, SECRET_MAX + 1 - buffer->len);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -errno;
    buffer->len += (size_t)n;
    if (buffer->len > SECRET_MAX)
        return -EMSGSIZE;
    return n > 0;
}

/* Until the output ends.  A command that exits may leave a child behind that keeps the pipe open
 * (an agent it has started): then its exit ends the output too. */
static int read_output(struct running *run, struct secret_buffer *buffer)
{
    for (;;) {
        look_for_exit(run);
        struct pollfd p = {.fd = run->output, .events = POLLIN};
        int ready = poll(&p, 1, run->exited ? 0 : STEP_MS);
        if (ready < 0 && errno != EINTR)
            return -errno;
        if (ready > 0) {
            int r = read_some(run, buffer);
            if (r <= 0)
                return r;
        } else if (ready == 0 && run->exited) {
            return 0;
        }
        if (clock_mono_ms() >= run->deadline_ms)
            return -ETIMEDOUT;
    }
}

static int wait_exit(struct running *run)
{
    for (;;) {
        look_for_exit(run);
        if (run->exited)
            return 0;
        if (clock_mono_ms() >= run->deadline_ms)
            return -ETIMEDOUT;
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    }
}

static void kill_group(struct running *run)
{
    kill(-run->pid, SIGKILL);
    while (!run->exited && waitpid(run->pid, &run->status, 0) < 0 && errno == EINTR)
        ;
}

static int check_status(const char *name, int status, struct errtext *err)
{
    if (WIFSIGNALED(status))
        return err_set(err, EKEYEXPIRED, "passcmd: %s was ended by signal %d", name,
                       WTERMSIG(status));
    if (WEXITSTATUS(status) == 127)
        return err_set(err, EKEYEXPIRED, "passcmd: %s ended with status 127 (is it installed?)",
                       name);
    if (WEXITSTATUS(status) != 0)
        return err_set(err, EKEYEXPIRED, "passcmd: %s ended with status %d", name,
                       WEXITSTATUS(status));
    return 0;
}

/* The command's arguments may say too much: messages name its first word only. */
static int run_words(char **words, int timeout_ms, struct secret_buffer *buffer,
                     struct errtext *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, EKEYEXPIRED, "passcmd: %s", strerror(errno));
    CLEANUP_FD int output = ends[0];
    CLEANUP_FD int input = ends[1];
    fcntl(output, F_SETFL, O_NONBLOCK);
    struct running run = {.output = output, .deadline_ms = clock_mono_ms() + timeout_ms};
    int r = spawn(words, input, &run.pid);
    if (r < 0)
        return err_set(err, EKEYEXPIRED, "passcmd: %s: %s", words[0], strerror(-r));
    close(steal_fd(&input));
    r = read_output(&run, buffer);
    if (r == 0)
        r = wait_exit(&run);
    if (r < 0)
        kill_group(&run);
    if (r == -ETIMEDOUT)
        return err_set(err, EKEYEXPIRED, "passcmd: %s took longer than %d s and was ended",
                       words[0], timeout_ms / 1000);
    if (r == -EMSGSIZE)
        return err_set(err, EKEYEXPIRED, "passcmd: %s gave more than %d bytes and was ended",
                       words[0], SECRET_MAX);
    if (r < 0)
        return err_set(err, EKEYEXPIRED, "passcmd: %s: %s", words[0], strerror(-r));
    return check_status(words[0], run.status, err);
}

int secret_run(const char *command, int timeout_ms, struct secret_buffer *buffer,
               struct errtext *err)
{
    CLEANUP_FREE char **words = NULL;
    int r = words_split(command, &words, NULL);
    if (r < 0)
        return err_set(err, EKEYEXPIRED, "passcmd: its quotes do not match, or it is empty");
    return run_words(words, timeout_ms, buffer, err);
}
