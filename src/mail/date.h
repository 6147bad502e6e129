/*
 * date.h -- the two dates of a message.  Pure; no locale, no local time zone.
 */
#ifndef MAILMOUNT_DATE_H
#define MAILMOUNT_DATE_H

#include <stdint.h>

#include "util.h"

/* INTERNALDATE, `dd-Mon-yyyy hh:mm:ss +zzzz` without the quotes (RFC 9051 date-time; day may
 * begin with a blank): seconds since 1970 in UTC, and the zone in minutes east. */
MUST_USE int date_parse_internal(const char *text, size_t len, int64_t *ret_seconds, int *ret_zone);
#define DATE_INTERNAL_LEN 26
/* The reverse, in the given zone; years 0 to 9999, what is beyond becomes their end. */
void date_format_internal(int64_t seconds, int zone, char out[DATE_INTERNAL_LEN + 1]);

/* A Date header's value (RFC 5322 3.3 and 4.3 with obsolete zones and two-digit years, comments;
 * a missing zone is UTC; also asctime's order): seconds since 1970 in UTC, negative before.
 * -EINVAL when it does not parse. */
MUST_USE int date_parse_header(const char *value, int64_t *ret_seconds);

/* A time in UTC by the calendar; years 0 to 9999 as above. */
struct date_parts {
    int year, month, day, hour, minute, second; /* month and day from 1 */
};
void date_split(int64_t seconds, struct date_parts *ret);

#endif
