/*
 * DESIGN.  IMAP writes OR and NOT in front of what they join, so a query becomes a tree first and a
 * program then.  The tree's nodes and their texts live in the parser; every list here has a cap,
 * and recursion is bounded by QUERY_DEPTH_MAX while reading and by QUERY_TERMS_MAX while writing.
 */
#include "query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "unicode.h"

#define NODES_MAX   (4 * QUERY_TERMS_MAX)
#define PROGRAM_MAX (8 * QUERY_TEXT_MAX)

enum node_kind { NODE_TERM, NODE_NOT, NODE_AND, NODE_OR };

struct node {
    enum node_kind kind;
    unsigned left, right; /* nodes; of NODE_NOT only the left */
    size_t key, key_len;  /* of NODE_TERM: in texts */
    size_t value, value_len;
    bool string; /* a string follows the key */
};

struct parser {
    const char *text;
    size_t len, pos;
    int64_t today;
    unsigned depth, terms;
    struct node nodes[NODES_MAX];
    unsigned n;
    struct str texts;
    struct errtext *err;
};

/* ---- errors */

/* `at` in bytes; told in characters. */
static int fail(struct parser *p, size_t at, const char *what)
{
    unsigned long characters = 1;
    for (size_t i = 0; i < at; i++)
        characters += ((unsigned char)p->text[i] & 0xc0) != 0x80;
    return err_set(p->err, EINVAL, "character %lu of the query: %s", characters, what);
}

static int fail_at(struct parser *p, size_t at, size_t len, const char *what)
{
    char text[400];
    size_t shown = utf8_cut(p->text + at, len, 60);
    snprintf(text, sizeof(text), "\"%.*s\" is %s", (int)shown, p->text + at, what);
    return fail(p, at, text);
}

/* ---- characters */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct parser *p)
{
    while (p->pos < p->len && is_blank(p->text[p->pos]))
        p->pos++;
}

static bool ends_word(const struct parser *p, size_t at)
{
    return at == p->len || is_blank(p->text[at]) || p->text[at] == '(' || p->text[at] == ')';
}

static size_t word_end(const struct parser *p)
{
    size_t end = p->pos;
    while (!ends_word(p, end) && p->text[end] != '"')
        end++;
    return end;
}

/* A word of the grammar, by itself. */
static bool at_word(struct parser *p, const char *word)
{
    size_t n = strlen(word);
    skip_blanks(p);
    return p->len - p->pos >= n && strncasecmp(p->text + p->pos, word, n) == 0 &&
           ends_word(p, p->pos + n);
}

static bool take_word(struct parser *p, const char *word)
{
    if (!at_word(p, word))
        return false;
    p->pos += strlen(word);
    return true;
}

/* ---- the tree */

static int add_node(struct parser *p, const struct node *node, unsigned *ret)
{
    if (p->n == NODES_MAX)
        return fail(p, p->pos, "there is too much in this query");
    p->nodes[p->n] = *node;
    *ret = p->n++;
    return 0;
}

/* `phrase"`, behind the opening quote: its bytes go into texts. */
static int take_phrase(struct parser *p)
{
    size_t begin = p->pos - 1;
    for (; p->pos < p->len && p->text[p->pos] != '"'; p->pos++) {
        if (p->text[p->pos] == '\\' && p->pos + 1 < p->len &&
            (p->text[p->pos + 1] == '"' || p->text[p->pos + 1] == '\\'))
            p->pos++;
        if (p->text[p->pos] == '\r' || p->text[p->pos] == '\n')
            return fail(p, p->pos, "a line cannot end within quotes");
        str_append_char(&p->texts, p->text[p->pos]);
    }
    if (p->pos == p->len)
        return fail(p, begin, "the quote is never closed");
    p->pos++;
    if (!ends_word(p, p->pos))
        return fail(p, p->pos, "a blank is missing behind the quote");
    return 0;
}

/* A word or a phrase, whose bytes are at texts[*ret_at..]. */
static int take_value(struct parser *p, size_t *ret_at, size_t *ret_len)
{
    size_t at = p->texts.len;
    if (p->pos < p->len && p->text[p->pos] == '"') {
        p->pos++;
        int r = take_phrase(p);
        if (r < 0)
            return r;
    } else {
        size_t end = word_end(p);
        if (end < p->len && p->text[end] == '"')
            return fail(p, end, "a quote within a word; put the whole of it in quotes");
        str_append(&p->texts, p->text + p->pos, end - p->pos);
        p->pos = end;
    }
    *ret_at = at;
    *ret_len = p->texts.len - at;
    return str_error(&p->texts);
}

/* The field that the next word begins with: letters and a colon.  NULL: none. */
static int take_field(struct parser *p, const struct query_field **ret)
{
    size_t end = p->pos;
    *ret = NULL;
    while (end < p->len && ((p->text[end] | 0x20) >= 'a' && (p->text[end] | 0x20) <= 'z'))
        end++;
    if (end == p->pos || end == p->len || p->text[end] != ':')
        return 0;
    *ret = query_field(p->text + p->pos, end - p->pos);
    if (!*ret)
        return fail_at(p, p->pos, end + 1 - p->pos, "no field; a word with a colon goes in quotes");
    p->pos = end + 1;
    return 0;
}

static int take_term(struct parser *p, unsigned *ret)
{
    const struct query_field *field;
    struct node node = {.kind = NODE_TERM, .key = p->texts.len};
    size_t begin = p->pos;
    if (++p->terms > QUERY_TERMS_MAX)
        return fail(p, p->pos, "there are too many terms in this query");
    int r = take_field(p, &field);
    if (r < 0)
        return r;
    const char *flag = field ? NULL : query_flag_word(p->text + p->pos, word_end(p) - p->pos);
    if (flag && ends_word(p, word_end(p))) {
        p->pos = word_end(p);
        node.key_len = strlen(flag);
        str_append_text(&p->texts, flag);
        return add_node(p, &node, ret);
    }
    bool string = !field || field->value == QUERY_STRING;
    size_t value_begin = p->pos;
    if (string) {
        const char *key = field ? field->key : "TEXT ";
        str_append_text(&p->texts, key);
        node.key_len = strlen(key);
    }
    r = take_value(p, &node.value, &node.value_len);
    if (r < 0)
        return r;
    if (node.value_len == 0)
        return field ? fail_at(p, begin, value_begin - begin, "followed by nothing")
                     : fail(p, begin, "there is nothing between the quotes");
    node.string = string;
    if (!string) {
        CLEANUP_STR struct str key = STR_INIT(PROGRAM_MAX);
        const char *wrong =
            query_term(field, p->texts.data + node.value, node.value_len, p->today, &key);
        if (wrong)
            return fail_at(p, value_begin, p->pos - value_begin, wrong);
        node.key = p->texts.len;
        node.key_len = key.len;
        str_append(&p->texts, key.data, key.len);
        if (str_error(&key) < 0)
            return str_error(&key);
    }
    r = str_error(&p->texts);
    return r < 0 ? r : add_node(p, &node, ret);
}

static int take_query(struct parser *p, unsigned *ret);

static int take_group(struct parser *p, unsigned *ret)
{
    size_t begin = p->pos++;
    int r = take_query(p, ret);
    if (r < 0)
        return r;
    skip_blanks(p);
    if (p->pos == p->len)
        return fail(p, begin, "the parenthesis is never closed");
    p->pos++; /* take_query stops at nothing but an end and a `)` */
    return 0;
}

/* `-` before something. */
static bool take_minus(struct parser *p)
{
    bool minus = p->text[p->pos] == '-' &&
                 (!ends_word(p, p->pos + 1) || (p->pos + 1 < p->len && p->text[p->pos + 1] == '('));
    p->pos += minus;
    return minus;
}

static int take_one(struct parser *p, unsigned *ret)
{
    unsigned inner;
    size_t begin;
    skip_blanks(p);
    begin = p->pos;
    if (p->pos == p->len)
        return fail(p, begin, "something is missing at the end");
    if (p->text[p->pos] == ')')
        return fail(p, begin, "something is missing before the parenthesis");
    if (at_word(p, "or") || at_word(p, "and"))
        return fail(p, begin, "something is missing before it; as text it goes in quotes");
    if (p->depth == QUERY_DEPTH_MAX)
        return fail(p, begin, "this is nested too deeply");
    bool negated = take_word(p, "not") || take_minus(p);
    p->depth++;
    int r = negated                  ? take_one(p, &inner)
            : p->text[p->pos] == '(' ? take_group(p, ret)
                                     : take_term(p, ret);
    p->depth--;
    if (r < 0 || !negated)
        return r;
    if (p->nodes[inner].kind == NODE_NOT) { /* not not: servers need not learn of it */
        *ret = p->nodes[inner].left;
        return 0;
    }
    return add_node(p, &(struct node){.kind = NODE_NOT, .left = inner}, ret);
}

static bool at_end(struct parser *p)
{
    skip_blanks(p);
    return p->pos == p->len || p->text[p->pos] == ')';
}

static int take_all(struct parser *p, unsigned *ret)
{
    int r = take_one(p, ret);
    while (r == 0 && !at_end(p) && !at_word(p, "or")) {
        struct node node = {.kind = NODE_AND, .left = *ret};
        bool word = take_word(p, "and");
        (void)word; /* with it or without */
        r = take_one(p, &node.right);
        if (r == 0)
            r = add_node(p, &node, ret);
    }
    return r;
}

static int take_query(struct parser *p, unsigned *ret)
{
    int r = take_all(p, ret);
    while (r == 0 && take_word(p, "or")) {
        struct node node = {.kind = NODE_OR, .left = *ret};
        r = take_all(p, &node.right);
        if (r == 0)
            r = add_node(p, &node, ret);
    }
    return r;
}

/* ---- the program */

static int add_piece(struct query *query, const char *data, size_t len, bool string)
{
    if (query->n == 0 || string || query->pieces[query->n - 1].string) {
        struct query_piece *grown =
            reallocarray(query->pieces, query->n + 1, sizeof(*query->pieces));
        if (!grown)
            return -ENOMEM;
        query->pieces = grown;
        query->pieces[query->n++] = (struct query_piece){.string = string};
    }
    query->pieces[query->n - 1].len += len;
    return str_append(&query->program, data, len);
}

static int add_text(struct query *query, const char *text)
{
    return add_piece(query, text, strlen(text), false);
}

static int write_node(const struct parser *p, unsigned index, struct query *query);

/* One search-key. */
static int write_key(const struct parser *p, unsigned index, struct query *query)
{
    bool many = p->nodes[index].kind == NODE_AND;
    int r = many ? add_text(query, "(") : 0;
    if (r == 0)
        r = write_node(p, index, query);
    return r < 0 || !many ? r : add_text(query, ")");
}

static int write_term(const struct parser *p, const struct node *node, struct query *query)
{
    const char *value = p->texts.data + node->value;
    int r = add_piece(query, p->texts.data + node->key, node->key_len, false);
    if (r < 0 || !node->string)
        return r;
    for (size_t i = 0; i < node->value_len; i++)
        if ((unsigned char)value[i] >= 0x80)
            query->utf8 = true;
    return add_piece(query, value, node->value_len, true);
}

static int write_node(const struct parser *p, unsigned index, struct query *query)
{
    const struct node *node = &p->nodes[index];
    int r = 0;
    switch (node->kind) {
    case NODE_TERM:
        return write_term(p, node, query);
    case NODE_NOT:
        r = add_text(query, "NOT ");
        return r < 0 ? r : write_key(p, node->left, query);
    case NODE_AND:
        r = write_node(p, node->left, query);
        if (r == 0)
            r = add_text(query, " ");
        return r < 0 ? r : write_node(p, node->right, query);
    case NODE_OR:
        r = add_text(query, "OR ");
        if (r == 0)
            r = write_key(p, node->left, query);
        if (r == 0)
            r = add_text(query, " ");
        return r < 0 ? r : write_key(p, node->right, query);
    }
    return r;
}

void query_release(struct query *query)
{
    free(query->pieces);
    str_release(&query->program);
    *query = (struct query){0};
}

/* Everything that is sound outside of quotes is sound here; the grammar tells the rest. */
static int check_characters(struct parser *p)
{
    size_t n;
    uint32_t c;
    if (p->len > QUERY_TEXT_MAX)
        return err_set(p->err, EINVAL, "the query has %zu bytes; more than %d are too many", p->len,
                       QUERY_TEXT_MAX);
    for (size_t i = 0; i < p->len; i += n) {
        n = utf8_decode(p->text + i, p->len - i, &c);
        if (n == 0)
            return fail(p, i, "this is no UTF-8");
        if ((c < ' ' && !is_blank((char)c)) || (c >= 0x7f && c < 0xa0))
            return fail(p, i, "a control character");
    }
    return 0;
}

int query_parse(const char *text, size_t len, int64_t today, struct query *ret, struct errtext *err)
{
    CLEANUP_FREE struct parser *p = calloc(1, sizeof(*p));
    CLEANUP_QUERY struct query query = {.program = STR_INIT(PROGRAM_MAX)};
    unsigned top = 0;
    if (!p)
        return -ENOMEM;
    p->text = text;
    p->len = len;
    p->today = today;
    p->err = err;
    str_init(&p->texts, PROGRAM_MAX);
    int r = check_characters(p);
    if (r == 0 && at_end(p) && p->pos == p->len)
        r = err_set(err, EINVAL, "the query is empty");
    if (r == 0)
        r = take_query(p, &top);
    if (r == 0 && p->pos < p->len)
        r = fail(p, p->pos, "there is no parenthesis to close");
    if (r == 0)
        r = write_node(p, top, &query);
    str_release(&p->texts);
    if (r < 0)
        return r;
    const char *data = query.program.data;
    for (size_t i = 0; i < query.n; i++) {
        query.pieces[i].data = data;
        data += query.pieces[i].len;
    }
    *ret = query;
    query = (struct query){0};
    return 0;
}
