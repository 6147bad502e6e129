#include "mboxname.h"

#include <string.h>

/* Length of the next character of the glob; `%3A`, as folders= writes a colon, is one. */
static size_t glob_step(const char *glob, char *ret_char)
{
    bool colon = strncmp(glob, "%3A", 3) == 0;
    *ret_char = colon ? ':' : *glob;
    return colon ? 3 : 1;
}

static size_t character(const char *path)
{
    size_t n = 1;
    while (((unsigned char)path[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* Where matching goes on when what stands behind a star does not match: one byte more is given
 * to the star. */
struct retry {
    const char *glob, *path; /* glob is NULL while there is no star */
};

/* Gives the star one more byte; false if it can have no more. */
static bool widen(struct retry *star, bool stops_at_slash, const char **glob, const char **path)
{
    if (!star->glob || !*star->path || (stops_at_slash && *star->path == '/'))
        return false;
    *glob = star->glob;
    *path = ++star->path;
    return true;
}

bool mboxname_glob(const char *glob, const char *path)
{
    struct retry one = {0}, two = {0}; /* the last `*` behind the last `**` */
    while (*glob || *path) {
        if (*glob == '*') {
            bool twice = glob[1] == '*';
            glob += twice ? 2 : 1;
            if (twice) {
                two = (struct retry){glob, path};
                one = (struct retry){0};
            } else {
                one = (struct retry){glob, path};
            }
            continue;
        }
        char c;
        size_t n = glob_step(glob, &c);
        if (*glob == '?' && *path && *path != '/') {
            glob++;
            path += character(path);
        } else if (*glob && *path && *glob != '?' && c == *path) {
            glob += n;
            path++;
        } else if (!widen(&one, true, &glob, &path)) {
            one = (struct retry){0};
            if (!widen(&two, false, &glob, &path))
                return false;
        }
    }
    return true;
}
