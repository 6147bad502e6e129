#include <string.h>

#include "answers.h"
#include "status.h"

int answer_status(const struct answer_context *context, int argc, char **argv, struct reply *reply)
{
    CLEANUP_STR struct str out = STR_INIT(CONTROL_ANSWER_MAX);
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    int r = json ? status_json(context->view, &out) : status_text(context->view, &out);
    if (r < 0)
        return answer_fail(reply, argv[0], EXIT_OTHER, strerror(-r));
    r = reply_text(reply, out.data, out.len);
    return r < 0 ? EXIT_OTHER : EXIT_OK;
}
