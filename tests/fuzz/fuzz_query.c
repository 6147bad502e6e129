/*
 * fuzz_query.c -- any bytes are a query that is refused with a reason, or a program that is sound:
 * balanced, of known keys and atoms, its strings without what could end them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query.h"
#include "unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert.h is silent in a Release build. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The parentheses of the text are its structure: no atom and no key has one. */
static void check_text(const struct query_piece *piece, int *depth)
{
    for (size_t i = 0; i < piece->len; i++) {
        unsigned char c = (unsigned char)piece->data[i];
        CHECK(c >= ' ' && c < 0x7f && !strchr("{%*\"\\]", c));
        *depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        CHECK(*depth >= 0);
    }
}

static bool ends_in_key(const struct query_piece *piece)
{
    static const char *const keys[] = {"FROM ", "TO ", "CC ", "BCC ", "SUBJECT ", "BODY ", "TEXT "};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        size_t n = strlen(keys[i]);
        if (piece->len >= n && memcmp(piece->data + piece->len - n, keys[i], n) == 0)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_QUERY struct query query = {0};
    struct errtext err = {""};
    /* A copy without a NUL behind it: reading beyond the end is seen. */
    CLEANUP_FREE char *text = malloc(size ? size : 1);
    if (!text)
        return 0;
    memcpy(text, size ? data : (const uint8_t *)"", size);
    int r = query_parse(text, size, 1774915200, &query, &err);
    if (r < 0) {
        CHECK(err.text[0]);
        return 0;
    }
    CHECK(query.n > 0 && !query.pieces[0].string);
    bool utf8 = false;
    int depth = 0;
    for (size_t i = 0; i < query.n; i++) {
        const struct query_piece *piece = &query.pieces[i];
        CHECK(piece->len > 0);
        if (!piece->string) {
            check_text(piece, &depth);
            continue;
        }
        CHECK(i > 0 && !query.pieces[i - 1].string && ends_in_key(&query.pieces[i - 1]));
        CHECK(utf8_valid(piece->data, piece->len));
        CHECK(!memchr(piece->data, '\r', piece->len) && !memchr(piece->data, '\n', piece->len));
        CHECK(!memchr(piece->data, '\0', piece->len));
        for (size_t k = 0; k < piece->len; k++)
            utf8 = utf8 || (piece->data[k] & 0x80);
    }
    CHECK(depth == 0 && utf8 == query.utf8);
    return 0;
}
