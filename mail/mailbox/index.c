/* mail/mailbox/index.c -- the rows of `mail`: what is derived from a message's bytes */
#include "mail/mailbox/index.h"

#include "core/cleanup.h"
#include "mail/mime/charset.h"
#include "mail/mime/date.h"
#include "mail/mime/header.h"
#include "mail/mime/imap_text.h"
#include "mail/mime/index.h"
#include "mail/mime/words.h"

enum { SORTKEY_FIELD_MAX = 4096 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a message's index")

static struct slice keep(struct buffer *b, struct arena *a)
{
    struct slice s = b->failed ? slice_make(NULL, 0) : arena_copy(a, buffer_slice(b));
    buffer_clear(b);
    return s;
}

/* A field as people read it, folded for comparing; one that stands twice (wrong, and frequent) is one text of two lines. */
static void add_key(struct slice head, struct slice name, struct arena *a, struct buffer *out)
{
    struct header_field f;
    struct buffer text = {0};
    while (header_next(&head, &f) && buffer_length(&text) < 4 * SORTKEY_FIELD_MAX) {
        if (!slice_eq_nocase(f.name, name))
            continue;
        if (buffer_length(&text))
            buffer_add_char(&text, '\n');
        words_decode(header_unfold(slice_first(f.value, 4 * SORTKEY_FIELD_MAX), a), &text);
    }
    charset_fold(buffer_slice(&text), SORTKEY_FIELD_MAX, out);
    buffer_add_char(out, '\0');
    out->failed |= text.failed;
    buffer_free(&text);
}

struct error message_index_make(struct slice bytes, struct arena *a, struct message_index *out)
{
    static const struct slice keys[] = {{"From", 4}, {"To", 2}, {"Cc", 2}, {"Subject", 7}};
    struct mime_tree tree;
    struct buffer b = {0};
    struct slice head = slice_first(bytes, header_length(bytes));
    *out = (struct message_index){0};
    TRY(mime_parse(bytes, a, &tree));
    struct error e = imap_text_envelope(head, a, &b);
    out->envelope = keep(&b, a);
    if (e.code == ERROR_NONE)
        e = imap_text_structure(&tree, bytes, IMAP_TEXT_BODYSTRUCTURE, a, &b);
    out->bodystructure = keep(&b, a);
    mime_index_write(&tree, &b);
    out->structure = keep(&b, a);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        add_key(head, keys[i], a, &b);
    out->sortkey = keep(&b, a);
    buffer_free(&b);
    int zone;
    struct slice date = header_find(head, SLICE("Date"));
    if (!date.p || !date_read(date, &out->sent, &zone))
        out->sent = 0;
    else
        out->sent += zone * 60; /* the sender's civil time: what SENTON and SORT DATE of an office mean by a day */
    if (e.code == ERROR_NONE && (!out->envelope.p || !out->bodystructure.p || !out->structure.p || !out->sortkey.p))
        return NO_MEMORY;
    return e;
}

struct error message_prepare(struct message *m, struct arena *a)
{
    struct slice bytes;
    TRY(blob_put_bytes(&m->put, &bytes));
    return message_index_make(bytes, a, &m->index);
}

static struct error insert(struct sql *db, int64_t blob, const struct message_index *x)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO mail (blob, sent, envelope, bodystructure, structure, sortkey) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (blob) DO UPDATE SET "
                                                       "sent = excluded.sent, envelope = excluded.envelope, bodystructure = excluded.bodystructure, structure = excluded.structure, sortkey = excluded.sortkey");
    sql_bind_int(st, 1, blob);
    sql_bind_int(st, 2, x->sent);
    sql_bind_blob(st, 3, x->envelope);
    sql_bind_blob(st, 4, x->bodystructure);
    sql_bind_blob(st, 5, x->structure);
    sql_bind_blob(st, 6, x->sortkey);
    return sql_run(st);
}

struct error message_enter(struct sql *db, struct message *m, int64_t *blob)
{
    enum blob_fresh fresh;
    TRY(blob_enter(db, &m->put, blob, &fresh));
    m->blob = *blob;
    return fresh == BLOB_FRESH ? insert(db, *blob, &m->index) : OK;
}

struct error message_index_get(struct sql *db, int64_t blob, struct arena *a, struct message_index *out)
{
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT sent, envelope, bodystructure, structure, sortkey FROM mail WHERE blob = $1");
    sql_bind_int(st, 1, blob);
    if (!sql_row(st)) {
        TRY(sql_result(st));
        return error_make(ERROR_NOT_FOUND, "the message is not indexed");
    }
    *out = (struct message_index){.sent = sql_int(st, 0),
                                  .envelope = arena_copy(a, sql_blob(st, 1)),
                                  .bodystructure = arena_copy(a, sql_blob(st, 2)),
                                  .structure = arena_copy(a, sql_blob(st, 3)),
                                  .sortkey = arena_copy(a, sql_blob(st, 4))};
    return out->sortkey.p ? OK : NO_MEMORY;
}

/* One literal a choice: what is not asked for is not copied out of its page. The columns of an item come first in each. */
#define SCAN(columns)                                                                                                                   \
    "SELECT i.uid, i.modseq, i.flags, i.blob, i.size, i.received, i.saved, i.kw" columns " FROM item i LEFT JOIN mail m ON m.blob = i.blob " \
    "WHERE i.collection = $1 AND i.uid BETWEEN $2 AND $3 AND i.modseq > $4 ORDER BY i.uid"

void message_scan_begin(struct sql *db, int64_t collection, uint32_t lo, uint32_t hi, int64_t after, enum message_parts parts, struct message_scan *scan)
{
    static const char *const texts[] = {
        [MESSAGE_TEXTS] = SCAN(", m.envelope, m.bodystructure"),
        [MESSAGE_STRUCTURE] = SCAN(", m.structure"),
        [MESSAGE_BOTH] = SCAN(", m.envelope, m.bodystructure, m.structure"),
        [MESSAGE_KEYS] = SCAN(", m.sent, m.sortkey"),
    };
    scan->parts = parts;
    scan->st = sql_use(db, texts[parts]);
    sql_bind_int(scan->st, 1, collection);
    sql_bind_int(scan->st, 2, lo);
    sql_bind_int(scan->st, 3, hi);
    sql_bind_int(scan->st, 4, after);
}

bool message_next(struct message_scan *scan, struct item *i, struct message_index *x)
{
    struct sql_stmt *st = scan->st;
    int column = 8;
    if (!sql_row(st))
        return false;
    *i = (struct item){.uid = (uint32_t)sql_int(st, 0),
                       .modseq = sql_int(st, 1),
                       .flags = sql_int(st, 2),
                       .blob = sql_int(st, 3),
                       .size = sql_int(st, 4),
                       .received = sql_int(st, 5),
                       .saved = sql_is_null(st, 6) ? sql_int(st, 5) : sql_int(st, 6),
                       .kw = sql_is_null(st, 7) ? SLICE("") : sql_text(st, 7)};
    *x = (struct message_index){0};
    if (scan->parts & MESSAGE_TEXTS) {
        x->envelope = sql_blob(st, column++);
        x->bodystructure = sql_blob(st, column++);
    }
    if (scan->parts & MESSAGE_STRUCTURE)
        x->structure = sql_blob(st, column);
    if (scan->parts & MESSAGE_KEYS) {
        x->sent = sql_int(st, column++);
        x->sortkey = sql_blob(st, column);
    }
    return true;
}

struct error message_scan_result(struct message_scan *scan)
{
    return sql_result(scan->st);
}

void message_scan_end(struct message_scan *scan)
{
    sql_done(&scan->st);
}

struct error message_derive(struct sql *db, int64_t blob, struct arena *a, struct message_index *out)
{
    struct slice bytes;
    TRY(blob_read(db, blob, 0, INT64_MAX, a, &bytes));
    return message_index_make(bytes, a, out);
}

static bool same_index(const struct message_index *x, const struct message_index *y)
{
    return x->sent == y->sent && slice_eq(x->envelope, y->envelope) && slice_eq(x->bodystructure, y->bodystructure) && slice_eq(x->structure, y->structure) && slice_eq(x->sortkey, y->sortkey);
}

struct error message_index_look(struct sql *db, int64_t blob, struct arena *a, enum derived *state)
{
    struct message_index stored, fresh;
    struct error e = message_index_get(db, blob, a, &stored);
    *state = DERIVED_MISSING;
    if (e.code == ERROR_NOT_FOUND)
        return OK;
    TRY(e);
    TRY(message_derive(db, blob, a, &fresh));
    *state = same_index(&stored, &fresh) ? DERIVED_RIGHT : DERIVED_WRONG;
    return OK;
}

struct mending {
    int64_t blob;
    struct message_index index;
};

static struct error mend_change(struct sql *db, void *arg)
{
    struct mending *m = arg;
    int64_t size;
    TRY(blob_size(db, m->blob, &size)); /* it may have gone meanwhile */
    return insert(db, m->blob, &m->index);
}

struct error message_index_mend(struct store *s, int64_t blob)
{
    struct arena a;
    struct mending m = {.blob = blob};
    arena_init(&a, (size_t)4 << 30);
    struct sql *db = store_reader(s);
    struct error e = message_derive(db, blob, &a, &m.index);
    store_reader_return(&db);
    if (e.code == ERROR_NONE)
        e = store_change(s, mend_change, &m);
    arena_free(&a);
    return e;
}
