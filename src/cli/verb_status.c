#include <errno.h>
#include <string.h>

#include "control.h"
#include "daemons.h"
#include "mountpoint.h"
#include "verb.h"

#define OUTPUT_MAX ((size_t)256 << 20)

struct status_command {
    const char *dir; /* NULL: every mount */
    bool json;
};

static int parse(int argc, char **argv, struct status_command *ret)
{
    struct status_command command = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            command.json = true;
        else if (argv[i][0] == '-' || command.dir || !argv[i][0])
            return verb_fail(EXIT_USAGE, "usage: mailmount status [DIR] [--json]");
        else
            command.dir = argv[i];
    }
    *ret = command;
    return EXIT_OK;
}

static void trim_end(struct str *text)
{
    while (text->len > 0 && strchr(" \t\r\n", text->data[text->len - 1]))
        text->data[--text->len] = '\0';
}

/* The answer of one daemon behind those before it.  `optional`: it may be gone. */
static int append_status(const char *path, bool json, bool optional, struct str *out)
{
    const char *const argv[] = {"status", "--json"};
    CLEANUP_STR struct str text = STR_INIT(CONTROL_ANSWER_MAX);
    int code = 0;
    int r = control_call(path, json ? 2 : 1, argv, &text, &code);
    if (optional && (r == -ENOENT || r == -ECONNREFUSED))
        return EXIT_OK;
    if (r < 0)
        return verb_fail(EXIT_OTHER, "%s: the daemon does not answer: %s", path, strerror(-r));
    trim_end(&text);
    if (!json)
        verb_clean(&text);
    if (code != 0)
        return verb_fail((enum exit_code)code, "%s", text.len ? text.data : path);
    if (json && (text.len < 2 || text.data[0] != '{' || text.data[text.len - 1] != '}'))
        return verb_fail(EXIT_OTHER, "%s: the daemon's answer is not JSON", path);
    if (out->len > 0)
        str_append_text(out, json ? "," : "\n");
    str_append(out, text.data, text.len);
    if (!json)
        str_append_char(out, '\n');
    return EXIT_OK;
}

static int print(const struct status_command *command, struct str *out)
{
    CLEANUP_STR struct str all = STR_INIT(OUTPUT_MAX + 10);
    if (command->json)
        str_append_char(&all, '[');
    else if (out->len == 0)
        str_append_text(&all, "no mounts\n");
    if (out->len > 0)
        str_append(&all, out->data, out->len);
    if (command->json)
        str_append_text(&all, "]\n");
    if (str_error(out) < 0 || str_error(&all) < 0)
        return verb_fail(EXIT_OTHER, "the answers are too long");
    return verb_print(all.data, all.len);
}

static int status_of_dir(const struct status_command *command, struct str *out)
{
    CLEANUP_FREE char *path = NULL;
    int r = mountpoint_socket(command->dir, &path);
    if (r == -ENOTCONN)
        return verb_fail(EXIT_OTHER, "%s: its daemon is gone; see mailmount unmount", command->dir);
    if (r < 0)
        return verb_fail(EXIT_NOT_FOUND, "%s: not a mailmount mount point", command->dir);
    int code = append_status(path, command->json, false, out);
    return code != EXIT_OK ? code : print(command, out);
}

/* What one daemon cannot tell does not keep back what the others tell. */
static int status_of_all(const struct status_command *command, struct str *out)
{
    CLEANUP(daemon_list_release) struct daemon_list list = {0};
    int worst = EXIT_OK;
    if (daemon_list_find(&list) < 0)
        return verb_fail(EXIT_OTHER, "out of memory");
    for (size_t i = 0; i < list.n; i++) {
        int code = append_status(list.paths[i], command->json, true, out);
        worst = worst != EXIT_OK ? worst : code;
    }
    if (worst != EXIT_OK && out->len == 0 && !command->json)
        return worst;
    int code = print(command, out);
    return worst != EXIT_OK ? worst : code;
}

int verb_status(int argc, char **argv)
{
    CLEANUP_STR struct str out = STR_INIT(OUTPUT_MAX);
    struct status_command command;
    int code = parse(argc, argv, &command);
    if (code != EXIT_OK)
        return code;
    return command.dir ? status_of_dir(&command, &out) : status_of_all(&command, &out);
}
