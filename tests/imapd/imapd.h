/*
 * imapd.h -- a scripted IMAP server for tests: one thread, one connection after another.
 *
 * A script is a function that talks to the client with the imapd_* calls below and returns to
 * close the connection.  What goes wrong in the script is kept and returned by imapd_stop.  The
 * server listens on 127.0.0.1 at a free port.  SIGPIPE is blocked in its thread only, so that a
 * client that raises it dies.
 */
#ifndef IMAPD_H
#define IMAPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct imapd;
typedef void imapd_script(struct imapd *server, void *arg);

struct imapd_options {
    const char *cert; /* DIR/NAME without .pem and .key, for TLS; NULL: none */
    bool tls;         /* from the first byte, else only at imapd_starttls */
    bool bytewise;    /* every byte in a packet of its own */
    int connections;  /* to serve; 0: one */
};

/* Aborts the program when it cannot start. */
struct imapd *imapd_start(imapd_script *script, void *arg, const struct imapd_options *options);
uint16_t imapd_port(const struct imapd *server);
/* Waits for the script's end and frees.  Returns "" or what went wrong, static. */
const char *imapd_stop(struct imapd *server);

/* ---- inside a script */

void imapd_send(struct imapd *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* false when the client is gone. */
bool imapd_write(struct imapd *server, const void *data, size_t n);
/* The next line without CRLF; "" at the end.  Borrowed until the next line. */
const char *imapd_line(struct imapd *server);
/* The line read last. */
const char *imapd_last(const struct imapd *server);
/* Reads a line that must contain `text`. */
void imapd_expect(struct imapd *server, const char *text);
/* Answers the last line read: TAG and `text`. */
void imapd_reply(struct imapd *server, const char *text);
/* Greeting, capabilities, AUTHENTICATE PLAIN; afterwards the client is logged in. */
void imapd_login(struct imapd *server, const char *caps);
void imapd_starttls(struct imapd *server);
/* Until the client has closed. */
void imapd_wait_closed(struct imapd *server);
void imapd_fail(struct imapd *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
