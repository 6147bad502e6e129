/*
 * DESIGN.  A search may hold strings that cannot be quoted.  Where the server knows no
 * non-synchronising literals, the octets of one may not be sent before it has said `+` (RFC 3501
 * 4.3): a gate stands in `out` at that place.  Nothing behind the first gate is written; `+` opens
 * it; a tagged answer instead of it takes the rest of the command out of `out`, and what comes
 * behind goes on as if it had never been there.  So a pipeline may hold such commands, and costs a
 * round trip for each gate.
 */
#include <errno.h>
#include <string.h>

#include "conn.h"

#define QUOTED_MAX        1000 /* octets; some servers bound quoted strings more than literals */
#define LITERAL_MINUS_MAX 4096 /* RFC 7888 5 */

/* ---- gates */

size_t gates_limit(const struct imap *im)
{
    return im->gates ? im->gates->at : im->out.len;
}

bool gates_open(struct imap *im)
{
    struct gate *gate = im->gates;
    if (!gate || im->sent < gate->at)
        return false;
    im->gates = gate->next;
    free(gate);
    return true;
}

int gates_drop(struct imap *im, unsigned tag)
{
    struct gate *gate = im->gates;
    if (!gate || gate->tag != tag) /* only the command at the first gate can be answered */
        return 0;
    if (im->sent < gate->at)
        return conn_nonsense(im, "the server answers a command that it has not got yet");
    size_t from = gate->at, cut = gate->end - gate->at;
    memmove(im->out.data + from, im->out.data + gate->end, im->out.len - gate->end + 1);
    im->out.len -= cut;
    while (im->gates && im->gates->tag == tag) {
        gate = im->gates;
        im->gates = gate->next;
        free(gate);
    }
    for (gate = im->gates; gate; gate = gate->next) {
        gate->at -= cut;
        gate->end -= cut;
    }
    return 0;
}

static void free_gates(struct gate **gates)
{
    while (*gates) {
        struct gate *gate = *gates;
        *gates = gate->next;
        free(gate);
    }
}

void gates_release(struct imap *im)
{
    free_gates(&im->gates);
}

/* A gate of this command, `at` in its line for now. */
static int add_gate(struct gate ***last, size_t at)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    if (!gate)
        return -ENOMEM;
    gate->at = at;
    **last = gate;
    *last = &gate->next;
    return 0;
}

/* The command's gates, now that its place in `out` is known. */
static void place_gates(struct imap *im, struct gate *gates, size_t begin)
{
    struct gate **link = &im->gates;
    while (*link)
        link = &(*link)->next;
    *link = gates;
    for (; gates; gates = gates->next) {
        gates->tag = im->next_tag;
        gates->at += begin;
        gates->end = im->out.len;
    }
}

/* ---- the command */

static bool can_quote(const struct query_piece *piece)
{
    if (piece->len > QUOTED_MAX)
        return false;
    for (size_t i = 0; i < piece->len; i++)
        if (piece->data[i] < ' ' || piece->data[i] == 0x7f) /* also all beyond ASCII */
            return false;
    return true;
}

static void append_quoted(struct str *line, const struct query_piece *piece)
{
    str_append_char(line, '"');
    for (size_t i = 0; i < piece->len; i++) {
        if (piece->data[i] == '"' || piece->data[i] == '\\')
            str_append_char(line, '\\');
        str_append_char(line, piece->data[i]);
    }
    str_append_char(line, '"');
}

static int append_literal(const struct imap *im, struct str *line, const struct query_piece *piece,
                          struct gate ***last)
{
    bool free_of_gates =
        im->caps.bits & IMAP_CAP_LITERAL_PLUS ||
        (im->caps.bits & IMAP_CAP_LITERAL_MINUS && piece->len <= LITERAL_MINUS_MAX);
    str_printf_append(line, "{%zu%s}\r\n", piece->len, free_of_gates ? "+" : "");
    int r = free_of_gates ? 0 : add_gate(last, line->len);
    str_append(line, piece->data, piece->len);
    return r;
}

static int append_piece(const struct imap *im, struct str *line, const struct query_piece *piece,
                        struct gate ***last)
{
    if (memchr(piece->data, '\r', piece->len) || memchr(piece->data, '\n', piece->len) ||
        memchr(piece->data, '\0', piece->len))
        return -EINVAL;
    if (!piece->string)
        str_append(line, piece->data, piece->len);
    else if (can_quote(piece))
        append_quoted(line, piece);
    else
        return append_literal(im, line, piece, last);
    return 0;
}

int imap_send_search(struct imap *im, const struct query *query, struct imap_result *ret)
{
    CLEANUP_STR struct str line = STR_INIT((size_t)1 << 16);
    CLEANUP(free_gates) struct gate *gates = NULL;
    struct gate **last = &gates;
    int r = conn_begin(im, ret);
    if (r < 0)
        return r;
    str_append_text(&line, "UID SEARCH ");
    if (im->caps.bits & IMAP_CAP_ESEARCH)
        str_append_text(&line, "RETURN (ALL) ");
    if (query->utf8)
        str_append_text(&line, "CHARSET UTF-8 ");
    for (size_t i = 0; i < query->n; i++) {
        r = append_piece(im, &line, &query->pieces[i], &last);
        if (r < 0)
            return r;
    }
    r = conn_send_line(im, &line, COMMAND_SEARCH, false, ret);
    if (r == 0) /* the line and its CRLF are the end of `out` */
        place_gates(im, steal(&gates), im->out.len - line.len - 2);
    return r;
}
