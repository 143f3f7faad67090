/* mail/imap/select.c -- SELECT, EXAMINE with CONDSTORE and QRESYNC (RFC 9051 6.3.2, RFC 7162 3.2.5), CLOSE, UNSELECT, STATUS */
#include "core/store/view.h"
#include "mail/imap/internal.h"

enum { MATCHES_MAX = 10000 };

struct qresync {
    int given;
    uint64_t uidvalidity, modseq;
    struct slice uids;
    struct uid_set known, match_numbers, match_uids;
};

static void qresync_free(struct qresync *q)
{
    uid_set_free(&q->known);
    uid_set_free(&q->match_numbers);
    uid_set_free(&q->match_uids);
}

static void on_change(void *connection)
{
    connection_notice(connection);
}

/* A set without '*' (RFC 7162 7: known-sequence-set). */
static struct error read_known(struct imap_args *a, struct slice *text, struct uid_set *out)
{
    TRY(args_atom(a, NULL, text));
    return uid_set_read(out, *text, UINT32_MAX);
}

/* "(validity modseq [known-uids] [(numbers uids)])" behind QRESYNC */
static struct error read_qresync(struct imap_args *a, struct qresync *q)
{
    struct slice text;
    TRY(args_space(a));
    if (!args_take(a, '('))
        return imap_bad("QRESYNC takes a list");
    TRY(args_number(a, UINT32_MAX, &q->uidvalidity));
    TRY(args_space(a));
    TRY(args_number(a, INT64_MAX, &q->modseq));
    bool more = args_take(a, ' ');
    if (more && !slice_starts(a->rest, SLICE("("))) {
        TRY(read_known(a, &q->uids, &q->known));
        more = args_take(a, ' ');
    }
    if (more) {
        if (!args_take(a, '('))
            return imap_bad("message numbers and their uids stand in parentheses");
        TRY(read_known(a, &text, &q->match_numbers));
        TRY(args_space(a));
        TRY(read_known(a, &text, &q->match_uids));
        if (!args_take(a, ')') || uid_set_count(&q->match_numbers) != uid_set_count(&q->match_uids))
            return imap_bad("as many message numbers as uids were expected");
    }
    q->given = 1;
    return args_take(a, ')') ? OK : imap_bad("a parenthesis is missing");
}

/* "(CONDSTORE)" or "(QRESYNC (…))" */
static struct error read_parameters(struct imap_session *s, struct imap_args *a, struct qresync *q)
{
    int enabled = s->enabled;
    if (!args_take(a, ' '))
        return OK;
    if (!args_take(a, '('))
        return imap_bad("parameters stand in parentheses");
    do {
        if (args_word(a, SLICE("CONDSTORE")))
            enabled |= ENABLED_CONDSTORE;
        else if (args_word(a, SLICE("QRESYNC")) && s->enabled & ENABLED_QRESYNC && !q->given)
            TRY(read_qresync(a, q));
        else
            return imap_bad("that parameter is not known, or QRESYNC is not enabled");
    } while (args_take(a, ' '));
    if (!args_take(a, ')'))
        return imap_bad("a parenthesis is missing");
    s->enabled = enabled;
    return OK;
}

static struct error open_box(struct imap_session *s, struct sql *db, const struct mailbox *m, int read_only)
{
    struct imap_box *b = &s->box;
    TRY(view_uids(db, &m->c, &b->view));
    *b = (struct imap_box){.collection = m->c.id, .account = m->c.account, .read_only = read_only, .rights = m->rights,
                           .uidvalidity = m->c.uidvalidity, .uidnext = m->c.uidnext, .modseq = m->c.modseq, .gone_modseq = m->c.modseq, .heard = m->c.modseq, .view = b->view, .keywords = m->c.keywords | 31, .watch = b->watch};
    return OK;
}

/* Flags that this person may change here for good (RFC 4314 5.1.1). */
static int64_t permanent(const struct imap_box *b, int64_t flags)
{
    int64_t allowed = (b->rights & RIGHT_SEEN ? FLAG_SEEN : 0) | (b->rights & RIGHT_DELETE ? FLAG_DELETED : 0) | (b->rights & RIGHT_WRITE ? ~(int64_t)(FLAG_SEEN | FLAG_DELETED) : 0);
    return b->read_only ? 0 : flags & allowed;
}

static void write_state(struct connection *c, struct imap_session *s, const struct mailbox *m, const struct keyword_map *map, uint32_t unseen, uint32_t unseen_number)
{
    struct buffer *out = &c->out;
    struct imap_box *b = &s->box;
    buffer_add(out, SLICE("* FLAGS ("));
    keyword_write(map, m->c.keywords | 31, SLICE(""), out);
    buffer_add(out, SLICE(")\r\n* OK [PERMANENTFLAGS ("));
    keyword_write(map, permanent(b, m->c.keywords | 31), SLICE(""), out);
    if (!b->read_only && b->rights & RIGHT_WRITE)
        buffer_add(out, SLICE(" \\*"));
    buffer_printf(out, ")] flags that stay\r\n* %llu EXISTS\r\n", (unsigned long long)uid_set_count(&b->view));
    if (!(s->enabled & ENABLED_REV2)) {
        buffer_add(out, SLICE("* 0 RECENT\r\n"));
        if (unseen)
            buffer_printf(out, "* OK [UNSEEN %u] first unseen\r\n", unseen_number);
    } else {
        buffer_add(out, SLICE("* LIST () \"/\" "));
        imap_mailbox_write(s, m->path, out);
        buffer_add(out, SLICE("\r\n"));
    }
    buffer_printf(out, "* OK [UIDVALIDITY %u] uids valid\r\n* OK [UIDNEXT %u] predicted next uid\r\n", b->uidvalidity, b->uidnext);
    buffer_printf(out, "* OK [HIGHESTMODSEQ %lld] highest\r\n", (long long)(m->c.modseq ? m->c.modseq : 1));
}

/* The highest uid that the client has at the same number as this mailbox: below it nothing that he knows has vanished (RFC 7162 3.2.5.2). */
static uint32_t matched(const struct imap_session *s, const struct qresync *q)
{
    uint32_t best = 0;
    uint64_t n = uid_set_count(&q->match_numbers);
    for (uint64_t i = 1; i <= n && i <= MATCHES_MAX; i++) {
        uint32_t number = uid_set_uid_of(&q->match_numbers, (uint32_t)i), uid = uid_set_uid_of(&q->match_uids, (uint32_t)i);
        if (uid_set_uid_of(&s->box.view, number) != uid)
            break;
        best = uid;
    }
    return best;
}

static struct error write_vanished(struct connection *c, struct imap_session *s, struct sql *db, const struct qresync *q, int64_t gonefloor)
{
    SCOPED(uid_set_free) struct uid_set gone = {0};
    SCOPED(uid_set_free) struct uid_set shown = {0};
    TRY(item_vanished(db, s->box.collection, (int64_t)q->modseq, &gone));
    uint32_t same = (int64_t)q->modseq < gonefloor ? matched(s, q) : 0; /* exact tombstones need no guess */
    if (same)
        uid_set_remove(&gone, 1, same);
    if (q->uids.p)
        uid_set_intersect(&shown, &gone, &q->known);
    else
        uid_set_copy(&shown, &gone);
    if (shown.n) {
        buffer_add(&c->out, SLICE("* VANISHED (EARLIER) "));
        uid_set_write(&shown, &c->out);
        buffer_add(&c->out, SLICE("\r\n"));
    }
    return gone.failed || shown.failed ? error_make(ERROR_MEMORY, "no memory for a set of messages") : OK;
}

/* RFC 7162 3.2.5.2: what vanished and what changed since the client was here. */
static struct error resync(struct connection *c, struct imap_session *s, struct sql *db, const struct qresync *q, const struct keyword_map *map, int64_t gonefloor)
{
    if (q->uidvalidity != s->box.uidvalidity)
        return OK; /* the client starts anew */
    TRY(write_vanished(c, s, db, q, gonefloor));
    SCOPED(item_scan_end) struct item_scan scan;
    struct item item;
    item_scan_begin(db, s->box.collection, 1, UINT32_MAX, (int64_t)q->modseq, &scan);
    while (item_next(&scan, &item)) {
        if (q->uids.p && !uid_set_has(&q->known, item.uid))
            continue;
        buffer_printf(&c->out, "* %u FETCH (UID %u ", uid_set_number_of(&s->box.view, item.uid), item.uid);
        imap_flags_write(map, item.flags, item.kw, &c->out);
        buffer_printf(&c->out, " MODSEQ (%lld))\r\n", (long long)item.modseq);
    }
    return item_scan_result(&scan);
}

static struct error select_mailbox(struct connection *c, struct imap_session *s, struct slice path, int read_only, const struct qresync *q)
{
    struct mailbox m;
    struct keyword_map map;
    uint32_t unseen = 0;
    struct sql *db = store_reader(s->server->store);
    struct error e = mailbox_find(db, s->account, path, &c->arena, &m);
    if (e.code == ERROR_NONE && !(m.rights & RIGHT_READ))
        e = error_make(ERROR_DENIED, "you may not read this mailbox");
    store_reader_return(&db);
    TRY(e);
    s->box.watch = watch_join(s->server->store, m.c.id, on_change, c); /* before the snapshot that is shown: nothing is missed between */
    if (!s->box.watch)
        return error_make(ERROR_MEMORY, "no memory for a watch");
    SCOPED(store_reader_return) struct sql *now = store_reader(s->server->store);
    TRY(mailbox_find(now, s->account, path, &c->arena, &m));
    TRY(open_box(s, now, &m, read_only));
    TRY(keyword_map_get(now, m.c.account, &c->arena, &map));
    if (!(s->enabled & ENABLED_REV2)) /* only rev1 tells it */
        TRY(view_first_unseen(now, &m.c, &unseen));
    s->state = STATE_SELECTED;
    write_state(c, s, &m, &map, unseen, unseen ? uid_set_number_of(&s->box.view, unseen) : 0);
    if (q->given)
        TRY(resync(c, s, now, q, &map, m.c.gonefloor));
    return OK;
}

static struct error select_run(struct connection *c, struct imap_session *s, struct imap_args *a, struct qresync *q)
{
    struct slice path;
    int examine = slice_eq(s->row->name, SLICE("EXAMINE")), was_open = s->state == STATE_SELECTED;
    TRY(args_space(a));
    TRY(imap_mailbox_arg(s, a, &path));
    TRY(read_parameters(s, a, q));
    TRY(args_end(a));
    imap_box_close(s); /* also when what follows fails (RFC 9051 6.3.2) */
    if (was_open)
        buffer_add(&c->out, SLICE("* OK [CLOSED] the former mailbox is closed\r\n"));
    struct error e = select_mailbox(c, s, path, examine, q);
    if (e.code != ERROR_NONE) {
        imap_box_close(s);
        return e;
    }
    s->condstore_told |= s->enabled & ENABLED_CONDSTORE; /* the state above has HIGHESTMODSEQ */
    int may_write = s->box.rights & (RIGHT_WRITE | RIGHT_SEEN | RIGHT_DELETE | RIGHT_INSERT | RIGHT_EXPUNGE); /* RFC 4314 5.2 */
    s->ok_code = s->box.read_only || !may_write ? SLICE("[READ-ONLY] ") : SLICE("[READ-WRITE] ");
    return OK;
}

struct error imap_select_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct qresync q = {0};
    struct error e = select_run(c, s, a, &q);
    qresync_free(&q);
    return e;
}

static struct error expunge_change(struct sql *db, void *arg)
{
    struct imap_session *s = arg;
    TRY(grant_check(db, s->box.collection, s->account, RIGHT_EXPUNGE));
    return item_expunge(db, imap_actor(s), s->box.collection, NULL, FLAG_DELETED, NULL);
}

struct error imap_close_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    (void)c;
    TRY(args_end(a));
    if (!s->box.read_only && s->box.rights & RIGHT_EXPUNGE) { /* without the right CLOSE expunges nothing (RFC 4314 4) */
        int some = 1;
        struct error e = imap_look_for_deleted(s, &some);
        if (e.code == ERROR_NONE && some)
            e = store_change(s->server->store, expunge_change, s);
        if (e.code != ERROR_NONE && e.code != ERROR_DENIED && e.code != ERROR_NOT_FOUND)
            return e;
    }
    imap_box_close(s);
    return OK;
}

struct error imap_unselect_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    (void)c;
    TRY(args_end(a));
    imap_box_close(s);
    return OK;
}

/* --- STATUS */

enum { ITEM_MESSAGES, ITEM_UIDNEXT, ITEM_UIDVALIDITY, ITEM_UNSEEN, ITEM_RECENT, ITEM_DELETED, ITEM_SIZE, ITEM_HIGHESTMODSEQ, ITEM_APPENDLIMIT, ITEM_COUNT };

static const struct slice item_names[ITEM_COUNT] = {{"MESSAGES", 8}, {"UIDNEXT", 7}, {"UIDVALIDITY", 11}, {"UNSEEN", 6}, {"RECENT", 6}, {"DELETED", 7}, {"SIZE", 4}, {"HIGHESTMODSEQ", 13}, {"APPENDLIMIT", 11}};

struct error imap_status_items(struct imap_args *a, int *items)
{
    *items = 0;
    if (!args_take(a, '('))
        return imap_bad("STATUS items stand in parentheses");
    while (!args_take(a, ')')) {
        struct slice word;
        int i = 0;
        if (*items)
            TRY(args_space(a));
        TRY(args_atom(a, NULL, &word));
        while (i < ITEM_COUNT && !slice_eq_nocase(word, item_names[i]))
            i++;
        if (i == ITEM_COUNT)
            return imap_bad("that STATUS item is not known");
        *items |= 1 << i;
    }
    return *items ? OK : imap_bad("STATUS names at least one item");
}

void imap_status_write(struct imap_session *s, const struct mailbox *m, int items, struct buffer *out)
{
    const int64_t values[ITEM_COUNT] = {m->c.n_all, m->c.uidnext, m->c.uidvalidity, m->c.n_unseen, 0, m->c.n_deleted, m->c.bytes, m->c.modseq ? m->c.modseq : 1, s->server->config->max_message};
    int some = 0;
    buffer_add(out, SLICE("* STATUS "));
    imap_mailbox_write(s, m->path, out);
    buffer_add(out, SLICE(" ("));
    for (int i = 0; i < ITEM_COUNT; i++) {
        if (!(items >> i & 1))
            continue;
        if (some++)
            buffer_add_char(out, ' ');
        buffer_add(out, item_names[i]);
        buffer_printf(out, " %lld", (long long)values[i]);
    }
    buffer_add(out, SLICE(")\r\n"));
}

struct error imap_status_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct slice path;
    struct mailbox m;
    int items;
    TRY(args_space(a));
    TRY(imap_mailbox_arg(s, a, &path));
    TRY(args_space(a));
    TRY(imap_status_items(a, &items));
    TRY(args_end(a));
    if (items >> ITEM_HIGHESTMODSEQ & 1)
        s->enabled |= ENABLED_CONDSTORE; /* RFC 7162 3.1 */
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(mailbox_find(db, s->account, path, &c->arena, &m));
    if (!(m.rights & RIGHT_READ))
        return error_make(ERROR_DENIED, "you may not read this mailbox");
    imap_status_write(s, &m, items, &c->out);
    return OK;
}
