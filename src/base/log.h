/*
 * log.h -- one log per process: standard error in the foreground, a file for the daemon.
 *
 * A line says what happened, which folder or message, why, and what happens next.  An error
 * is logged once, by the function that handles it; a function that returns it does not log.
 * Secrets and message contents are never passed to the log.  Lines are cut at 1,000 bytes and
 * control characters become '?'.  Any thread.
 */
#ifndef MAILMOUNT_LOG_H
#define MAILMOUNT_LOG_H

#include "util.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines up to `level` are written.  Before log_open_file: to standard error. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* From now on write to `path` (mode 0600; appended; at 4 MiB it becomes PATH.1). */
MUST_USE int log_open_file(const char *path);
/* Also (or again) write to standard error. */
void log_set_stderr(bool on);

void log_write(enum log_level level, const char *format, ...) PRINTF(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
