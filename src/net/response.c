#include <errno.h>
#include <string.h>

#include "conn.h"
#include "flags.h"
#include "numbers.h"

/* Lines without use in answer to one command: more is an attack, or nonsense. */
#define NOISE_MAX 100000
/* LIST and STATUS lines in answer to one command. */
#define ENTRIES_MAX 1000000
/* FETCH responses above four for each message. */
#define FETCHES_SPARE 1000000

static int noise(struct imap *im)
{
    if (++im->untagged.noise > NOISE_MAX)
        return conn_nonsense(im, "the server talks without end");
    return 0;
}

static bool under_way(const struct imap *im, enum command_kind kind)
{
    for (const struct command *command = im->first; command; command = command->next)
        if (command->kind == kind)
            return true;
    return false;
}

/* ---- status responses: OK, NO, BAD, BYE */

/* A number in a response code; what is no number is ignored, one out of range is not. */
static int code_number(struct imap *im, struct span args, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < args.len && args.data[i] >= '0' && args.data[i] <= '9'; i++) {
        unsigned digit = (unsigned)(args.data[i] - '0');
        if (digit > max || value > (max - digit) / 10)
            return conn_nonsense(im, "the server sent a number out of range");
        value = value * 10 + digit;
    }
    if (i == 0)
        return 0;
    *ret = value;
    return 0;
}

/* Mod-sequences only grow (RFC 7162): a smaller one is old news. */
static int take_highestmodseq(struct imap *im, struct span args)
{
    uint64_t number = 0;
    int r = conn_leaving(im) ? 0 : code_number(im, args, INT64_MAX, &number);
    if (number > im->mailbox.highestmodseq)
        im->mailbox.highestmodseq = number;
    return r;
}

static int take_code(struct imap *im, bool ok, struct span code, struct span args)
{
    struct imap_mailbox *box = &im->mailbox;
    uint64_t number = 0;
    int r = 0;
    if (span_is(code, "UIDVALIDITY")) {
        im->leaving = false;
        r = code_number(im, args, UINT32_MAX, &number);
        box->uidvalidity = (uint32_t)number;
    } else if (span_is(code, "UIDNEXT")) {
        r = code_number(im, args, UINT32_MAX, &number);
        box->uidnext = (uint32_t)number;
    } else if (span_is(code, "HIGHESTMODSEQ")) {
        r = ok ? take_highestmodseq(im, args) : 0;
    } else if (span_is(code, "NOMODSEQ")) {
        box->highestmodseq = 0;
    } else if (span_is(code, "UIDNOTSTICKY")) {
        box->uid_not_sticky = true;
    } else if (span_is(code, "PERMANENTFLAGS")) {
        box->any_keyword = args.len > 0 && memmem(args.data, args.len, "\\*", 2);
    } else if (span_is(code, "READ-ONLY")) {
        box->read_only = true;
    } else if (span_is(code, "CAPABILITY")) {
        caps_parse(&im->caps, args);
    } else if (span_is(code, "CLOSED")) {
        conn_head_changed(im);
    } else if (span_is(code, "NOTIFICATIONOVERFLOW")) {
        im->overflow = true;
        im->notify = false; /* RFC 5465 5.8: as after NOTIFY NONE */
    }
    return r;
}

static void note_alert(struct imap *im, struct span code, struct span text)
{
    failure_fill(&im->alert, code, text, true);
    im->has_alert = im->alert.text[0] != '\0';
}

static int take_status(struct imap *im, bool ok)
{
    struct span code, args, text;
    split_text(reader_rest(&im->in), &code, &args, &text);
    if (span_is(code, "ALERT"))
        note_alert(im, code, text);
    int r = noise(im);
    return r < 0 ? r : take_code(im, ok, code, args);
}

static int take_bye(struct imap *im)
{
    struct span code, args, text;
    char clean[400];
    split_text(reader_rest(&im->in), &code, &args, &text);
    clean_text(text, clean, sizeof(clean));
    if (under_way(im, COMMAND_LOGOUT)) {
        im->bye = true;
        return noise(im);
    }
    failure_fill(&im->failure, code, text, true);
    return stream_fail(&im->stream, ECONNRESET, "the server said goodbye: %s%.*s%s%s",
                       code.len ? "[" : "", (int)(code.len < 64 ? code.len : 64), code.data,
                       code.len ? "] " : "", clean);
}

/* ---- tagged */

static struct command *take_command(struct imap *im, struct span tag)
{
    uint64_t number = 0;
    if (tag.len < 2 || tag.len > 11 || tag.data[0] != 'A')
        return NULL;
    for (size_t i = 1; i < tag.len; i++) {
        if (tag.data[i] < '0' || tag.data[i] > '9')
            return NULL;
        number = number * 10 + (unsigned)(tag.data[i] - '0');
    }
    /* Most often the first; RFC 9051 5.5 lets a server finish a later one before it. */
    for (struct command **link = &im->first; *link; link = &(*link)->next) {
        struct command *command = *link;
        if (command->tag != number)
            continue;
        *link = command->next;
        if (!command->next)
            im->last = link;
        return command;
    }
    return NULL;
}

static void mailbox_ended(struct imap *im)
{
    im->selected = false;
    im->mailbox = (struct imap_mailbox){0};
}

/* What the command's end means for the connection. */
static void command_ended(struct imap *im, enum command_kind kind, bool ok)
{
    switch (kind) {
    case COMMAND_SELECT:
        im->leaving = false;
        if (ok)
            im->selected = true;
        else
            mailbox_ended(im);
        if (!ok && !under_way(im, COMMAND_SELECT))
            im->will_select = false;
        break;
    case COMMAND_UNSELECT:
        mailbox_ended(im);
        break;
    case COMMAND_ENABLE:
        if (ok)
            im->enabled |= im->enabling;
        im->enabling = 0;
        break;
    case COMMAND_NOTIFY:
        if (ok)
            im->notify = true;
        break;
    default:
        break;
    }
}

static void fill_result(struct imap_result *result, int status, const struct imap_failure *said)
{
    memcpy(result->code, said->code, sizeof(result->code));
    memcpy(result->text, said->text, sizeof(result->text));
    result->backoff_ms = said->backoff_ms;
    result->status = status == -EIO ? status_of_code(result->code) : status;
    result->done = true;
}

/* A NO or BAD may be meant for all that we do here, not for this command alone. */
static void note_refusal(struct imap *im, const struct imap_failure *said)
{
    int status = status_of_code(said->code);
    if (said->backoff_ms == 0 && status != -EAGAIN && status != -EDQUOT)
        return;
    im->refusal = *said;
    im->has_refusal = true;
}

static int take_tagged(struct imap *im)
{
    struct reader *in = &im->in;
    struct span tag = reader_word(in, "");
    struct command *command = take_command(im, tag);
    /* Our DONE crossed a server's own end of IDLE and was taken for a command. */
    if (!command && im->done_sent && span_is(tag, "DONE"))
        return noise(im);
    if (!command)
        return conn_nonsense(im, "the server answers a command that was not given");
    reader_spaces(in);
    struct span word = reader_word(in, "");
    int status = span_is(word, "OK")    ? 0
                 : span_is(word, "NO")  ? -EIO
                 : span_is(word, "BAD") ? -EPROTO
                                        : 1;
    struct span code, args, text;
    struct imap_failure said;
    split_text(reader_rest(in), &code, &args, &text);
    failure_fill(&said, code, text, true);
    if (span_is(code, "ALERT"))
        note_alert(im, code, text);
    int r = status == 1
                ? conn_nonsense(im, "the server gives an answer that is neither OK, NO nor BAD")
                : take_code(im, status == 0, code, args);
    if (command->result)
        fill_result(command->result, r < 0 ? r : status, &said);
    if (r == 0 && status < 0)
        note_refusal(im, &said);
    command_ended(im, command->kind, status == 0 && r == 0);
    int dropped = gates_drop(im, command->tag);
    free(command);
    im->untagged = (struct untagged){0};
    conn_head_changed(im);
    return r < 0 ? r : dropped;
}

/* ---- mailboxes */

static unsigned attribute(struct span word)
{
    static const struct {
        const char *name;
        unsigned bit;
    } table[] = {
        {"\\Noselect", IMAP_ATTR_NOSELECT},
        {"\\NonExistent", IMAP_ATTR_NOSELECT},
        {"\\Noinferiors", IMAP_ATTR_NOINFERIORS},
        {"\\All", IMAP_ATTR_ALL},
        {"\\AllMail", IMAP_ATTR_ALL},
        {"\\Archive", IMAP_ATTR_ARCHIVE},
        {"\\Drafts", IMAP_ATTR_DRAFTS},
        {"\\Flagged", IMAP_ATTR_FLAGGED},
        {"\\Starred", IMAP_ATTR_FLAGGED},
        {"\\Junk", IMAP_ATTR_JUNK},
        {"\\Spam", IMAP_ATTR_JUNK},
        {"\\Sent", IMAP_ATTR_SENT},
        {"\\Trash", IMAP_ATTR_TRASH},
        {"\\Important", IMAP_ATTR_IMPORTANT},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (span_is(word, table[i].name))
            return table[i].bit;
    return 0;
}

static int take_attributes(struct imap *im, unsigned *ret)
{
    struct reader *in = &im->in;
    if (!reader_take(in, '('))
        return conn_nonsense(im, "the server sent a LIST without attributes");
    *ret = 0;
    for (;;) {
        reader_spaces(in);
        if (reader_take(in, ')'))
            return 0;
        struct span word = reader_word(in, "");
        if (word.len == 0)
            return conn_nonsense(im, "the server sent a LIST with broken attributes");
        *ret |= attribute(word);
    }
}

/* A delimiter: one quoted octet or NIL. */
static int take_delimiter(struct imap *im, char *ret)
{
    bool nil;
    int r = reader_string(&im->in, &im->name, &nil);
    if (r < 0)
        return r;
    if (!nil && im->name.len != 1)
        return conn_nonsense(im, "the server sent a hierarchy delimiter that is not one octet");
    *ret = nil ? '\0' : im->name.data[0];
    return 0;
}

/* `(attributes) "/" name`, then perhaps what RFC 5258 adds. */
static int take_list(struct imap *im)
{
    struct imap_list_entry entry = {0};
    if (++im->untagged.entries > ENTRIES_MAX)
        return conn_nonsense(im, "the server lists folders without end");
    int r = take_attributes(im, &entry.attrs);
    reader_spaces(&im->in);
    if (r == 0)
        r = take_delimiter(im, &entry.delimiter);
    reader_spaces(&im->in);
    bool nil = false; /* a folder may be called NIL: as an atom it is no string, but it happens */
    if (r == 0)
        r = reader_string(&im->in, &im->name, &nil);
    if (r == 0)
        r = reader_skip_rest(&im->in);
    if (r < 0)
        return r;
    entry.name = nil ? "NIL" : im->name.len ? im->name.data : "";
    im->news = true;
    if (*entry.name && im->events.list)
        im->events.list(im->events.ctx, &entry);
    return 0;
}

static int take_status_item(struct imap *im, struct imap_status *status)
{
    struct reader *in = &im->in;
    struct span name = reader_word(in, "");
    uint64_t value = 0, *number = NULL;
    uint32_t *small = NULL;
    unsigned item = 0;
    if (span_is(name, "MESSAGES"))
        small = &status->messages, item = IMAP_STATUS_MESSAGES;
    else if (span_is(name, "UIDNEXT"))
        small = &status->uidnext, item = IMAP_STATUS_UIDNEXT;
    else if (span_is(name, "UIDVALIDITY"))
        small = &status->uidvalidity, item = IMAP_STATUS_UIDVALIDITY;
    else if (span_is(name, "UNSEEN"))
        small = &status->unseen, item = IMAP_STATUS_UNSEEN;
    else if (span_is(name, "HIGHESTMODSEQ"))
        number = &status->highestmodseq, item = IMAP_STATUS_HIGHESTMODSEQ;
    if (name.len == 0)
        return conn_nonsense(im, "the server sent a broken STATUS");
    reader_spaces(in);
    char c = reader_peek(in);
    if (!item || c < '0' || c > '9')
        return reader_skip_value(in);
    int r = reader_number(in, small ? UINT32_MAX : INT64_MAX, &value);
    if (r < 0)
        return r;
    if (small)
        *small = (uint32_t)value;
    else
        *number = value;
    status->has |= item;
    return 0;
}

static int take_mailbox_status(struct imap *im)
{
    struct reader *in = &im->in;
    struct imap_status status = {0};
    if (++im->untagged.entries > ENTRIES_MAX)
        return conn_nonsense(im, "the server lists folders without end");
    int r = reader_string(in, &im->name, NULL);
    if (r < 0)
        return r;
    reader_spaces(in);
    if (!reader_take(in, '('))
        return conn_nonsense(im, "the server sent a broken STATUS");
    for (;;) {
        reader_spaces(in);
        if (reader_take(in, ')'))
            break;
        r = take_status_item(im, &status);
        if (r < 0)
            return r;
    }
    status.name = im->name.len ? im->name.data : "";
    im->news = true;
    if (im->events.status)
        im->events.status(im->events.ctx, &status);
    return 0;
}

/* `root (STORAGE used limit ...)` in units of 1024 octets, RFC 9208 */
static int take_quota(struct imap *im)
{
    struct reader *in = &im->in;
    int r = noise(im);
    if (r == 0)
        r = reader_string(in, &im->name, NULL);
    if (r < 0)
        return r;
    reader_spaces(in);
    if (!reader_take(in, '('))
        return reader_skip_rest(in);
    for (;;) {
        uint64_t used, limit;
        reader_spaces(in);
        struct span name = reader_word(in, "");
        if (name.len == 0)
            return 0;
        bool storage = span_is(name, "STORAGE");
        reader_spaces(in);
        r = reader_number(in, INT64_MAX / 1024, &used);
        if (r < 0)
            return r;
        reader_spaces(in);
        r = reader_number(in, INT64_MAX / 1024, &limit);
        if (r < 0)
            return r;
        struct imap_quota quota = {.used = used * 1024, .limit = limit * 1024};
        if (storage && im->events.quota)
            im->events.quota(im->events.ctx, &quota);
    }
}

/* `(("INBOX." ".") ...) NIL NIL`, RFC 2342 */
static int take_namespace(struct imap *im)
{
    struct reader *in = &im->in;
    int r = noise(im);
    if (r < 0 || !reader_take(in, '(') || !reader_take(in, '('))
        return r;
    r = reader_string(in, &im->keywords, NULL);
    if (r < 0)
        return r;
    reader_spaces(in);
    char delimiter = '\0';
    r = take_delimiter(im, &delimiter);
    if (r == 0)
        r = reader_skip_rest(in);
    if (r == 0 && im->events.namespace_prefix)
        im->events.namespace_prefix(im->events.ctx, im->keywords.len ? im->keywords.data : "",
                                    delimiter);
    return r;
}

/* ---- untagged */

static int take_exists(struct imap *im, uint32_t messages)
{
    /* A server that knows no CLOSED begins the answer to SELECT like this. */
    if (!im->enabled)
        im->leaving = false;
    im->mailbox.exists = messages;
    im->news = true;
    if (im->events.exists && !conn_leaving(im))
        im->events.exists(im->events.ctx, messages);
    return noise(im);
}

/* `* ENABLED QRESYNC X-FOO`, RFC 5161; QRESYNC includes CONDSTORE, RFC 7162 3.2.3. */
static int take_enabled(struct imap *im)
{
    for (;;) {
        struct span word = reader_word(&im->in, "");
        if (word.len == 0)
            return noise(im);
        if (span_is(word, "QRESYNC"))
            im->enabling |= IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE;
        else if (span_is(word, "CONDSTORE"))
            im->enabling |= IMAP_CAP_CONDSTORE;
        reader_spaces(&im->in);
    }
}

/* `* 5 EXISTS` and the like, at the number. */
static int take_numbered(struct imap *im)
{
    struct reader *in = &im->in;
    uint64_t number;
    int r = reader_number(in, UINT32_MAX, &number);
    if (r < 0)
        return r;
    reader_spaces(in);
    struct span word = reader_word(in, "");
    if (span_is(word, "FETCH")) {
        im->news = true;
        if (++im->untagged.fetches > 4 * (uint64_t)im->mailbox.exists + FETCHES_SPARE)
            return conn_nonsense(im, "the server sends FETCH data without end");
        reader_spaces(in);
        return fetch_read(im, (uint32_t)number);
    }
    if (span_is(word, "EXISTS"))
        return take_exists(im, (uint32_t)number);
    if (span_is(word, "EXPUNGE")) {
        if (conn_leaving(im))
            return noise(im);
        im->news = true;
        if (number == 0 || im->mailbox.exists == 0)
            return conn_nonsense(im, "the server expunges a message that is not there");
        im->mailbox.exists--;
        if (im->events.expunge)
            im->events.expunge(im->events.ctx, (uint32_t)number);
        return 0;
    }
    r = noise(im);
    return r < 0 ? r : reader_skip_rest(in);
}

static int take_untagged(struct imap *im)
{
    struct reader *in = &im->in;
    reader_spaces(in);
    char c = reader_peek(in);
    if (c >= '0' && c <= '9')
        return take_numbered(im);
    struct span word = reader_word(in, "");
    reader_spaces(in);
    if (span_is(word, "LIST") && (im->notify || im->listening || under_way(im, COMMAND_LIST)))
        return take_list(im);
    if (span_is(word, "STATUS"))
        return take_mailbox_status(im);
    if (span_is(word, "ENABLED") && under_way(im, COMMAND_ENABLE))
        return take_enabled(im);
    if (span_is(word, "OK") || span_is(word, "NO") || span_is(word, "BAD"))
        return take_status(im, span_is(word, "OK"));
    if (span_is(word, "BYE"))
        return take_bye(im);
    if (span_is(word, "QUOTA"))
        return take_quota(im);
    if (span_is(word, "NAMESPACE"))
        return take_namespace(im);
    if (span_is(word, "CAPABILITY"))
        caps_parse(&im->caps, reader_rest(in));
    int r = noise(im);
    return r < 0 ? r : reader_skip_rest(in);
}

int response_read(struct imap *im)
{
    struct span head;
    int r = reader_stream_peek(&im->in, 32, &head);
    if (r < 0)
        return r;
    if (numbers_begin(head))
        return numbers_read(im);
    r = reader_line(&im->in);
    if (r < 0)
        return r;
    if (reader_take(&im->in, '*'))
        return take_untagged(im);
    if (reader_take(&im->in, '+')) {
        if (im->first && im->first->kind == COMMAND_IDLE)
            im->continued = true;
        return gates_open(im) ? 0 : noise(im);
    }
    return take_tagged(im);
}
