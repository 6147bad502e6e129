/*
 * live.h -- a client connected to the scripted server.
 */
#ifndef LIVE_H
#define LIVE_H

#include "imap.h"
#include "imapd.h"

/* A directory with the certificates of tests/servers/pki.sh, made once per program; removed at
 * exit. */
const char *live_pki(void);
/* DIR/NAME, static. */
const char *live_cert(const char *name);

/* user/secret at 127.0.0.1, tls=none, 5 s. */
struct imap_settings live_settings(const struct imapd *server);
/* Connects to a server with this script.  Returns what imap_connect did; the text is in *err. */
int live_connect(const struct imapd *server, struct imap **ret, struct errtext *err);

/* Resident memory of this process. */
size_t live_memory(void);

#endif
