#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "verb.h"

#define USAGE "usage: mailmount search [-0 | --json] [DIR] QUERY..."

struct search_command {
    const char *format; /* as answer_search.c knows it; NULL: lines */
    const char *dir;    /* NULL: the mount we are in, or the only one */
    int query;          /* the first word of the query in argv */
};

/* A first word that can only be a path, or that names a directory in a mount.  As anything else it
 * is a word to search for. */
static bool is_dir(const char *word)
{
    struct stat st;
    CLEANUP_FREE char *mountpoint = NULL, *inside = NULL;
    if (word[0] == '/' || strcmp(word, ".") == 0 || strcmp(word, "..") == 0 ||
        strncmp(word, "./", 2) == 0 || strncmp(word, "../", 3) == 0)
        return true;
    return *word && verb_locate(word, &mountpoint, &inside) == 0 && stat(word, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

static int parse(int argc, char **argv, struct search_command *ret)
{
    struct search_command command = {0};
    int i = 1;
    for (; i < argc; i++) {
        const char *format = strcmp(argv[i], "-0") == 0       ? "nul"
                             : strcmp(argv[i], "--json") == 0 ? "json"
                                                              : NULL;
        if (format && command.format && strcmp(format, command.format) != 0)
            return verb_fail(EXIT_USAGE, "-0 and --json exclude each other; " USAGE);
        if (format) {
            command.format = format;
        } else if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            return verb_fail(EXIT_USAGE, "search: no such option: %s; " USAGE, argv[i]);
        } else if (!command.dir && argv[i][0] != '-' && is_dir(argv[i])) {
            command.dir = argv[i];
        } else {
            break;
        }
    }
    if (i >= argc)
        return verb_fail(EXIT_USAGE, "search: what for?  " USAGE);
    command.query = i;
    *ret = command;
    return EXIT_OK;
}

int verb_search(int argc, char **argv)
{
    CLEANUP_FREE char *mountpoint = NULL, *inside = NULL;
    CLEANUP_STR struct str query = STR_INIT(CONTROL_REQUEST_MAX);
    struct search_command command;
    int code = parse(argc, argv, &command);
    if (code != EXIT_OK)
        return code;
    int r = verb_locate(command.dir ? command.dir : ".", &mountpoint, &inside);
    if (r < 0 && command.dir)
        return r == -ENOENT ? verb_fail(EXIT_NOT_FOUND, "%s: not in a mailmount mount", command.dir)
                            : verb_fail(EXIT_OTHER, "%s: %s", command.dir, strerror(-r));
    for (int i = command.query; i < argc; i++) {
        if (i > command.query)
            str_append_char(&query, ' ');
        str_append_text(&query, argv[i]);
    }
    if (str_error(&query) < 0)
        return verb_fail(EXIT_USAGE, "search: the query is too long");
    const char *const request[] = {"search", command.format ? command.format : "lines",
                                   command.dir ? command.dir : "", command.dir ? inside : "",
                                   query.data};
    /* For a program the bytes must be those of the names. */
    bool raw = command.format || isatty(STDOUT_FILENO) != 1;
    return verb_call(mountpoint, ARRAY_LEN(request), request, raw ? VERB_RAW : 0);
}
