#include "caps.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bit;
} capabilities[] = {
    {"NAMESPACE", IMAP_CAP_NAMESPACE},
    {"SPECIAL-USE", IMAP_CAP_SPECIAL_USE},
    {"LIST-EXTENDED", IMAP_CAP_LIST_EXTENDED},
    {"LIST-STATUS", IMAP_CAP_LIST_STATUS},
    {"ESEARCH", IMAP_CAP_ESEARCH},
    {"CONDSTORE", IMAP_CAP_CONDSTORE},
    {"QRESYNC", IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE},
    {"IDLE", IMAP_CAP_IDLE},
    {"NOTIFY", IMAP_CAP_NOTIFY},
    {"UNSELECT", IMAP_CAP_UNSELECT},
    {"QUOTA", IMAP_CAP_QUOTA},
    {"QUOTA=RES-STORAGE", IMAP_CAP_QUOTA},
    {"MOVE", IMAP_CAP_MOVE},
    {"UIDPLUS", IMAP_CAP_UIDPLUS},
    {"LITERAL+", IMAP_CAP_LITERAL_PLUS},
    {"LITERAL-", IMAP_CAP_LITERAL_MINUS},
    {"COMPRESS=DEFLATE", IMAP_CAP_COMPRESS},
    {"ENABLE", IMAP_CAP_ENABLE},
    {"OBJECTID", IMAP_CAP_OBJECTID},
    {"ID", IMAP_CAP_ID},
};

static const struct {
    const char *name, *wire;
    unsigned mechanism;
} mechanisms[] = {
    {"oauthbearer", "AUTH=OAUTHBEARER", MECH_OAUTHBEARER},
    {"xoauth2", "AUTH=XOAUTH2", MECH_XOAUTH2},
    {"scram-sha-256", "AUTH=SCRAM-SHA-256", MECH_SCRAM_SHA_256},
    {"scram-sha-1", "AUTH=SCRAM-SHA-1", MECH_SCRAM_SHA_1},
    {"plain", "AUTH=PLAIN", MECH_PLAIN},
    {"login", "AUTH=LOGIN", MECH_LOGIN},
    {"cram-md5", "AUTH=CRAM-MD5", MECH_CRAM_MD5},
};

static void add(struct caps *caps, struct span word)
{
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
        if (span_is(word, capabilities[i].name))
            caps->bits |= capabilities[i].bit;
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
        if (span_is(word, mechanisms[i].wire))
            caps->mechanisms |= mechanisms[i].mechanism;
    if (span_is(word, "STARTTLS"))
        caps->starttls = true;
    if (span_is(word, "LOGINDISABLED"))
        caps->login_disabled = true;
}

void caps_parse(struct caps *caps, struct span list)
{
    *caps = (struct caps){.known = true};
    const char *p = list.data, *end = list.data + list.len;
    while (p < end && *p != ']') {
        const char *begin = p;
        while (p < end && *p != ' ' && *p != ']')
            p++;
        add(caps, (struct span){begin, (size_t)(p - begin)});
        while (p < end && *p == ' ')
            p++;
    }
}

unsigned mechanism_by_name(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
        if (span_is(name, mechanisms[i].name))
            return mechanisms[i].mechanism;
    return 0;
}

const char *mechanism_name(unsigned mechanism)
{
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
        if (mechanisms[i].mechanism == mechanism)
            return mechanisms[i].name;
    return "";
}

void mechanism_names(unsigned set, char *out, size_t size)
{
    size_t len = 0;
    snprintf(out, size, "nothing");
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
        if (!(set & mechanisms[i].mechanism) || len + strlen(mechanisms[i].name) + 2 > size)
            continue;
        len += (size_t)snprintf(out + len, size - len, "%s%s", len ? " " : "", mechanisms[i].name);
    }
}
