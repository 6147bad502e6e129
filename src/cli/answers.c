#include "answers.h"

#include <string.h>

static const struct {
    const char *name;
    answer_fn *answer;
} answers[] = {
    {"search", answer_search},
    {"status", answer_status},
    {"unmount", answer_unmount},
};

int answer_fail(struct reply *reply, const char *verb, enum exit_code code, const char *text)
{
    int r = reply_error(reply, "%s: %s\n", verb, text);
    (void)r; /* the client is gone */
    return (int)code;
}

int answer_request(const struct answer_context *context, int argc, char **argv, struct reply *reply)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        if (strcmp(argv[0], answers[i].name) == 0)
            return answers[i].answer(context, argc, argv, reply);
    return answer_fail(reply, argv[0], EXIT_USAGE, "this mount's daemon does not know the verb");
}
