/*
 * secret_source.h -- the parts of secret.c: the buffer a source fills, and the two sources that
 * need a process or a terminal.  For secret*.c and their tests only.
 */
#ifndef MAILMOUNT_SECRET_SOURCE_H
#define MAILMOUNT_SECRET_SOURCE_H

#include "secret.h"

/* Locked memory for what a source gives, one byte more than a secret may have. */
struct secret_buffer {
    char *data; /* SECRET_MAX + 1 bytes and a NUL; mmapped */
    size_t len;
};

MUST_USE int secret_buffer_init(struct secret_buffer *buffer);
void secret_buffer_release(struct secret_buffer *buffer); /* wipes */

/* Runs a command and reads its output into the buffer.  -EKEYEXPIRED: it could not be run, did
 * not exit with 0, gave more than SECRET_MAX bytes or took longer than timeout_ms. */
MUST_USE int secret_run(const char *command, int timeout_ms, struct secret_buffer *buffer,
                        struct errtext *err);

/* Asks on /dev/tty without echo; `buffer` gets the line.  The terminal is as before on return,
 * and while a signal stops or ends us.  -EKEYEXPIRED: there is no terminal, or no answer. */
MUST_USE int secret_ask(const char *prompt, struct secret_buffer *buffer, struct errtext *err);

#endif
