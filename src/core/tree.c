#include "tree.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "mboxname.h"

#define PATH_MAX_BYTES 8192
#define DEPTH_MAX      64

struct node {
    char *path;
    char *raw; /* NULL: a plain directory */
    char delimiter;
    unsigned attrs;
    bool chosen; /* by folders=; parents of chosen ones stay as plain directories */
    UT_hash_handle hh;
};

struct listed {
    char *raw;
    char delimiter;
    unsigned attrs;
};

struct tree {
    const struct settings *settings;
    char *prefix;
    struct listed *listed;
    size_t n_listed, alloc;
    struct node *nodes; /* by path */
    struct store_folder_entry *entries;
};

int tree_new(const struct settings *settings, const char *prefix, struct tree **ret)
{
    struct tree *tree = calloc(1, sizeof(*tree));
    if (!tree || !(tree->prefix = strdup(prefix))) {
        free(tree);
        return -ENOMEM;
    }
    tree->settings = settings;
    *ret = tree;
    return 0;
}

void tree_free(struct tree *tree)
{
    struct node *node, *next;
    if (!tree)
        return;
    for (size_t i = 0; i < tree->n_listed; i++)
        free(tree->listed[i].raw);
    HASH_ITER(hh, tree->nodes, node, next)
    {
        HASH_DEL(tree->nodes, node);
        free(node->path);
        free(node->raw);
        free(node);
    }
    free(tree->listed);
    free(tree->entries);
    free(tree->prefix);
    free(tree);
}

void tree_freep(struct tree **tree)
{
    tree_free(*tree);
}

int tree_add(struct tree *tree, const struct imap_list_entry *entry)
{
    if (tree->n_listed == TREE_MAX)
        return -EMSGSIZE;
    if (tree->n_listed == tree->alloc) {
        size_t alloc = tree->alloc ? tree->alloc * 2 : 64;
        struct listed *listed = reallocarray(tree->listed, alloc, sizeof(*listed));
        if (!listed)
            return -ENOMEM;
        tree->listed = listed;
        tree->alloc = alloc;
    }
    char *raw = strdup(entry->name);
    if (!raw)
        return -ENOMEM;
    tree->listed[tree->n_listed++] = (struct listed){raw, entry->delimiter, entry->attrs};
    return 0;
}

/* ---- paths */

/* Where a folder comes in the order in which paths are given away. */
static int rank(const struct tree *tree, const struct listed *listed)
{
    if (strcasecmp(listed->raw, "INBOX") == 0)
        return 0;
    return strncmp(listed->raw, tree->prefix, strlen(tree->prefix)) == 0 ? 1 : 2;
}

static const char *without_prefix(const struct tree *tree, const struct listed *listed)
{
    size_t n = strlen(tree->prefix);
    if (rank(tree, listed) == 1 && listed->raw[n])
        return listed->raw + n;
    return listed->raw;
}

/* The display path; INBOX is written so however the server writes it. */
static int show_path(const struct tree *tree, const struct listed *listed, struct str *out)
{
    if (rank(tree, listed) == 0)
        return str_append_text(out, "INBOX");
    const char *rest = without_prefix(tree, listed);
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        const char *end = listed->delimiter ? strchr(rest, listed->delimiter) : NULL;
        /* A trailing delimiter says that it is a directory ("Archive/"), nothing more. */
        if (end && !end[1])
            return mboxname_show(rest, (size_t)(end - rest), out);
        int r = mboxname_show(rest, end ? (size_t)(end - rest) : strlen(rest), out);
        if (r < 0 || !end)
            return r;
        r = str_append_char(out, '/');
        if (r < 0)
            return r;
        rest = end + 1;
    }
    return -EMSGSIZE;
}

/* A top-level directory that reads like INBOX but is another folder must not be mistaken for it:
 * servers know INBOX in any case of letters. */
static bool looks_like_inbox(const struct tree *tree, const struct listed *listed, const char *path)
{
    return rank(tree, listed) != 0 && strcasecmp(path, "INBOX") == 0;
}

static struct node *find(struct tree *tree, const char *path)
{
    struct node *node;
    HASH_FIND_STR(tree->nodes, path, node);
    return node;
}

static int escape_first(struct str *path)
{
    CLEANUP_STR struct str escaped = STR_INIT(PATH_MAX_BYTES);
    int r = mboxname_escape_first(path->data, &escaped);
    if (r < 0)
        return r;
    str_clear(path);
    return str_append(path, escaped.data, escaped.len);
}

static bool is_chosen(const struct settings *settings, const char *path)
{
    if (!settings->folders)
        return true;
    for (char **glob = settings->folders; *glob; glob++)
        if (mboxname_glob(*glob, path))
            return true;
    return false;
}

static int add_node(struct tree *tree, const char *path, const struct listed *listed)
{
    struct node *node = calloc(1, sizeof(*node));
    if (!node)
        return -ENOMEM;
    node->path = strdup(path);
    bool mailbox = listed && !(listed->attrs & IMAP_ATTR_NOSELECT);
    if (mailbox)
        node->raw = strdup(listed->raw);
    if (!node->path || (mailbox && !node->raw)) {
        free(node->path);
        free(node->raw);
        free(node);
        return -ENOMEM;
    }
    if (listed) {
        node->delimiter = listed->delimiter;
        node->attrs = listed->attrs;
        node->chosen = is_chosen(tree->settings, path);
    }
    HASH_ADD_KEYPTR(hh, tree->nodes, node->path, strlen(node->path), node);
    return 0;
}

static int place(struct tree *tree, const struct listed *listed)
{
    CLEANUP_STR struct str path = STR_INIT(PATH_MAX_BYTES);
    int r = show_path(tree, listed, &path);
    if (r < 0)
        return r;
    if (looks_like_inbox(tree, listed, path.data))
        r = escape_first(&path);
    struct node *other = r < 0 ? NULL : find(tree, path.data);
    if (other && other->raw && strcmp(other->raw, listed->raw) == 0)
        return 0; /* named twice */
    while (r == 0 && find(tree, path.data))
        r = escape_first(&path);
    return r < 0 ? r : add_node(tree, path.data, listed);
}

/* Makes every path that a chosen one runs through exist. */
static int add_parents(struct tree *tree)
{
    struct node *node, *next;
    HASH_ITER(hh, tree->nodes, node, next)
    {
        if (!node->chosen)
            continue;
        CLEANUP_FREE char *path = strdup(node->path);
        if (!path)
            return -ENOMEM;
        for (char *slash; (slash = strrchr(path, '/'));) {
            *slash = '\0';
            struct node *parent = find(tree, path);
            int r = parent ? 0 : add_node(tree, path, NULL);
            if (r < 0)
                return r;
            parent = find(tree, path);
            if (!parent->chosen && parent->raw) { /* not asked for: only a way to others */
                free(parent->raw);
                parent->raw = NULL;
            }
            parent->chosen = true;
        }
    }
    return 0;
}

/* ---- the finished tree */

static int by_path(const void *a, const void *b)
{
    const struct store_folder_entry *x = a, *y = b;
    return strcmp(x->path, y->path);
}

/* Whether a path exists when the URL's /FOLDER is the root: the folder, what is below it, and the
 * way to it. */
static bool in_root(const char *root, const char *path)
{
    if (!root)
        return true;
    size_t n = strlen(path), m = strlen(root);
    if (n < m)
        return strncmp(root, path, n) == 0 && root[n] == '/';
    return strncmp(path, root, m) == 0 && (!path[m] || path[m] == '/');
}

int tree_finish(struct tree *tree, const struct store_folder_entry **ret_entries, size_t *ret_n)
{
    for (int turn = 0; turn <= 2; turn++) {
        for (size_t i = 0; i < tree->n_listed; i++) {
            int r = rank(tree, &tree->listed[i]) == turn ? place(tree, &tree->listed[i]) : 0;
            if (r < 0)
                return r;
        }
    }
    int r = add_parents(tree);
    if (r < 0)
        return r;
    free(tree->entries);
    tree->entries = calloc(HASH_COUNT(tree->nodes) + 1, sizeof(*tree->entries));
    if (!tree->entries)
        return -ENOMEM;
    size_t n = 0;
    struct node *node, *next;
    HASH_ITER(hh, tree->nodes, node, next)
    {
        const char *root = tree->settings->folder;
        if (!node->chosen || !in_root(root, node->path))
            continue;
        bool above = root && strlen(node->path) < strlen(root);
        tree->entries[n++] = (struct store_folder_entry){node->path, above ? NULL : node->raw,
                                                         node->delimiter, node->attrs};
    }
    qsort(tree->entries, n, sizeof(*tree->entries), by_path);
    *ret_entries = tree->entries;
    *ret_n = n;
    return 0;
}
