/*
 * search_work.h -- the worker's part of a search: one batch of folders on one connection.
 */
#ifndef MAILMOUNT_SEARCH_WORK_H
#define MAILMOUNT_SEARCH_WORK_H

#include "imap.h"

struct search_lane;

/* EXAMINE and UID SEARCH for each folder of the lane that is not done yet, all in one pipeline.
 * 0, also when a folder was refused (the search has it as its failure); or the connection's error
 * (imap_error tells): then it may be called again with another connection. */
MUST_USE int search_work(struct search_lane *lane, struct imap *im);
/* The job's reference. */
void search_work_release(void *lane);

#endif
