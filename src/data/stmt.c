/*
 * stmt.c -- the schema, and every statement with the plan that it must have.
 *
 * DESIGN.  The tree needs five ways to a message: by inode (the key), by (folder, name), by
 * (folder, UID), a folder in inode order, and none that scans.  Names are found by a 64-bit hash
 * and compared; an index of the texts would be five times as large.  INDEXED BY pins each choice:
 * without it the planner takes (folder, uid) for a name, because that index is unique, and scans
 * the folder; ANALYZE is never run, so plans do not move.  What the listing does not show
 * (Message-ID, header hash) is in a second table, so that a scan reads fewer pages.
 *
 * folder.purge: 1 when its messages belong to another mailbox and are to go, 2 when the folder
 * itself goes; then it has no path, no name and no parent, so nothing finds it but its purge.
 * folder.messages and folder.cached are counts, kept in the transactions that change them.
 * pin.id is a folder's inode (its messages from `since` on) or a message's own; the table is small,
 * and replaced as a whole.
 */
#include "store_db.h"

const char store_schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE folder("
    "  id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name TEXT, path TEXT, raw TEXT,"
    "  delimiter INTEGER NOT NULL, attrs INTEGER NOT NULL, listed INTEGER NOT NULL DEFAULT 0,"
    "  uidvalidity INTEGER NOT NULL DEFAULT 0, uidnext INTEGER NOT NULL DEFAULT 0,"
    "  present INTEGER NOT NULL DEFAULT 0, modseq INTEGER NOT NULL DEFAULT 0,"
    "  mtime INTEGER NOT NULL, synced INTEGER NOT NULL DEFAULT 0,"
    "  messages INTEGER NOT NULL DEFAULT 0, cached INTEGER NOT NULL DEFAULT 0,"
    "  missing INTEGER NOT NULL DEFAULT 0, purge INTEGER NOT NULL DEFAULT 0);"
    "CREATE UNIQUE INDEX folder_name ON folder(parent, name);"
    "CREATE INDEX folder_child ON folder(parent);" /* and id, as in every index */
    "CREATE INDEX folder_raw ON folder(raw);"
    "CREATE INDEX folder_purge ON folder(purge) WHERE purge > 0;"
    "CREATE TABLE message("
    "  id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, uid INTEGER NOT NULL,"
    "  flags INTEGER NOT NULL, size INTEGER NOT NULL, exact INTEGER NOT NULL,"
    "  internaldate INTEGER NOT NULL, zone INTEGER NOT NULL, date INTEGER NOT NULL,"
    "  ctime INTEGER NOT NULL, name TEXT NOT NULL, name_hash INTEGER NOT NULL,"
    "  keywords TEXT NOT NULL);"
    "CREATE INDEX message_folder ON message(folder);" /* and id */
    "CREATE INDEX message_name ON message(folder, name_hash);"
    "CREATE UNIQUE INDEX message_uid ON message(folder, uid);"
    "CREATE TABLE header("
    "  id INTEGER PRIMARY KEY, message_id TEXT NOT NULL, hash BLOB NOT NULL);"
    "CREATE TABLE body("
    "  id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL,"
    "  length INTEGER NOT NULL, crc INTEGER NOT NULL);"
    "CREATE INDEX body_segment ON body(segment);"
    "CREATE TABLE segment("
    "  id INTEGER PRIMARY KEY, live INTEGER NOT NULL, used INTEGER NOT NULL);"
    "CREATE TABLE pin(id INTEGER PRIMARY KEY, since INTEGER NOT NULL);";

#define FOLDER_SELECT                                                                              \
    "SELECT id, parent, name, path, raw, delimiter, attrs, listed, uidvalidity, uidnext, present," \
    " modseq, mtime, synced, missing FROM folder "
#define MESSAGE_SELECT                                                                             \
    "SELECT id, folder, uid, flags, size, exact, internaldate, zone, date, ctime, name"            \
    " FROM message "

/* Whether a message m is pinned, by itself or with its folder. */
#define PINNED(id)                                                                                 \
    "(EXISTS(SELECT 1 FROM pin p WHERE p.id = m.folder AND m.internaldate >= p.since)"             \
    " OR EXISTS(SELECT 1 FROM pin p WHERE p.id = " id "))"

#define PINNED_PLAN                                                                                \
    " CORRELATED SCALAR SUBQUERY 1; SEARCH p USING INTEGER PRIMARY KEY (rowid=?);"                 \
    " CORRELATED SCALAR SUBQUERY 2; SEARCH p USING INTEGER PRIMARY KEY (rowid=?)"

const struct stmt_def store_stmt_defs[STMT_COUNT] = {
    [STMT_BEGIN] = {"begin", "BEGIN IMMEDIATE", ""},
    [STMT_COMMIT] = {"commit", "COMMIT", ""},
    [STMT_ROLLBACK] = {"rollback", "ROLLBACK", ""},
    [STMT_META_GET] = {"meta_get", "SELECT value FROM meta WHERE key = ?1",
                       "SEARCH meta USING PRIMARY KEY (key=?)"},
    [STMT_META_SET] = {"meta_set",
                       "INSERT INTO meta VALUES(?1, ?2)"
                       " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                       ""},

    [STMT_FOLDER_BY_INO] = {"folder_by_ino", FOLDER_SELECT "WHERE id = ?1 AND purge < 2",
                            "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_BY_NAME] = {"folder_by_name",
                             FOLDER_SELECT "INDEXED BY folder_name WHERE parent = ?1 AND name = ?2",
                             "SEARCH folder USING INDEX folder_name (parent=? AND name=?)"},
    [STMT_FOLDER_BY_RAW] = {"folder_by_raw", FOLDER_SELECT "INDEXED BY folder_raw WHERE raw = ?1",
                            "SEARCH folder USING INDEX folder_raw (raw=?)"},
    [STMT_FOLDER_NEXT] = {"folder_next",
                          FOLDER_SELECT "INDEXED BY folder_child"
                                        " WHERE parent = ?1 AND id > ?2 ORDER BY id LIMIT 1",
                          "SEARCH folder USING INDEX folder_child (parent=? AND rowid>?)"},
    [STMT_FOLDER_NEXT_ANY] = {"folder_next_any",
                              FOLDER_SELECT "WHERE id > ?1 AND purge < 2 ORDER BY id LIMIT 1",
                              "SEARCH folder USING INTEGER PRIMARY KEY (rowid>?)"},
    /* The one planned scan: a complete LIST is compared with all there is. */
    [STMT_FOLDER_ALL] = {"folder_all", FOLDER_SELECT "WHERE purge < 2 ORDER BY id DESC",
                         "SCAN folder"},
    [STMT_FOLDER_INSERT] = {"folder_insert",
                            "INSERT INTO folder(id, parent, name, path, raw, delimiter, attrs,"
                            " mtime) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                            ""},
    [STMT_FOLDER_MISSING] = {"folder_missing", "UPDATE folder SET missing = ?2 WHERE id = ?1",
                             "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    /* ?5: it is another mailbox now, and what is known of its messages no longer holds. */
    [STMT_FOLDER_CHANGE] = {"folder_change",
                            "UPDATE folder SET raw = ?2, delimiter = ?3, attrs = ?4, missing = 0,"
                            " purge = CASE WHEN ?5 THEN 1 ELSE purge END,"
                            " listed = CASE WHEN ?5 THEN 0 ELSE listed END,"
                            " uidvalidity = CASE WHEN ?5 THEN 0 ELSE uidvalidity END,"
                            " uidnext = CASE WHEN ?5 THEN 0 ELSE uidnext END,"
                            " present = CASE WHEN ?5 THEN 0 ELSE present END,"
                            " modseq = CASE WHEN ?5 THEN 0 ELSE modseq END,"
                            " synced = CASE WHEN ?5 THEN 0 ELSE synced END,"
                            " mtime = CASE WHEN ?5 THEN max(mtime + 1, ?6) ELSE mtime END"
                            " WHERE id = ?1",
                            "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_REMOVE] = {"folder_remove",
                            "UPDATE folder SET purge = 2, listed = 0, parent = 0, name = NULL,"
                            " path = NULL, raw = NULL WHERE id = ?1",
                            "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_DELETE] = {"folder_delete", "DELETE FROM folder WHERE id = ?1",
                            "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_COUNTS] = {"folder_counts",
                            "SELECT messages, cached FROM folder WHERE id = ?1 AND purge < 2",
                            "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_STATE] = {"folder_state",
                           "SELECT listed, purge, uidvalidity, messages FROM folder WHERE id = ?1",
                           "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_TOUCH] = {"folder_touch",
                           "UPDATE folder SET messages = messages + ?3, mtime = CASE"
                           " WHEN listed OR ?3 <= 0 THEN max(mtime + 1, ?2) ELSE mtime END"
                           " WHERE id = ?1",
                           "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_CACHED] = {"folder_cached",
                            "UPDATE folder SET cached = cached + ?2"
                            " WHERE id = (SELECT folder FROM message WHERE id = ?1)",
                            "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?); SCALAR SUBQUERY 1;"
                            " SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_LISTED] = {"folder_listed",
                            "UPDATE folder SET modseq = ?3, synced = ?4, present = messages,"
                            " uidnext = max(?2, coalesce((SELECT min(max(uid) + 1, 4294967295)"
                            " FROM message WHERE folder = ?1), 0)),"
                            " listed = 1 WHERE id = ?1",
                            "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?); SCALAR SUBQUERY 1;"
                            " SEARCH message USING COVERING INDEX message_uid (folder=?)"},
    [STMT_FOLDER_UNLIST] = {"folder_unlist",
                            "UPDATE folder SET listed = 0, purge = 1,"
                            " mtime = CASE WHEN listed THEN max(mtime + 1, ?2) ELSE mtime END"
                            " WHERE id = ?1",
                            "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_BEGUN] = {"folder_begun",
                           "UPDATE folder SET uidvalidity = ?2, purge = 0, uidnext = 0,"
                           " present = 0, modseq = 0 WHERE id = ?1",
                           "SEARCH folder USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_FOLDER_CHILD] = {"folder_child",
                           "SELECT 1 FROM folder INDEXED BY folder_name"
                           " WHERE parent = ?1 AND name = ?2",
                           "SEARCH folder USING COVERING INDEX folder_name (parent=? AND name=?)"},
    [STMT_FOLDER_ANY_CHILD] = {"folder_any_child",
                               "SELECT 1 FROM folder INDEXED BY folder_child"
                               " WHERE parent = ?1 LIMIT 1",
                               "SEARCH folder USING COVERING INDEX folder_child (parent=?)"},
    [STMT_FOLDER_TO_PURGE] = {"folder_to_purge",
                              "SELECT id, purge FROM folder INDEXED BY folder_purge"
                              " WHERE purge > 0 LIMIT 1",
                              "SEARCH folder USING COVERING INDEX folder_purge (purge>?)"},

    [STMT_MESSAGE_BY_INO] = {"message_by_ino", MESSAGE_SELECT "WHERE id = ?1",
                             "SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_MESSAGE_BY_NAME] = {"message_by_name",
                              MESSAGE_SELECT "INDEXED BY message_name"
                                             " WHERE folder = ?1 AND name_hash = ?2 AND name = ?3",
                              "SEARCH message USING INDEX message_name (folder=? AND name_hash=?)"},
    [STMT_MESSAGE_BY_UID] = {"message_by_uid",
                             MESSAGE_SELECT "INDEXED BY message_uid WHERE folder = ?1 AND uid = ?2",
                             "SEARCH message USING INDEX message_uid (folder=? AND uid=?)"},
    [STMT_MESSAGE_READ] = {"message_read",
                           MESSAGE_SELECT "INDEXED BY message_folder"
                                          " WHERE folder = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
                           "SEARCH message USING INDEX message_folder (folder=? AND rowid>?)"},
    [STMT_MESSAGE_INSERT] = {"message_insert",
                             "INSERT INTO message VALUES(?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9,"
                             " ?10, ?11, ?12)",
                             ""},
    [STMT_MESSAGE_RENAME] = {"message_rename",
                             "UPDATE message SET name = ?2, name_hash = ?3,"
                             " ctime = max(ctime + 1, ?4) WHERE id = ?1",
                             "SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_MESSAGE_TEXTS] = {"message_texts", "SELECT keywords FROM message WHERE id = ?1",
                            "SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_MESSAGE_FLAGS] = {"message_flags",
                            "SELECT id, flags, keywords FROM message INDEXED BY message_uid"
                            " WHERE folder = ?1 AND uid = ?2",
                            "SEARCH message USING INDEX message_uid (folder=? AND uid=?)"},
    [STMT_MESSAGE_SET_FLAGS] = {"message_set_flags",
                                "UPDATE message SET flags = ?2, keywords = ?3,"
                                " ctime = max(ctime + 1, ?4) WHERE id = ?1",
                                "SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_MESSAGE_SIZE] = {"message_size", "SELECT size, exact FROM message WHERE id = ?1",
                           "SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_MESSAGE_SET_SIZE] = {"message_set_size",
                               "UPDATE message SET ctime = CASE WHEN size = ?2 THEN ctime"
                               " ELSE max(ctime + 1, ?3) END, size = ?2, exact = 1 WHERE id = ?1",
                               "SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_MESSAGE_HAS_UID] = {"message_has_uid",
                              "SELECT 1 FROM message INDEXED BY message_uid"
                              " WHERE folder = ?1 AND uid = ?2",
                              "SEARCH message USING COVERING INDEX message_uid"
                              " (folder=? AND uid=?)"},
    [STMT_MESSAGE_UIDS] = {"message_uids",
                           "SELECT uid FROM message INDEXED BY message_uid"
                           " WHERE folder = ?1 AND uid > ?2 ORDER BY uid LIMIT ?3",
                           "SEARCH message USING COVERING INDEX message_uid"
                           " (folder=? AND uid>?)"},
    [STMT_MESSAGE_FIRST_UID] = {"message_first_uid",
                                "SELECT uid FROM message INDEXED BY message_uid"
                                " WHERE folder = ?1 ORDER BY uid LIMIT 1",
                                "SEARCH message USING COVERING INDEX message_uid (folder=?)"},
    [STMT_MESSAGE_LAST_UID] = {"message_last_uid",
                               "SELECT uid FROM message INDEXED BY message_uid"
                               " WHERE folder = ?1 ORDER BY uid DESC LIMIT 1",
                               "SEARCH message USING COVERING INDEX message_uid (folder=?)"},
    [STMT_MESSAGE_RANGE] = {"message_range",
                            "SELECT id, uid, name FROM message INDEXED BY message_uid"
                            " WHERE folder = ?1 AND uid >= ?2 AND uid <= ?3 ORDER BY uid LIMIT ?4",
                            "SEARCH message USING INDEX message_uid"
                            " (folder=? AND uid>? AND uid<?)"},
    [STMT_MESSAGE_DELETE] = {"message_delete", "DELETE FROM message WHERE id = ?1",
                             "SEARCH message USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_HEADER_INSERT] = {"header_insert", "INSERT INTO header VALUES(?1, ?2, ?3)", ""},
    [STMT_HEADER_GET] = {"header_get", "SELECT message_id FROM header WHERE id = ?1",
                         "SEARCH header USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_HEADER_DELETE] = {"header_delete", "DELETE FROM header WHERE id = ?1",
                            "SEARCH header USING INTEGER PRIMARY KEY (rowid=?)"},

    [STMT_BODY_GET] = {"body_get", "SELECT segment, offset, length, crc FROM body WHERE id = ?1",
                       "SEARCH body USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_BODY_PUT] = {"body_put", "INSERT INTO body VALUES(?1, ?2, ?3, ?4, ?5)", ""},
    [STMT_BODY_DELETE] = {"body_delete", "DELETE FROM body WHERE id = ?1",
                          "SEARCH body USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_BODY_IN_SEGMENT] = {"body_in_segment",
                              "SELECT id FROM body INDEXED BY body_segment WHERE segment = ?1"
                              " LIMIT ?2",
                              "SEARCH body USING COVERING INDEX body_segment (segment=?)"},
    [STMT_BODY_OF_SEGMENT] =
        {"body_of_segment",
         "SELECT b.id, b.offset, b.length, b.crc, " PINNED(
             "b.id") " FROM body b INDEXED BY body_segment JOIN message m ON m.id = b.id"
                     " WHERE b.segment = ?1 AND b.id > ?2 ORDER BY b.id LIMIT ?3",
         "SEARCH b USING INDEX body_segment (segment=? AND rowid>?);"
         " SEARCH m USING INTEGER PRIMARY KEY (rowid=?);" PINNED_PLAN},
    [STMT_BODY_MOVE] = {"body_move",
                        "UPDATE body SET segment = ?4, offset = ?5"
                        " WHERE id = ?1 AND segment = ?2 AND offset = ?3",
                        "SEARCH body USING INTEGER PRIMARY KEY (rowid=?)"},
    /* A row for 32 MB or for one large message; read once, at start. */
    [STMT_SEGMENT_ALL] = {"segment_all", "SELECT id, live, used FROM segment ORDER BY id",
                          "SCAN segment"},
    [STMT_SEGMENT_ADD] = {"segment_add",
                          "INSERT INTO segment VALUES(?1, 1, ?2)"
                          " ON CONFLICT(id) DO UPDATE SET live = live + 1",
                          ""},
    [STMT_SEGMENT_LESS] = {"segment_less", "UPDATE segment SET live = live - 1 WHERE id = ?1",
                           "SEARCH segment USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_SEGMENT_USED] = {"segment_used", "UPDATE segment SET used = ?2 WHERE id = ?1",
                           "SEARCH segment USING INTEGER PRIMARY KEY (rowid=?)"},
    [STMT_SEGMENT_DELETE] = {"segment_delete", "DELETE FROM segment WHERE id = ?1",
                             "SEARCH segment USING INTEGER PRIMARY KEY (rowid=?)"},

    /* Small, and compared as a whole. */
    [STMT_PIN_ALL] = {"pin_all", "SELECT id, since FROM pin ORDER BY id", "SCAN pin"},
    [STMT_PIN_CLEAR] = {"pin_clear", "DELETE FROM pin", ""},
    [STMT_PIN_ADD] = {"pin_add",
                      "INSERT INTO pin VALUES(?1, ?2)"
                      " ON CONFLICT(id) DO UPDATE SET since = min(since, excluded.since)",
                      ""},
    [STMT_PINNED_READ] = {"pinned_read",
                          "SELECT m.id, m.size, " PINNED(
                              "m.id") ","
                                      " EXISTS(SELECT 1 FROM body b WHERE b.id = m.id)"
                                      " FROM message m INDEXED BY message_folder"
                                      " WHERE m.folder = ?1 AND m.id > ?2 ORDER BY m.id LIMIT ?3",
                          "SEARCH m USING INDEX message_folder (folder=? AND rowid>?);" PINNED_PLAN
                          "; CORRELATED SCALAR SUBQUERY 3;"
                          " SEARCH b USING INTEGER PRIMARY KEY (rowid=?)"},
};
