/*
 * fuzz_names.c -- any header block gives a sound file name, any mailbox name a sound directory
 * name that leads back to it.  Input: one byte of INTERNALDATE's sign and size, then the block;
 * the same bytes again are a raw mailbox name and a directory name.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "date.h"
#include "mboxname.h"
#include "msgname.h"
#include "unicode.h"

#define CAP ((size_t)4 << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert.h is silent in a Release build. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    msgname_init();
    return 0;
}

static void check_part(const char *part, size_t len, size_t limit)
{
    CHECK(len <= limit);
    CHECK(len == 0 || (part[0] != '-' && part[0] != '.' && part[len - 1] != '-'));
}

static void check_name(const char *name)
{
    size_t len = strlen(name);
    CHECK(len >= 28 && len <= MSGNAME_MAX && utf8_valid(name, len));
    CHECK(strspn(name, "0123456789-") == 10 && name[10] == '_' && name[15] == '_');
    const char *from = name + 16, *subject = strchr(from, '_');
    CHECK(subject);
    check_part(from, (size_t)(subject - from), 40);
    subject++;
    const char *tail = name + len - strlen("~XXXXXX.eml");
    CHECK(tail >= subject && !strchr(subject, '_'));
    check_part(subject, (size_t)(tail - subject), 160);
    CHECK(tail[0] == '~' && strspn(tail + 1, "0123456789abcdefghjkmnpqrstvwxyz") == 6);
    CHECK(strcmp(tail + 7, ".eml") == 0);
    CHECK(strspn(name, "\x01\x02") == 0 && !strpbrk(name, "/\\\"'* \t\r\n\x1b\x7f"));
}

static void check_message(const char *block, size_t len, int64_t internaldate)
{
    CLEANUP_HEADER struct mail_header header = {0};
    struct msgname name, again;
    if (mail_header_parse(block, len, &header) < 0)
        return;
    CHECK(msgname_make(&header, internaldate, &name) == 0);
    check_name(name.name);
    CHECK(msgname_make(&header, internaldate, &again) == 0);
    CHECK(strcmp(name.name, again.name) == 0 && name.date == again.date);
    char twin[MSGNAME_MAX + 1];
    msgname_twin(name.name, UINT32_MAX, twin);
    CHECK(strlen(twin) == strlen(name.name) + 11);
}

static void check_mailbox(const char *raw, size_t len)
{
    CLEANUP_STR struct str name = STR_INIT(CAP), back = STR_INIT(CAP), alias = STR_INIT(CAP);
    int r = mboxname_show(raw, len, &name);
    if (r < 0) {
        CHECK(len > 65536);
        return;
    }
    CHECK(name.len > 0 && name.len <= MBOXNAME_MAX && utf8_valid(name.data, name.len));
    CHECK(name.data[0] != '.' && !strchr(name.data, '/') && strlen(name.data) == name.len);
    if (mboxname_raw(name.data, '\0', &back) == 0)
        CHECK(back.len == len && memcmp(back.data, raw, len) == 0);
    else
        CHECK(name.len >= 240 && name.data[name.len - 9] == '~');
    CHECK(mboxname_escape_first(name.data, &alias) == 0);
    CHECK(alias.len <= MBOXNAME_MAX && strcmp(alias.data, name.data) != 0);
    CHECK(alias.data[0] != '.' && utf8_valid(alias.data, alias.len));
}

/* What mkdir would be asked for: refused, or a name that is shown just so (or as its alias). */
static void check_directory(const char *text, size_t len)
{
    CLEANUP_FREE char *name = strndup(text, len);
    CLEANUP_STR struct str raw = STR_INIT(CAP), shown = STR_INIT(CAP), alias = STR_INIT(CAP);
    if (!name || mboxname_raw(name, '/', &raw) < 0)
        return;
    CHECK(!memchr(raw.data, '/', raw.len));
    CHECK(mboxname_show(raw.data, raw.len, &shown) == 0);
    CHECK(mboxname_escape_first(shown.data, &alias) == 0);
    CHECK(strcmp(shown.data, name) == 0 || strcmp(alias.data, name) == 0);
}

static void check_dates(const char *text, size_t len)
{
    int64_t seconds = 0, again = 0;
    int zone = 0;
    char formatted[DATE_INTERNAL_LEN + 1];
    if (date_parse_internal(text, len, &seconds, &zone) < 0)
        return;
    date_format_internal(seconds, zone, formatted);
    CHECK(date_parse_internal(formatted, DATE_INTERNAL_LEN, &again, &zone) == 0);
    CHECK(again == seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    int64_t internaldate = (int64_t)((uint64_t)data[0] << 56 | 0x6a000000);
    const char *text = (const char *)data + 1;
    size--;
    check_message(text, size, data[0] % 4 ? 0x6a000000 : internaldate);
    check_mailbox(text, size);
    check_directory(text, size);
    check_dates(text, size);
    return 0;
}
