#include "verbs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "optable.h"
#include "verb.h"

static int verb_help(int argc, char **argv);
static int verb_version(int argc, char **argv);

static const struct verb {
    const char *name;
    const char *args;
    const char *help;
    int (*run)(int argc, char **argv); /* NULL: not yet */
} verbs[] = {
    {"status", "[DIR] [--json]", "accounts, connections and folders", verb_status},
    {"search", "[DIR] QUERY...", "search on the server, print paths", verb_search},
    {"unmount", "DIR", "end a mount", verb_unmount},
    {"help", "", "this text", verb_help},
    {.name = "--help", .run = verb_help},
    {.name = "-h", .run = verb_help},
    {.name = "--version", .run = verb_version},
    {.name = "-V", .run = verb_version},
    {.name = "setup"},
    {.name = "login"},
    {.name = "sync"},
    {.name = "flag"},
    {.name = "pin"},
    {.name = "unpin"},
    {.name = "log"},
    {.name = "undo"},
    {.name = "retry"},
    {.name = "discard"},
    {.name = "allow-bulk"},
    {.name = "empty-trash"},
    {.name = "expunge"},
    {.name = "doctor"},
};

int verb_fail(enum exit_code code, const char *format, ...)
{
    va_list args;
    fputs("mailmount: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return (int)code;
}

int verb_print(const char *data, size_t n)
{
    if (fwrite(data, 1, n, stdout) != n || fflush(stdout) != 0)
        return verb_fail(EXIT_OTHER, "standard output: %s", strerror(errno));
    return EXIT_OK;
}

void verb_clean(struct str *text)
{
    for (size_t i = 0; i < text->len; i++) {
        unsigned char c = (unsigned char)text->data[i];
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
            text->data[i] = '?';
    }
}

static int verb_help(int argc, char **argv)
{
    CLEANUP_STR struct str out = STR_INIT(65536);
    struct option_usage option;
    char left[40];
    if (argc > 1)
        return verb_fail(EXIT_USAGE, "%s takes no argument", argv[0]);
    str_append_text(&out, "usage: " OPTIONS_USAGE "\n"
                          "       mailmount VERB [ARGS]\n\n"
                          "Mounts an IMAP account: mailboxes are directories, messages are files.\n"
                          "ACCOUNT is a name from the configuration, an address of it, or a URL:\n"
                          "imaps://USER@HOST[:PORT][/FOLDER], imap://... (STARTTLS).\n\n"
                          "  -f                    stay in the foreground\n"
                          "  -d                    the same, and log everything\n\n"
                          "Options (-o, and keys of the configuration):\n");
    for (unsigned n = 0; option_describe(n, &option); n++) {
        snprintf(left, sizeof(left), "%s%s%s", option.key, option.arg ? "=" : "",
                 option.arg ? option.arg : "");
        str_printf_append(&out, "  %-21s %s\n", left, option.help);
    }
    str_append_text(&out, "  setuid=USER           for /etc/fstab: mount as this user\n"
                          "and those of FUSE, such as allow_other.\n\nVerbs:\n");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (!verbs[i].help)
            continue;
        snprintf(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].args);
        str_printf_append(&out, "  %-21s %s\n", left, verbs[i].help);
    }
    str_append_text(&out, "\nmailmount(1) and mailmount.conf(5) say more.\n");
    if (str_error(&out) < 0)
        return verb_fail(EXIT_OTHER, "out of memory");
    return verb_print(out.data, out.len);
}

static int verb_version(int argc, char **argv)
{
    static const char text[] = "mailmount " MAILMOUNT_VERSION "\n";
    if (argc > 1)
        return verb_fail(EXIT_USAGE, "%s takes no argument", argv[0]);
    return verb_print(text, strlen(text));
}

static const struct verb *find(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, word) == 0)
            return &verbs[i];
    return NULL;
}

bool verb_known(const char *word)
{
    return find(word) != NULL;
}

int verb_run(int argc, char **argv)
{
    const struct verb *verb = argc > 0 ? find(argv[0]) : NULL;
    if (!verb)
        return verb_fail(EXIT_USAGE, "no such verb; see mailmount --help");
    if (!verb->run)
        return verb_fail(EXIT_USAGE, "%s: not supported yet in this version", verb->name);
    return verb->run(argc, argv);
}
