/*
 * verbs.h -- everything but mounting: status, unmount, help, version.
 */
#ifndef MAILMOUNT_VERBS_H
#define MAILMOUNT_VERBS_H

#include "util.h"

/* Whether this word is a verb of mailmount(1), also one that does not exist yet (accounts may not
 * be called so), or a flag that is one: --help, -h, --version, -V. */
bool verb_known(const char *word);
/* Runs it; returns the exit code.  argv[0] is the verb.  Results go to standard output, errors in
 * one line to standard error. */
int verb_run(int argc, char **argv);

#endif
