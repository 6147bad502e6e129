/*
 * paths.h -- where things lie: configuration, cache, state, sockets (XDG base directories).
 *
 * An XDG variable counts only when it is an absolute path, as the specification says; HOME comes
 * from the environment, else from the password database.  All results are owned by the caller.
 * NULL: out of memory, or there is no home directory.
 */
#ifndef MAILMOUNT_PATHS_H
#define MAILMOUNT_PATHS_H

#include "url.h"

char *paths_home(void);
char *paths_config_file(void);           /* $XDG_CONFIG_HOME/mailmount/config */
char *paths_cache_dir(const char *slug); /* $XDG_CACHE_HOME/mailmount[/SLUG]; slug may be NULL */
char *paths_state_dir(const char *slug); /* $XDG_STATE_HOME/mailmount[/SLUG] */
char *paths_runtime_dir(void);           /* $XDG_RUNTIME_DIR/mailmount; NULL also: not ours */

/* `~/x` with the home directory; a relative path behind the current directory when
 * `relative_ok`.  -EINVAL: it is relative, or empty. */
MUST_USE int paths_expand(const char *path, bool relative_ok, char **ret);

/* A name for directories and sockets, at most 200 bytes: an account's name, or
 * USER@HOST[:PORT][%2FFOLDER].  What could be mistaken in a path is %XX. */
char *paths_slug_of_name(const char *name);
char *paths_slug_of_url(const struct url *url);

#endif
