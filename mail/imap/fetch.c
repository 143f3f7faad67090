/* mail/imap/fetch.c -- FETCH and UID FETCH (RFC 9051 6.4.5): a walk over rows in steps
 *
 * Each step borrows a reader, writes until the output is past its high-water mark, and gives the reader back; a client that reads slowly costs its
 * position, never a worker. What FETCH marks as seen is one change for the whole set, made before the walk.
 */
#include "mail/imap/fetch.h"

#include "mail/mime/date.h"
#include "mail/mime/imap_text.h"

static struct error fetch_step(struct connection *c, struct imap_session *s, struct imap_args *a);

struct seen_change {
    struct imap_session *s;
    const struct uid_set *uids;
};

static struct error mark_seen(struct sql *db, void *arg)
{
    struct seen_change *x = arg;
    struct flag_change change = {.keep = -1, .set = FLAG_SEEN, .kw_add = SLICE(""), .kw_remove = SLICE("")};
    TRY(grant_check(db, x->s->box.collection, x->s->account, RIGHT_SEEN));
    return item_store(db, imap_actor(x->s), x->s->box.collection, x->uids, &change, -1, NULL, NULL);
}

static struct error set_seen(struct imap_session *s, const struct uid_set *uids)
{
    struct seen_change x = {s, uids};
    if (s->box.read_only || !(s->box.rights & RIGHT_SEEN))
        return OK;
    struct error e = store_change(s->server->store, mark_seen, &x);
    return e.code == ERROR_DENIED || e.code == ERROR_NOT_FOUND || e.code == ERROR_FULL ? OK : e; /* reading goes on without the mark */
}

/* The message number of a uid: uids come ascending, so the cursor only moves on. 0: not in the view. */
static uint64_t number_of(struct imap_session *s, struct fetch *f, uint32_t uid)
{
    const struct uid_set *v = &s->box.view;
    while (f->view_range < v->n && v->ranges[f->view_range].hi < uid) {
        f->view_before += (uint64_t)v->ranges[f->view_range].hi - v->ranges[f->view_range].lo + 1;
        f->view_range++;
    }
    if (f->view_range == v->n || v->ranges[f->view_range].lo > uid)
        return 0;
    return f->view_before + uid - v->ranges[f->view_range].lo + 1;
}

/* What was derived at delivery; only of a message that is not indexed (yet) are the bytes read. */
static struct error write_derived(struct sql *db, enum fetch_kind kind, const struct item *item, const struct message_index *index, struct arena *a, struct buffer *out)
{
    struct message_index fresh;
    if (!index->envelope.p) {
        TRY(message_derive(db, item->blob, a, &fresh));
        index = &fresh;
    }
    if (kind == FETCH_BODY) {
        buffer_add(out, SLICE("BODY "));
        if (imap_text_body(index->bodystructure, out))
            return OK;
        TRY(message_derive(db, item->blob, a, &fresh)); /* the row is damaged */
        return imap_text_body(fresh.bodystructure, out) ? OK : error_make(ERROR_CORRUPT, "the structure of a message cannot be told");
    }
    buffer_add(out, kind == FETCH_ENVELOPE ? SLICE("ENVELOPE ") : SLICE("BODYSTRUCTURE "));
    buffer_add(out, kind == FETCH_ENVELOPE ? index->envelope : index->bodystructure);
    return OK;
}

static struct error write_item(struct sql *db, struct fetch *f, const struct fetch_item *x, const struct item *item, const struct message_index *index, struct arena *a, struct buffer *out)
{
    switch (x->kind) {
    case FETCH_UID:
        buffer_add(out, SLICE("UID "));
        buffer_add_number(out, item->uid);
        return OK;
    case FETCH_FLAGS:
        imap_flags_write(&f->map, item->flags, item->kw, out);
        return OK;
    case FETCH_INTERNALDATE:
        buffer_add(out, SLICE("INTERNALDATE \""));
        date_write_imap(item->received, out);
        buffer_add_char(out, '"');
        return OK;
    case FETCH_SIZE:
        buffer_add(out, SLICE("RFC822.SIZE "));
        buffer_add_number(out, (uint64_t)item->size);
        return OK;
    case FETCH_MODSEQ:
        buffer_add(out, SLICE("MODSEQ ("));
        buffer_add_number(out, (uint64_t)item->modseq);
        buffer_add_char(out, ')');
        return OK;
    case FETCH_BODY:
    case FETCH_ENVELOPE:
    case FETCH_BODYSTRUCTURE:
        return write_derived(db, x->kind, item, index, a, out);
    default:
        return fetch_write_section(db, item, index->structure, x, a, &f->rest, out);
    }
}

/* The items from the nth on, until one has more than a step may write. What has been sent cannot be taken back: a part that cannot be decoded is then NIL. */
static struct error write_items(struct sql *db, struct fetch *f, size_t from, const struct item *item, const struct message_index *index, struct arena *a, struct buffer *out)
{
    for (size_t i = from; i < f->n; i++) {
        if (i)
            buffer_add_char(out, ' ');
        struct error e = write_item(db, f, &f->items[i], item, index, a, out);
        if (e.code == ERROR_UNSUPPORTED && from) {
            buffer_add(out, f->items[i].kind == FETCH_BINARY_SIZE ? SLICE(" 0") : SLICE(" NIL"));
            f->failed = e;
        } else {
            TRY(e);
        }
        f->rest.next = i + 1;
        if (f->rest.left)
            return OK;
    }
    buffer_add(out, SLICE(")\r\n"));
    return out->failed ? error_make(ERROR_MEMORY, "no memory for an answer") : OK;
}

static struct slice keep(struct slice s, struct arena *a)
{
    return s.p ? arena_copy(a, s) : s;
}

/* What the rest of a message needs must outlive the row: somebody may expunge it while the client reads. */
static void keep_message(struct fetch *f, const struct item *item, const struct message_index *index, struct arena *a)
{
    if (a->blocks)
        arena_reset(a);
    f->rest.item = *item;
    f->rest.item.kw = keep(item->kw, a);
    f->rest.index = (struct message_index){.sent = index->sent, .envelope = keep(index->envelope, a), .bodystructure = keep(index->bodystructure, a), .structure = keep(index->structure, a)};
}

/* "* 7 FETCH (…)". A part that cannot be decoded takes back what was written of its message. */
static struct error write_message(struct sql *db, struct fetch *f, uint64_t number, const struct item *item, const struct message_index *index, struct arena *a, struct arena *kept, struct buffer *out)
{
    size_t before = buffer_length(out);
    buffer_add(out, SLICE("* "));
    buffer_add_number(out, number);
    buffer_add(out, SLICE(" FETCH ("));
    struct error e = write_items(db, f, 0, item, index, a, out);
    if (e.code != ERROR_NONE)
        out->end = out->start + before;
    else if (f->rest.left)
        keep_message(f, item, index, kept);
    return e;
}

/* Goes on with a message whose body was too large for a step. A fault inside a literal can only be answered by closing. */
static struct error write_on(struct sql *db, struct fetch *f, struct buffer *out)
{
    struct arena a;
    struct error e = OK;
    arena_init(&a, 256 * 1024 * 1024);
    while (e.code == ERROR_NONE && f->rest.left && buffer_length(out) < CONNECTION_OUTPUT_HIGH) {
        e = fetch_write_rest(db, &f->rest, out);
        if (e.code == ERROR_NONE && f->rest.left == 0) {
            struct fetch_rest now = f->rest;
            e = write_items(db, f, now.next, &now.item, &now.index, &a, out);
            f->rest.item = now.item;
            f->rest.index = now.index;
        }
    }
    arena_free(&a);
    return e.code == ERROR_NONE ? OK : error_make(ERROR_CLOSED, "a body could not be read to its end");
}

static struct error walk_range(struct connection *c, struct imap_session *s, struct sql *db, struct fetch *f, uint32_t hi)
{
    struct item item;
    struct message_index index = {0};
    struct message_scan messages = {0};
    struct item_scan items = {0};
    struct arena row;
    struct error e = OK;
    arena_init(&row, 256 * 1024 * 1024);
    if (f->parts)
        message_scan_begin(db, s->box.collection, f->next, hi, f->changed_since, f->parts, &messages);
    else
        item_scan_begin(db, s->box.collection, f->next, hi, f->changed_since, &items);
    while (e.code == ERROR_NONE && buffer_length(&c->out) < CONNECTION_OUTPUT_HIGH && (f->parts ? message_next(&messages, &item, &index) : item_next(&items, &item))) {
        uint64_t number = number_of(s, f, item.uid);
        if (number && uid_set_has(f->uids, item.uid))
            e = write_message(db, f, number, &item, &index, &row, &s->walking_row, &c->out);
        if (e.code == ERROR_UNSUPPORTED) { /* [UNKNOWN-CTE]: the others still come */
            f->failed = e;
            e = OK;
        }
        f->next = item.uid + 1;
        if (row.blocks)
            arena_reset(&row);
    }
    if (e.code == ERROR_NONE)
        e = f->parts ? message_scan_result(&messages) : item_scan_result(&items);
    if (buffer_length(&c->out) < CONNECTION_OUTPUT_HIGH)
        f->next = hi == UINT32_MAX ? UINT32_MAX : hi + 1; /* the range is through */
    if (f->parts)
        message_scan_end(&messages);
    else
        item_scan_end(&items);
    arena_free(&row);
    return e;
}

static struct error finish(struct imap_session *s, struct fetch *f, struct error e)
{
    s->more = NULL;
    uid_set_free(f->uids);
    arena_free(&s->walking_row);
    return e;
}

static struct error step(struct connection *c, struct imap_session *s, struct sql *db, struct fetch *f)
{
    struct error e = OK;
    if (f->rest.left)
        e = write_on(db, f, &c->out);
    while (e.code == ERROR_NONE && !f->rest.left && f->range < f->uids->n && buffer_length(&c->out) < CONNECTION_OUTPUT_HIGH) {
        struct uid_range r = f->uids->ranges[f->range];
        if (f->next < r.lo)
            f->next = r.lo;
        e = walk_range(c, s, db, f, r.hi);
        if (f->next > r.hi || r.hi == UINT32_MAX)
            f->range++;
    }
    if (e.code != ERROR_NONE || (f->range >= f->uids->n && !f->rest.left))
        return finish(s, f, e.code == ERROR_NONE ? f->failed : e);
    s->more = fetch_step;
    return OK;
}

static struct error fetch_step(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    (void)a;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    return step(c, s, db, s->more_state);
}

/* UID FETCH … (CHANGEDSINCE n VANISHED): what is gone of the set (RFC 7162 3.2.6). */
static struct error write_vanished(struct connection *c, struct imap_session *s, struct fetch *f, struct slice set)
{
    SCOPED(uid_set_free) struct uid_set asked = {0};
    SCOPED(uid_set_free) struct uid_set gone = {0};
    SCOPED(uid_set_free) struct uid_set shown = {0};
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(uid_set_read(&asked, set, UINT32_MAX));
    TRY(item_vanished(db, s->box.collection, f->changed_since, &gone));
    uid_set_intersect(&shown, &gone, &asked);
    if (shown.n == 0)
        return OK;
    buffer_add(&c->out, SLICE("* VANISHED (EARLIER) "));
    uid_set_write(&shown, &c->out);
    buffer_add(&c->out, SLICE("\r\n")); /* numbers do not move by it (3.2.10.1): what is still in the view follows as plain VANISHED */
    return OK;
}

/* CHANGEDSINCE with a body: only what is shown becomes \Seen; and what becomes \Seen by it has not changed since for that. */
static struct error keep_changed(struct imap_session *s, struct fetch *f)
{
    SCOPED(uid_set_free) struct uid_set changed = {0};
    SCOPED(uid_set_free) struct uid_set asked = {0};
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(item_changed(db, s->box.collection, f->changed_since, &changed));
    uid_set_copy(&asked, f->uids);
    uid_set_intersect(f->uids, &asked, &changed);
    return asked.failed || f->uids->failed ? error_make(ERROR_MEMORY, "no memory for a set of messages") : OK;
}

struct error imap_fetch_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct fetch *f = arena_zero(&c->arena, 1, sizeof *f);
    if (!f)
        return error_make(ERROR_MEMORY, "no memory for a FETCH");
    f->by_uid = s->row->by == BY_UID;
    f->uids = &s->walking;
    f->arena = &c->arena;
    TRY(args_space(a));
    struct slice set = slice_first(a->rest, slice_find(a->rest, ' '));
    struct error e = imap_set_arg(s, a, f->by_uid, f->uids);
    if (e.code == ERROR_NONE)
        e = args_space(a);
    if (e.code == ERROR_NONE)
        e = fetch_read_items(s, a, f);
    if (e.code == ERROR_NONE && f->sets_seen && f->changed_since >= 0)
        e = keep_changed(s, f);
    if (e.code == ERROR_NONE && f->uids->n && f->sets_seen)
        e = set_seen(s, f->uids);
    if (e.code == ERROR_NONE && f->vanished)
        e = write_vanished(c, s, f, set);
    if (e.code != ERROR_NONE || f->uids->n == 0)
        return finish(s, f, e);
    s->more_state = f;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    e = keyword_map_get(db, s->box.account, &c->arena, &f->map);
    return e.code == ERROR_NONE ? step(c, s, db, f) : finish(s, f, e);
}
