/*
 * date.h -- the two dates of a message.  Pure; no locale, no local time zone.
 */
#ifndef MAILMOUNT_DATE_H
#define MAILMOUNT_DATE_H

#include <stdint.h>

#include "util.h"

/* INTERNALDATE, `dd-Mon-yyyy hh:mm:ss +zzzz` without the quotes (RFC 9051 date-time; day may
 * begin with a blank): seconds since 1970 in UTC, and the zone in minutes east. */
MUST_USE int date_parse_internal(const char *text, size_t len, int64_t *ret_seconds,
                                 int *ret_zone);
#define DATE_INTERNAL_LEN 26
/* The reverse, in the given zone. */
void date_format_internal(int64_t seconds, int zone, char out[DATE_INTERNAL_LEN + 1]);

/* A Date header's value (RFC 5322 with obsolete zones and two-digit years, comments): seconds
 * since 1970 in UTC.  -EINVAL when it does not parse.  [GMime] */
MUST_USE int date_parse_header(const char *value, int64_t *ret_seconds);

#endif
