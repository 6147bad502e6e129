#include "msgname.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <gmime/gmime.h>

#include "author.h"
#include "date.h"
#include "decode.h"
#include "slug.h"
#include "unicode.h"

#define FROM_MAX    40
#define SUBJECT_MAX 160
#define ID_LEN      6
#define DAY         86400

void msgname_init(void)
{
    g_mime_init();
}

static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80 || (text[i] == '=' && text[i + 1] == '?'))
            return false;
    return true;
}

/* A NUL-terminated raw value to a part of the name; what most mail has is not decoded at all. */
static ssize_t make_part(const char *raw, size_t len, size_t limit, char *out)
{
    if (is_plain(raw, len))
        return slug_make(raw, len, true, limit, out);
    CLEANUP_STR struct str text = STR_INIT(DECODE_MAX);
    int r = decode_text(raw, len, &text);
    return r < 0 ? r : slug_make(text.len ? text.data : "", text.len, false, limit, out);
}

/* Whether a display name says something once it is decoded; `=?utf-8?q??=` does not. */
static int has_text(const struct str *raw, bool *ret)
{
    static const char blanks[] = " \t\r\n";
    if (raw->len == 0 || is_plain(raw->data, raw->len)) {
        *ret = raw->len > 0 && raw->data[strspn(raw->data, blanks)];
        return 0;
    }
    CLEANUP_STR struct str text = STR_INIT(DECODE_MAX);
    int r = decode_text(raw->data, raw->len, &text);
    if (r == 0)
        *ret = text.len > 0 && text.data[strspn(text.data, blanks)];
    return r;
}

static void author_release(struct author *author)
{
    str_release(&author->display);
    str_release(&author->local);
}

static ssize_t make_from(const char *from, char *out)
{
    CLEANUP(author_release) struct author author;
    size_t len = strlen(from);
    str_init(&author.display, len);
    str_init(&author.local, len);
    bool named = false;
    int r = author_parse(from, &author);
    if (r == 0)
        r = has_text(&author.display, &named);
    if (r < 0)
        return r;
    const struct str *name = named ? &author.display : &author.local;
    return make_part(name->len ? name->data : "", name->len, FROM_MAX, out);
}

/* GLib's SHA-256 and not OpenSSL's, which belongs to the net layer: 0.6 us for the usual 160
 * bytes, so nothing is lost. */
static int hash_values(const struct mail_header *header, uint8_t hash[MSGHASH_SIZE])
{
    const char *values[] = {header->message_id, header->date, header->from, header->subject};
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    if (!sum)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (i > 0)
            g_checksum_update(sum, (const guchar *)"\n", 1);
        g_checksum_update(sum, (const guchar *)values[i], (gssize)strlen(values[i]));
    }
    gsize size = MSGHASH_SIZE;
    g_checksum_get_digest(sum, hash, &size);
    g_checksum_free(sum);
    return 0;
}

/* The first 30 bits, five a character, most significant first. */
static void format_id(const uint8_t hash[MSGHASH_SIZE], char out[ID_LEN + 1])
{
    static const char alphabet[32] = "0123456789abcdefghjkmnpqrstvwxyz"; /* no i l o u */
    uint32_t bits =
        (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
    for (int i = 0; i < ID_LEN; i++)
        out[i] = alphabet[bits >> (27 - 5 * i) & 31];
    out[ID_LEN] = '\0';
}

static int64_t choose_date(const char *value, int64_t internaldate)
{
    int64_t date;
    if (date_parse_header(value, &date) < 0 || date < 0)
        return internaldate;
    return internaldate < date - DAY ? internaldate : date;
}

int msgname_make(const struct mail_header *header, int64_t internaldate, struct msgname *ret)
{
    struct msgname made = {.date = choose_date(header->date, internaldate)};
    char from[FROM_MAX + 1], subject[SUBJECT_MAX + 1], id[ID_LEN + 1];
    ssize_t r = make_from(header->from, from);
    if (r >= 0)
        r = make_part(header->subject, strlen(header->subject), SUBJECT_MAX, subject);
    if (r >= 0)
        r = hash_values(header, made.hash);
    if (r < 0)
        return (int)r;
    format_id(made.hash, id);
    struct date_parts d;
    date_split(made.date, &d);
    snprintf(made.name, sizeof(made.name), "%04d-%02d-%02d_%02d%02d_%s_%s~%s.eml", d.year, d.month,
             d.day, d.hour, d.minute, from, subject, id);
    *ret = made;
    return 0;
}

void msgname_twin(const char *name, uint32_t uid, char out[MSGNAME_MAX + 1])
{
    static const char suffix[] = ".eml";
    char tail[sizeof(".4294967295.eml")];
    size_t len = strlen(name), n = sizeof(suffix) - 1;
    if (len >= n && strcmp(name + len - n, suffix) == 0)
        len -= n;
    int tail_len = snprintf(tail, sizeof(tail), ".%u%s", uid, suffix);
    len = utf8_cut(name, len, MSGNAME_MAX - (size_t)tail_len);
    memcpy(out, name, len);
    memcpy(out + len, tail, (size_t)tail_len + 1);
}
