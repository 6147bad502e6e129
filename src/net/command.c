#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conn.h"

#define LINE_MAX_OCTETS 8000
#define HEADER_FIELDS   "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)]"

/* ---- one command */

int conn_begin(struct imap *im, struct imap_result *result)
{
    *result = (struct imap_result){0};
    if (im->stream.error) {
        result->done = true;
        result->status = im->stream.error;
    }
    return im->stream.error;
}

int conn_send_line(struct imap *im, struct str *line, enum command_kind kind, bool examine,
                   struct imap_result *result)
{
    int r = str_error(line);
    if (r == -EMSGSIZE || line->len > LINE_MAX_OCTETS)
        return -EINVAL;
    if (r < 0)
        return r;
    size_t before = im->out.len;
    im->next_tag++;
    str_printf_append(&im->out, "A%u ", im->next_tag);
    str_append(&im->out, line->data, line->len);
    r = str_append(&im->out, "\r\n", 2);
    if (r == 0)
        r = conn_queue(im, kind, examine, result);
    if (r < 0) {
        im->out.len = before; /* as if nothing had happened */
        im->out.error = 0;
        return r == -EMSGSIZE ? -ENOBUFS : r;
    }
    return 0;
}

int conn_send(struct imap *im, const char *text, enum command_kind kind, struct imap_result *result)
{
    CLEANUP_STR struct str line = STR_INIT(2 * LINE_MAX_OCTETS);
    int r = conn_begin(im, result);
    if (r < 0)
        return r;
    str_append_text(&line, text);
    return conn_send_line(im, &line, kind, false, result);
}

/* A mailbox name, quoted; -EINVAL when it holds CR or LF.  Octets beyond ASCII need a literal by
 * the book; servers that gave us such a name take it quoted as well. */
static int append_name(struct imap *im, struct str *line, const char *raw)
{
    bool ascii = true;
    for (const char *c = raw; *c; c++) {
        if (*c == '\r' || *c == '\n')
            return -EINVAL;
        if ((unsigned char)*c >= 0x7f)
            ascii = false;
    }
    if (!ascii && im->caps.bits & (IMAP_CAP_LITERAL_PLUS | IMAP_CAP_LITERAL_MINUS)) {
        if (strlen(raw) > 4096)
            return -EINVAL;
        str_printf_append(line, "{%zu+}\r\n", strlen(raw));
        str_append_text(line, raw);
        return 0;
    }
    str_append_char(line, '"');
    for (const char *c = raw; *c; c++) {
        if (*c == '"' || *c == '\\')
            str_append_char(line, '\\');
        str_append_char(line, *c);
    }
    str_append_char(line, '"');
    return 0;
}

static const char *status_items(const struct imap *im)
{
    return im->caps.bits & IMAP_CAP_CONDSTORE
               ? "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)"
               : "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)";
}

/* ---- the commands */

int imap_send_noop(struct imap *im, struct imap_result *ret)
{
    return conn_send(im, "NOOP", COMMAND_PLAIN, ret);
}

int imap_send_namespace(struct imap *im, struct imap_result *ret)
{
    return conn_send(im, "NAMESPACE", COMMAND_PLAIN, ret);
}

int imap_send_quota(struct imap *im, struct imap_result *ret)
{
    return conn_send(im, "GETQUOTAROOT INBOX", COMMAND_PLAIN, ret);
}

int imap_send_logout(struct imap *im, struct imap_result *ret)
{
    return conn_send(im, "LOGOUT", COMMAND_LOGOUT, ret);
}

int imap_send_enable(struct imap *im, bool qresync, struct imap_result *ret)
{
    uint32_t needed = IMAP_CAP_ENABLE | (qresync ? IMAP_CAP_QRESYNC : IMAP_CAP_CONDSTORE);
    int r = conn_begin(im, ret);
    if (r < 0)
        return r;
    if (im->will_select)
        return -EINVAL; /* RFC 5161 3.1: before the first SELECT */
    if ((im->caps.bits & needed) != needed)
        return -ENOTSUP;
    return conn_send(im, qresync ? "ENABLE QRESYNC" : "ENABLE CONDSTORE", COMMAND_ENABLE, ret);
}

int imap_send_notify(struct imap *im, struct imap_result *ret)
{
    int r = conn_begin(im, ret);
    if (r < 0)
        return r;
    if (!(im->caps.bits & IMAP_CAP_NOTIFY))
        return -ENOTSUP;
    return conn_send(im,
                     "NOTIFY SET (PERSONAL (MessageNew MessageExpunge FlagChange MailboxName "
                     "SubscriptionChange))",
                     COMMAND_NOTIFY, ret);
}

int imap_send_search_all(struct imap *im, struct imap_result *ret)
{
    return conn_send(
        im, im->caps.bits & IMAP_CAP_ESEARCH ? "UID SEARCH RETURN (ALL) ALL" : "UID SEARCH ALL",
        COMMAND_SEARCH, ret);
}

int imap_send_list(struct imap *im, bool with_status, struct imap_result *ret)
{
    CLEANUP_STR struct str line = STR_INIT(2 * LINE_MAX_OCTETS);
    int r = conn_begin(im, ret);
    if (r < 0)
        return r;
    if (with_status && !(im->caps.bits & IMAP_CAP_LIST_STATUS))
        return -ENOTSUP;
    /* RFC 6154: without LIST-EXTENDED the attributes come, or not, by themselves. */
    bool use = im->caps.bits & IMAP_CAP_SPECIAL_USE &&
               im->caps.bits & (IMAP_CAP_LIST_EXTENDED | IMAP_CAP_LIST_STATUS);
    str_append_text(&line, "LIST \"\" \"*\"");
    if (use || with_status)
        str_printf_append(&line, " RETURN (%s%s%s%s)", use ? "SPECIAL-USE" : "",
                          use && with_status ? " " : "", with_status ? "STATUS " : "",
                          with_status ? status_items(im) : "");
    return conn_send_line(im, &line, COMMAND_LIST, false, ret);
}

int imap_send_status(struct imap *im, const char *raw, struct imap_result *ret)
{
    CLEANUP_STR struct str line = STR_INIT(2 * LINE_MAX_OCTETS);
    int r = conn_begin(im, ret);
    if (r < 0)
        return r;
    str_append_text(&line, "STATUS ");
    r = append_name(im, &line, raw);
    if (r < 0)
        return r;
    str_printf_append(&line, " %s", status_items(im));
    return conn_send_line(im, &line, COMMAND_PLAIN, false, ret);
}

/* `how` follows the name: "" or a parameter in parentheses with a blank before it. */
static int send_select(struct imap *im, const char *raw, bool examine, const char *how,
                       struct imap_result *ret)
{
    CLEANUP_STR struct str line = STR_INIT(2 * LINE_MAX_OCTETS);
    CLEANUP_STR struct str unselect = STR_INIT(16);
    int r = conn_begin(im, ret);
    if (r < 0)
        return r;
    str_append_text(&line, examine ? "EXAMINE " : "SELECT ");
    r = append_name(im, &line, raw);
    if (r < 0)
        return r;
    str_append_text(&line, how);
    if (str_error(&line) < 0 || line.len > LINE_MAX_OCTETS)
        return -EINVAL;
    if (im->will_select && im->caps.bits & IMAP_CAP_UNSELECT) {
        str_append_text(&unselect, "UNSELECT");
        r = conn_send_line(im, &unselect, COMMAND_UNSELECT, false, NULL);
        if (r < 0)
            return r;
        im->will_select = false;
    }
    r = conn_send_line(im, &line, COMMAND_SELECT, examine, ret);
    if (r == 0)
        im->will_select = true;
    return r;
}

int imap_send_select(struct imap *im, const char *raw, bool examine, struct imap_result *ret)
{
    return send_select(im, raw, examine, "", ret);
}

int imap_send_select_since(struct imap *im, const char *raw, bool examine, uint32_t uidvalidity,
                           uint64_t modseq, struct imap_result *ret)
{
    char how[64] = "";
    int r = conn_begin(im, ret);
    if (r < 0)
        return r;
    if (modseq > INT64_MAX || (modseq == 0) != (uidvalidity == 0))
        return -EINVAL;
    if (modseq > 0 && !(im->enabled & IMAP_CAP_QRESYNC))
        return -ENOTSUP;
    if (modseq > 0)
        snprintf(how, sizeof(how), " (QRESYNC (%" PRIu32 " %" PRIu64 "))", uidvalidity, modseq);
    else if (im->caps.bits & IMAP_CAP_CONDSTORE && !(im->enabled & IMAP_CAP_QRESYNC))
        snprintf(how, sizeof(how), " (CONDSTORE)");
    return send_select(im, raw, examine, how, ret);
}

static void append_item(struct str *line, bool wanted, const char *text)
{
    if (wanted)
        str_printf_append(line, "%s%s", line->data[line->len - 1] == '(' ? "" : " ", text);
}

/* `how` follows the items: "" or modifiers in parentheses with a blank before them. */
static int send_fetch(struct imap *im, const char *set, unsigned items, const char *how,
                      struct imap_result *ret)
{
    CLEANUP_STR struct str line = STR_INIT(2 * LINE_MAX_OCTETS);
    int r = conn_begin(im, ret);
    if (r < 0)
        return r;
    if (*set == '\0' || set[strspn(set, "0123456789:,*")] != '\0' || items == 0)
        return -EINVAL;
    if (str_printf_append(&line, "UID FETCH %s (", set) < 0)
        return -EINVAL;
    append_item(&line, items & IMAP_ITEM_UID, "UID");
    append_item(&line, items & IMAP_ITEM_FLAGS, "FLAGS");
    append_item(&line, items & IMAP_ITEM_INTERNALDATE, "INTERNALDATE");
    append_item(&line, items & IMAP_ITEM_SIZE, "RFC822.SIZE");
    append_item(&line, items & IMAP_ITEM_MODSEQ && im->caps.bits & IMAP_CAP_CONDSTORE, "MODSEQ");
    append_item(&line, items & IMAP_ITEM_HEADER, HEADER_FIELDS);
    append_item(&line, items & IMAP_ITEM_BODY, "BODY.PEEK[]");
    if (str_error(&line) == 0 && line.data[line.len - 1] == '(')
        return -EINVAL; /* MODSEQ alone, from a server without CONDSTORE */
    str_append_char(&line, ')');
    str_append_text(&line, how);
    return conn_send_line(im, &line, COMMAND_PLAIN, false, ret);
}

int imap_send_fetch(struct imap *im, const char *set, unsigned items, struct imap_result *ret)
{
    return send_fetch(im, set, items, "", ret);
}

int imap_send_fetch_since(struct imap *im, const char *set, unsigned items, uint64_t modseq,
                          bool vanished, struct imap_result *ret)
{
    char how[64];
    int r = conn_begin(im, ret);
    if (r < 0)
        return r;
    if (modseq == 0 || modseq > INT64_MAX)
        return -EINVAL;
    if (!(im->caps.bits & IMAP_CAP_CONDSTORE) || (vanished && !(im->enabled & IMAP_CAP_QRESYNC)))
        return -ENOTSUP;
    snprintf(how, sizeof(how), " (CHANGEDSINCE %" PRIu64 "%s)", modseq,
             vanished ? " VANISHED" : "");
    return send_fetch(im, set, items, how, ret);
}
