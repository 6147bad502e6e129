/*
 * answers.h -- the daemon's side of the verbs: each answer_NAME answers one request.
 *
 * Called on a thread of the request's own (control.h); it may wait, and ends when reply_gone says
 * so.  argv[0] is the verb; arguments were made by verb_NAME.c, but any process of this user may
 * send them: they are checked.  Returns the exit code; what it has to say goes to the reply.
 */
#ifndef MAILMOUNT_ANSWERS_H
#define MAILMOUNT_ANSWERS_H

#include "account.h"
#include "control.h"
#include "options.h"
#include "view.h"

struct answer_context { /* all borrowed; they live until control_stop has returned */
    struct view *view;
    struct account *account;
    const char *mountpoint;
};

typedef int answer_fn(const struct answer_context *context, int argc, char **argv,
                      struct reply *reply);

/* Finds the verb. */
answer_fn answer_request;

/* "VERB: text" on the client's standard error; returns `code`. */
int answer_fail(struct reply *reply, const char *verb, enum exit_code code, const char *text);

answer_fn answer_search;
answer_fn answer_status;
answer_fn answer_unmount;

#endif
