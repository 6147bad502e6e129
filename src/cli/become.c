#include "become.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct passwd *find_user(const char *user)
{
    uint64_t uid;
    const struct passwd *pw = getpwnam(user);
    if (!pw && parse_u64(user, UINT32_MAX - 1, &uid) == 0)
        pw = getpwuid((uid_t)uid);
    return pw;
}

static int set_environment(const struct passwd *pw)
{
    static const char *const gone[] = {"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME",
                                       "XDG_RUNTIME_DIR", "CREDENTIALS_DIRECTORY"};
    CLEANUP_FREE char *runtime = str_printf("/run/user/%u", (unsigned)pw->pw_uid);
    struct stat st;
    if (!runtime || setenv("HOME", pw->pw_dir, 1) < 0 || setenv("USER", pw->pw_name, 1) < 0 ||
        setenv("LOGNAME", pw->pw_name, 1) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        unsetenv(gone[i]);
    if (stat(runtime, &st) == 0 && st.st_uid == pw->pw_uid)
        return setenv("XDG_RUNTIME_DIR", runtime, 1) < 0 ? -ENOMEM : 0;
    return 0;
}

int become_user(const char *user, struct errtext *err)
{
    const struct passwd *pw = find_user(user);
    if (!pw)
        return err_set(err, ENOENT, "setuid: no user %.100s", user);
    if (pw->pw_uid == geteuid())
        return 0;
    if (geteuid() != 0)
        return err_set(err, EPERM, "setuid=%.100s: only root can become another user", user);
    int r = set_environment(pw);
    if (r == 0 && (initgroups(pw->pw_name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
                   setuid(pw->pw_uid) < 0))
        r = -errno;
    return r < 0 ? err_set(err, -r, "setuid=%.100s: %s", user, strerror(-r)) : 0;
}
