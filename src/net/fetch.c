#include <errno.h>
#include <string.h>

#include "conn.h"
#include "date.h"
#include "flags.h"

enum section { SECTION_OTHER, SECTION_HEADER, SECTION_BODY };

static int broken(struct imap *im)
{
    return conn_nonsense(im, "the server sent a broken FETCH");
}

/* ---- the simple items */

static int take_flags(struct imap *im, struct imap_fetch *fetch)
{
    struct reader *in = &im->in;
    if (!reader_take(in, '('))
        return reader_skip_value(in); /* NIL */
    for (;;) {
        reader_spaces(in);
        if (reader_take(in, ')'))
            break;
        struct span atom = reader_word(in, "");
        if (atom.len == 0) /* quoted, or a control character: no flag */
            reader_take(in, reader_peek(in));
        if (reader_at_end(in))
            return broken(im);
        /* Beyond the cap keywords are dropped: flags.h. */
        if (atom.len > 0 && flags_add(&fetch->flags, &im->keywords, atom.data, atom.len) == -ENOMEM)
            return stream_fail(&im->stream, ENOMEM, "out of memory");
    }
    fetch->has |= IMAP_ITEM_FLAGS;
    return 0;
}

static int take_uid(struct imap *im, struct imap_fetch *fetch)
{
    uint64_t uid;
    int r = reader_number(&im->in, UINT32_MAX, &uid);
    if (r < 0)
        return r;
    if (uid == 0)
        return conn_nonsense(im, "the server sent the UID 0");
    fetch->uid = (uint32_t)uid;
    fetch->has |= IMAP_ITEM_UID;
    return 0;
}

static int take_size(struct imap *im, struct imap_fetch *fetch)
{
    int r = reader_number(&im->in, INT64_MAX, &fetch->size);
    if (r == 0)
        fetch->has |= IMAP_ITEM_SIZE;
    return r;
}

static int take_modseq(struct imap *im, struct imap_fetch *fetch)
{
    struct reader *in = &im->in;
    bool list = reader_take(in, '(');
    int r = reader_number(in, INT64_MAX, &fetch->modseq);
    if (r < 0)
        return r;
    if (list && !reader_take(in, ')'))
        return broken(im);
    fetch->has |= IMAP_ITEM_MODSEQ;
    return 0;
}

static int take_date(struct imap *im, struct imap_fetch *fetch)
{
    struct reader *in = &im->in;
    struct reader_value value;
    if (reader_peek(in) != '"')
        return reader_skip_value(in);
    int r = reader_value(in, &value);
    if (r < 0)
        return r;
    if (date_parse_internal(value.text.data, value.text.len, &fetch->internaldate, &fetch->zone) ==
        0)
        fetch->has |= IMAP_ITEM_INTERNALDATE;
    return 0;
}

/* ---- header and body */

static int take_header(struct imap *im, struct imap_fetch *fetch)
{
    struct reader_value value;
    struct str *header = &im->header;
    int r = reader_value(&im->in, &value);
    if (r < 0)
        return r;
    if (value.type == READER_LITERAL && value.size > IMAP_BODY_MAX)
        return conn_nonsense(im, "the server sent a literal that is too large");
    str_clear(header);
    struct span piece = value.text;
    do {
        if (value.type == READER_LITERAL) {
            r = reader_literal(&im->in, &piece);
            if (r < 0)
                return r;
        }
        size_t room = header->max - header->len;
        size_t n = piece.len < room ? piece.len : room;
        if (n > 0 && str_append(header, piece.data, n) < 0)
            return stream_fail(&im->stream, ENOMEM, "out of memory");
    } while (value.type == READER_LITERAL && piece.len > 0);
    fetch->header = header->len ? header->data : "";
    fetch->header_len = header->len;
    fetch->has |= IMAP_ITEM_HEADER;
    return value.type == READER_LITERAL ? reader_line_rest(&im->in) : 0;
}

static int take_body(struct imap *im, struct imap_fetch *fetch)
{
    const struct imap_events *events = &im->events;
    struct reader_value value;
    if (fetch->has & IMAP_ITEM_BODY)
        return broken(im);
    int r = reader_value(&im->in, &value);
    if (r < 0)
        return r;
    if (value.size > IMAP_BODY_MAX)
        return conn_nonsense(im, "the server sent a message that is too large");
    bool wanted = !conn_leaving(im);
    if (events->body_begin && wanted)
        events->body_begin(events->ctx, fetch, value.size);
    struct span piece = value.text;
    do {
        if (value.type == READER_LITERAL) {
            r = reader_literal(&im->in, &piece);
            if (r < 0)
                return r;
        }
        if (piece.len > 0 && events->body_data && wanted)
            events->body_data(events->ctx, piece.data, piece.len);
    } while (value.type == READER_LITERAL && piece.len > 0);
    fetch->body_len = value.size;
    fetch->has |= IMAP_ITEM_BODY;
    return value.type == READER_LITERAL ? reader_line_rest(&im->in) : 0;
}

/* Behind `[`: which section it is, and past its `]` and `<0>`. */
static int take_section(struct imap *im, bool body, enum section *ret)
{
    static const char fields[] = "HEADER.FIELDS";
    struct reader *in = &im->in;
    struct span rest = reader_rest(in);
    enum section section = SECTION_OTHER;
    if (body && rest.len > 0 && rest.data[0] == ']')
        section = SECTION_BODY;
    else if (body && rest.len > sizeof(fields) - 1 &&
             strncasecmp(rest.data, fields, sizeof(fields) - 1) == 0 &&
             (rest.data[sizeof(fields) - 1] == ' ' || rest.data[sizeof(fields) - 1] == '('))
        section = SECTION_HEADER;
    int r = reader_skip_section(in);
    if (r < 0)
        return r;
    if (reader_take(in, '<')) {
        uint64_t origin;
        r = reader_number(in, INT64_MAX, &origin);
        if (r < 0)
            return r;
        if (!reader_take(in, '>'))
            return broken(im);
        if (origin > 0)
            section = SECTION_OTHER;
    }
    *ret = section;
    return 0;
}

/* ---- the response */

static int take_item(struct imap *im, struct imap_fetch *fetch)
{
    struct reader *in = &im->in;
    struct span name = reader_word(in, "[");
    if (name.len == 0)
        return broken(im);
    if (reader_take(in, '[')) {
        enum section section;
        int r = take_section(im, span_is(name, "BODY") || span_is(name, "BODY.PEEK"), &section);
        if (r < 0)
            return r;
        reader_spaces(in);
        if (section == SECTION_HEADER)
            return take_header(im, fetch);
        return section == SECTION_BODY ? take_body(im, fetch) : reader_skip_value(in);
    }
    reader_spaces(in);
    if (span_is(name, "UID"))
        return take_uid(im, fetch);
    if (span_is(name, "FLAGS"))
        return take_flags(im, fetch);
    if (span_is(name, "INTERNALDATE"))
        return take_date(im, fetch);
    if (span_is(name, "RFC822.SIZE"))
        return take_size(im, fetch);
    if (span_is(name, "MODSEQ"))
        return take_modseq(im, fetch);
    return reader_skip_value(in);
}

int fetch_read(struct imap *im, uint32_t seq)
{
    struct reader *in = &im->in;
    struct imap_fetch fetch = {.seq = seq, .keywords = ""};
    str_clear(&im->keywords);
    if (seq == 0 || !reader_take(in, '('))
        return broken(im);
    for (;;) {
        reader_spaces(in);
        if (reader_take(in, ')'))
            break;
        int r = take_item(im, &fetch);
        if (r < 0)
            return r;
    }
    if (im->keywords.len > 0)
        fetch.keywords = im->keywords.data;
    if (im->events.fetch && !conn_leaving(im))
        im->events.fetch(im->events.ctx, &fetch);
    return 0;
}
