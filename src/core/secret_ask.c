/*
 * DESIGN.  While the terminal does not echo, signals that would end or stop us are caught, so
 * that the terminal can be put right first; then the signal is raised again with its own
 * handling, and when that lets us live (SIGTSTP, then SIGCONT) the question is asked again.
 * Called before there are other threads, so handlers and static state are safe.
 */
#include "secret_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGTERM,
                              SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};
#define N_SIGNALS ARRAY_LEN(signals)

static volatile sig_atomic_t caught;

static void on_signal(int signal)
{
    caught = signal;
}

static void set_handlers(struct sigaction *old)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: read must end */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaction(signals[i], &action, &old[i]);
}

static void restore_handlers(const struct sigaction *old)
{
    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaction(signals[i], &old[i], NULL);
}

/* One line into the buffer.  0; -EINTR: a signal came; -ENODATA: end of file. */
static int read_line(int fd, struct secret_buffer *buffer)
{
    buffer->len = 0;
    while (!caught) {
        char c;
        ssize_t n = read(fd, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ENODATA;
        if (c == '\n')
            return 0;
        /* What is too long is refused by its length: the rest is read and dropped. */
        if (buffer->len <= SECRET_MAX)
            buffer->data[buffer->len++] = c;
        explicit_bzero(&c, 1);
    }
    return -EINTR;
}

static int ask_once(int fd, const char *prompt, struct secret_buffer *buffer)
{
    struct termios before, silent;
    struct sigaction old[N_SIGNALS];
    if (tcgetattr(fd, &before) < 0)
        return -errno;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    caught = 0;
    set_handlers(old);
    int r = tcsetattr(fd, TCSAFLUSH, &silent) < 0 ? -errno : 0;
    if (r == 0)
        r = write_full(fd, prompt, strlen(prompt));
    if (r == 0)
        r = read_line(fd, buffer);
    while (tcsetattr(fd, TCSAFLUSH, &before) < 0 && errno == EINTR && caught != SIGTTOU)
        ;
    (void)!write(fd, "\n", 1);
    restore_handlers(old);
    if (caught)
        raise(caught);
    return r;
}

int secret_ask(const char *prompt, struct secret_buffer *buffer, struct errtext *err)
{
    CLEANUP_FD int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_set(err, EKEYEXPIRED,
                       "a password is needed and there is no terminal to ask: set passcmd or "
                       "passfile");
    int r;
    do
        r = ask_once(fd, prompt, buffer);
    while (r == -EINTR && (caught == SIGTSTP || caught == SIGTTIN || caught == SIGTTOU));
    if (r < 0)
        return err_set(err, EKEYEXPIRED, "no password was given");
    return 0;
}
