#include <string.h>

#include "answers.h"
#include "mountpoint.h"

int answer_unmount(const struct answer_context *context, int argc, char **argv, struct reply *reply)
{
    struct errtext err = {""};
    (void)argc;
    int r = mountpoint_unmount(context->mountpoint, false, &err);
    return r < 0 ? answer_fail(reply, argv[0], EXIT_OTHER, err.text) : EXIT_OK;
}
