/*
 * auth.h -- from the greeting to AUTHENTICATED.  [libetpan, cyrus-sasl]
 */
#ifndef MAILMOUNT_AUTH_H
#define MAILMOUNT_AUTH_H

#include "conn.h"

/* cyrus-sasl: its mutexes and its mechanisms; libetpan's loggers. */
MUST_USE int auth_global_init(void);

/* On an open stream: greeting, STARTTLS where asked for, capabilities, login.  Returns 0 or the
 * sticky error of the connection. */
MUST_USE int auth_login(struct imap *im, const struct imap_settings *settings);

#endif
