/*
 * url.h -- the URL of an account: imaps://USER@HOST[:PORT][/FOLDER] or imap://... (STARTTLS).
 *
 * The last `@` before the first `/` behind the scheme splits USER from HOST, so USER may hold `@`
 * plain or as %40; other reserved characters of USER and FOLDER are percent-encoded (RFC 3986).
 * HOST is a name, an IPv4 address or an IPv6 address in brackets.  A password in a URL is refused:
 * everybody could read it in the list of processes.
 */
#ifndef MAILMOUNT_URL_H
#define MAILMOUNT_URL_H

#include "settings.h"

struct url {
    enum settings_tls tls; /* IMPLICIT or STARTTLS */
    char *user;            /* decoded; owned, as the others */
    char *host;            /* lower case, without brackets */
    uint16_t port;
    bool port_is_default;
    char *folder; /* decoded, without slashes at its ends; NULL: none */
};

/* Whether the word is meant as a URL (holds `://`). */
bool url_is(const char *word);

/* -EINVAL: `err` says what is wrong with it. */
MUST_USE int url_parse(const char *text, struct url *ret, struct errtext *err);
void url_release(struct url *url);

/* Whether a host is this machine by its very name: 127.0.0.0/8, ::1, localhost. */
bool url_host_is_loopback(const char *host);

#endif
