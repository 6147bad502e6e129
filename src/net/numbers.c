/*
 * These responses may be much longer than any line we would keep: 100,000 UIDs are 600 KB.  They
 * are read octet by octet; runs of consecutive numbers are handed on as one range.
 */
#include "numbers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* More ranges than this above the number of messages (or UIDs) that there are: nonsense. */
#define RANGES_SPARE 1000000

enum set_kind { SET_IGNORED, SET_UIDS, SET_VANISHED, SET_VANISHED_EARLIER };

struct run { /* of consecutive numbers, not yet handed on; first 0: none */
    enum set_kind kind;
    uint32_t first, last;
};

static struct span skip_star(struct span head)
{
    size_t n = 0;
    if (head.len > 0 && head.data[0] == '*')
        for (n = 1; n < head.len && head.data[n] == ' '; n++)
            ;
    return (struct span){head.data + n, n > 1 ? head.len - n : 0};
}

static bool begins(struct span text, const char *word)
{
    size_t n = strlen(word);
    if (text.len < n || strncasecmp(text.data, word, n) != 0)
        return false;
    return text.len == n || strchr(" \r\n", text.data[n]);
}

bool numbers_begin(struct span head)
{
    struct span text = skip_star(head);
    return begins(text, "SEARCH") || begins(text, "ESEARCH") || begins(text, "VANISHED");
}

/* ---- octets */

static int broken(struct imap *im)
{
    return conn_nonsense(im, "the server sent a broken number set");
}

static int skip_blanks(struct imap *im)
{
    int c;
    while ((c = reader_stream_look(&im->in)) == ' ')
        reader_stream_next(&im->in);
    return c;
}

/* A word of at most size-1 octets in upper case; a longer one is cut. */
static int take_word(struct imap *im, char *out, size_t size)
{
    size_t len = 0;
    int c;
    while ((c = reader_stream_look(&im->in)) > ' ' && c != '(') {
        if (len + 1 < size)
            out[len++] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        reader_stream_next(&im->in);
    }
    out[len] = '\0';
    return c < 0 ? c : 0;
}

/* A list in parentheses, or anything up to a blank. */
static int skip_value(struct imap *im)
{
    unsigned depth = 0;
    bool quoted = false;
    for (;;) {
        int c = reader_stream_look(&im->in);
        if (c < 0)
            return c;
        if (c == '\n')
            return depth || quoted ? broken(im) : 0;
        if (c == ' ' && depth == 0 && !quoted)
            return 0;
        reader_stream_next(&im->in);
        if (c == '\\' && quoted) {
            c = reader_stream_look(&im->in);
            if (c < 0 || c == '\n')
                return c < 0 ? c : broken(im);
            reader_stream_next(&im->in);
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == '(' && !quoted && ++depth > READER_NESTING_MAX) {
            return broken(im);
        } else if (c == ')' && !quoted && depth > 0 && --depth == 0) {
            return 0;
        }
    }
}

static int take_number(struct imap *im, uint32_t *ret)
{
    uint64_t value = 0;
    int c;
    bool any = false;
    while ((c = reader_stream_look(&im->in)) >= '0' && c <= '9') {
        value = value * 10 + (unsigned)(c - '0');
        if (value > UINT32_MAX)
            return conn_nonsense(im, "the server sent a UID out of range");
        any = true;
        reader_stream_next(&im->in);
    }
    if (c < 0)
        return c;
    if (!any)
        return broken(im);
    if (value == 0)
        return conn_nonsense(im, "the server sent the UID 0");
    *ret = (uint32_t)value;
    return 0;
}

/* ---- ranges */

static int hand_on(struct imap *im, struct run *run)
{
    struct imap_mailbox *box = &im->mailbox;
    if (run->first == 0)
        return 0;
    uint64_t most = box->exists > box->uidnext ? box->exists : box->uidnext;
    if (++im->untagged.ranges > most + RANGES_SPARE)
        return conn_nonsense(im, "the server sent more UIDs than there can be");
    if (run->kind == SET_UIDS && im->events.uids)
        im->events.uids(im->events.ctx, run->first, run->last);
    if (run->kind >= SET_VANISHED && conn_leaving(im))
        run->kind = SET_IGNORED;
    if (run->kind == SET_VANISHED) {
        uint64_t n = (uint64_t)run->last - run->first + 1;
        box->exists -= n < box->exists ? (uint32_t)n : box->exists;
    }
    if (run->kind >= SET_VANISHED) {
        im->news = true;
        if (im->events.vanished)
            im->events.vanished(im->events.ctx, run->first, run->last,
                                run->kind == SET_VANISHED_EARLIER);
    }
    run->first = 0;
    return 0;
}

static int add(struct imap *im, struct run *run, uint32_t first, uint32_t last)
{
    if (run->first && first == (uint64_t)run->last + 1) {
        run->last = last;
        return 0;
    }
    int r = hand_on(im, run);
    run->first = first;
    run->last = last;
    return r;
}

/* A sequence-set without `*`. */
static int take_set(struct imap *im, enum set_kind kind)
{
    struct run run = {.kind = kind};
    for (;;) {
        uint32_t first, last;
        int r = take_number(im, &first);
        if (r < 0)
            return r;
        last = first;
        int c = reader_stream_look(&im->in);
        if (c == ':') {
            reader_stream_next(&im->in);
            r = take_number(im, &last);
            if (r < 0)
                return r;
            c = reader_stream_look(&im->in);
        }
        if (c < 0)
            return c;
        r = add(im, &run, first < last ? first : last, first < last ? last : first);
        if (r < 0)
            return r;
        if (c != ',')
            return hand_on(im, &run);
        reader_stream_next(&im->in);
    }
}

/* ---- responses */

/* The search that the server works at.  What comes while a mailbox is being opened or left before
 * it is none of its. */
static const struct command *searching(const struct imap *im)
{
    for (const struct command *command = im->first; command; command = command->next) {
        if (command->kind == COMMAND_SEARCH)
            return command;
        if (command->kind == COMMAND_SELECT || command->kind == COMMAND_UNSELECT)
            break;
    }
    return NULL;
}

/* `1 2 3 (MODSEQ 4)` */
static int read_search(struct imap *im)
{
    struct run run = {.kind = searching(im) ? SET_UIDS : SET_IGNORED};
    for (;;) {
        uint32_t uid;
        int c = skip_blanks(im);
        int r;
        if (c == '\n')
            break;
        if (c == '(') {
            r = skip_value(im);
        } else {
            r = c < 0 ? c : take_number(im, &uid);
            if (r == 0)
                r = add(im, &run, uid, uid);
        }
        if (r < 0)
            return r;
    }
    int r = hand_on(im, &run);
    return r < 0 ? r : reader_stream_end(&im->in);
}

/* `(TAG "A1")`, RFC 4466 2.6.2: an answer to any other search than the one worked at would be
 * counted for the wrong mailbox. */
static int take_correlator(struct imap *im, const struct command *search)
{
    char text[32], expected[32];
    size_t len = 0;
    int c;
    while ((c = reader_stream_look(&im->in)) != ')') {
        if (c < 0 || c == '\n')
            return c < 0 ? c : broken(im);
        if (c != ' ' && c != '"' && c != '(' && len + 1 < sizeof(text))
            text[len++] = (char)c;
        reader_stream_next(&im->in);
    }
    reader_stream_next(&im->in);
    text[len] = '\0';
    if (!search)
        return 0;
    snprintf(expected, sizeof(expected), "TAGA%u", search->tag);
    return strcasecmp(text, expected) == 0
               ? 0
               : conn_nonsense(im, "the server answers a search that was not given");
}

/* `(TAG "A1") UID COUNT 3 ALL 1:3` */
static int read_esearch(struct imap *im)
{
    bool uids = false, first = true;
    for (;;) {
        char word[16];
        int r, c = skip_blanks(im);
        if (c == '\n')
            return reader_stream_end(&im->in);
        if (c == '(') {
            r = first ? take_correlator(im, searching(im)) : skip_value(im);
        } else {
            r = c < 0 ? c : take_word(im, word, sizeof(word));
            if (r == 0 && strcmp(word, "UID") == 0) {
                uids = true;
                continue;
            }
            c = r < 0 ? r : skip_blanks(im);
            if (c < 0)
                r = c;
            else if (strcmp(word, "ALL") == 0)
                r = take_set(im, uids && searching(im) ? SET_UIDS : SET_IGNORED);
            else
                r = skip_value(im);
        }
        if (r < 0)
            return r;
        first = false;
    }
}

/* `(EARLIER) 1:3,5`, RFC 7162 3.2.10 */
static int read_vanished(struct imap *im)
{
    enum set_kind kind = SET_VANISHED;
    int c = skip_blanks(im);
    if (c == '(') {
        kind = SET_VANISHED_EARLIER;
        int r = skip_value(im);
        c = r < 0 ? r : skip_blanks(im);
    }
    int r = c < 0 ? c : take_set(im, kind);
    if (r == 0)
        r = skip_blanks(im);
    return r < 0 ? r : reader_stream_end(&im->in);
}

int numbers_read(struct imap *im)
{
    char word[16];
    reader_stream_next(&im->in); /* the star */
    int c = skip_blanks(im);
    int r = c < 0 ? c : take_word(im, word, sizeof(word));
    if (r < 0)
        return r;
    if (strcmp(word, "SEARCH") == 0)
        return read_search(im);
    return strcmp(word, "ESEARCH") == 0 ? read_esearch(im) : read_vanished(im);
}
