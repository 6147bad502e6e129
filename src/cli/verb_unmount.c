#include <errno.h>
#include <string.h>

#include "control.h"
#include "mountpoint.h"
#include "verb.h"

#define GONE_MS 30000

/* Without the daemon's help: it is gone, or does not listen. */
static int unmount_alone(const char *dir, bool dead)
{
    struct errtext err = {""};
    int r = mountpoint_unmount(dir, dead, &err);
    if (r == -EBUSY)
        return verb_fail(EXIT_OTHER, "%s: in use; nothing was changed", dir);
    return r < 0 ? verb_fail(EXIT_OTHER, "%s", err.text) : EXIT_OK;
}

int verb_unmount(int argc, char **argv)
{
    static const char *const request[] = {"unmount"};
    CLEANUP_STR struct str text = STR_INIT(65536);
    CLEANUP_FREE char *path = NULL;
    bool dead = false;
    int code = 0;
    if (argc != 2 || argv[1][0] == '-' || !argv[1][0])
        return verb_fail(EXIT_USAGE, "usage: mailmount unmount DIR");
    const char *dir = argv[1];
    if (mountpoint_is_ours(dir, &dead) < 0)
        return verb_fail(EXIT_NOT_FOUND, "%s: not a mailmount mount point", dir);
    if (dead || mountpoint_socket(dir, &path) < 0)
        return unmount_alone(dir, dead);
    int r = control_call(path, 1, request, &text, &code);
    if (r == -ENOENT || r == -ECONNREFUSED)
        return unmount_alone(dir, false);
    if (r < 0)
        return verb_fail(EXIT_OTHER, "%s: its daemon does not answer: %s", dir, strerror(-r));
    if (code != 0) {
        verb_clean(&text);
        if (text.len > 0 && text.data[text.len - 1] == '\n')
            text.data[--text.len] = '\0';
        return verb_fail((enum exit_code)code, "%s",
                         text.len ? text.data : "the daemon refused, without a reason");
    }
    if (mountpoint_wait_gone(dir, GONE_MS) < 0)
        return verb_fail(EXIT_OTHER, "%s: its daemon has not ended within %d s", dir,
                         GONE_MS / 1000);
    return EXIT_OK;
}
