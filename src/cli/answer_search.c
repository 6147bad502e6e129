#include <errno.h>
#include <string.h>
#include <time.h>

#include "answers.h"
#include "search.h"

#define PIECE ((size_t)64 << 10) /* output is sent in pieces of about this */

struct answering {
    struct reply *reply;
    struct str out;
};

static bool gone(void *ctx)
{
    struct answering *answering = ctx;
    return reply_gone(answering->reply, 0);
}

static void progress(void *ctx, uint64_t done, uint64_t total)
{
    struct answering *answering = ctx;
    int r = reply_progress(answering->reply, "folders searched", done, total);
    (void)r; /* `gone` tells it, too */
}

static int flush(struct answering *answering)
{
    int r = str_error(&answering->out);
    if (r == 0 && answering->out.len)
        r = reply_text(answering->reply, answering->out.data, answering->out.len);
    str_clear(&answering->out);
    return r;
}

static int out(void *ctx, const char *data, size_t n)
{
    struct answering *answering = ctx;
    str_append(&answering->out, data, n);
    return answering->out.len >= PIECE ? flush(answering) : 0;
}

/* The user's calendar day, as if his zone were UTC. */
static int64_t local_now(void)
{
    time_t now = time(NULL);
    struct tm tm;
    return (int64_t)now + (localtime_r(&now, &tm) ? tm.tm_gmtoff : 0);
}

static enum exit_code exit_of(int r)
{
    switch (r) {
    case -EKEYEXPIRED:
        return EXIT_LOGIN;
    case -ENETUNREACH:
    case -ETIMEDOUT:
    case -ECONNRESET:
    case -EAGAIN:
        return EXIT_UNREACHABLE;
    case -ENOENT:
        return EXIT_NOT_FOUND;
    default:
        return EXIT_OTHER;
    }
}

static int take_format(const char *word, enum search_format *ret)
{
    static const char *const words[] = {
        [SEARCH_LINES] = "lines", [SEARCH_NULS] = "nul", [SEARCH_JSON] = "json"};
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            *ret = (enum search_format)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* search FORMAT PREFIX INSIDE QUERY */
int answer_search(const struct answer_context *context, int argc, char **argv, struct reply *reply)
{
    CLEANUP(search_freep) struct search *search = NULL;
    struct answering answering = {.reply = reply, .out = STR_INIT(2 * PIECE + 65536)};
    const struct search_asker asker = {.ctx = &answering, .gone = gone, .progress = progress};
    struct query query;
    struct errtext err = {""};
    enum search_format format = SEARCH_LINES;
    if (argc != 5 || take_format(argv[1], &format) < 0)
        return answer_fail(reply, argv[0], EXIT_USAGE, "not a request of this version");
    int r = query_parse(argv[4], strlen(argv[4]), local_now(), &query, &err);
    if (r < 0)
        return answer_fail(reply, argv[0], r == -EINVAL ? EXIT_USAGE : EXIT_OTHER,
                           err.text[0] ? err.text : strerror(-r));
    r = search_run(context->view, argv[3], &query, &asker, &search, &err);
    if (r < 0)
        return answer_fail(reply, argv[0], exit_of(r), err.text);
    r = search_write(search, argv[2][0] ? argv[2] : context->mountpoint, format, out, &answering);
    if (r == 0)
        r = flush(&answering);
    str_release(&answering.out);
    if (r < 0 && r != -EPIPE)
        return answer_fail(reply, argv[0], EXIT_OTHER, strerror(-r));
    return r < 0 ? EXIT_OTHER : EXIT_OK;
}
