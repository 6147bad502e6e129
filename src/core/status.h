/*
 * status.h -- what an account is doing, as JSON and as text.  [jansson]
 *
 * The JSON is stable: keys are added, never renamed; times are ISO 8601 in UTC, sizes bytes.
 * It holds no secret and no message content.
 */
#ifndef MAILMOUNT_STATUS_H
#define MAILMOUNT_STATUS_H

#include "str.h"
#include "view.h"

/* One object, followed by a newline. */
MUST_USE int status_json(struct view *view, struct str *out);
/* The same for people. */
MUST_USE int status_text(struct view *view, struct str *out);

#endif
