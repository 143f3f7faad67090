/* mail/imap/store.c -- STORE, COPY, MOVE and EXPUNGE with their UID forms (RFC 9051 6.4.3, 6.4.6 to 6.4.9; RFC 7162 3.1.3) */
#include "mail/imap/internal.h"

/* --- STORE */

struct storing {
    struct imap_session *s;
    const struct uid_set *uids;
    struct slice *flags;
    size_t n_flags;
    enum { STORE_SET, STORE_ADD, STORE_REMOVE } mode;
    int64_t unchanged_since;
    struct uid_set changed, refused;
    struct uid_set foreign; /* changed by somebody else, and not told yet */
};

static int64_t allowed_flags(int rights)
{
    return (rights & RIGHT_SEEN ? FLAG_SEEN : 0) | (rights & RIGHT_DELETE ? FLAG_DELETED : 0) | (rights & RIGHT_WRITE ? ~(int64_t)(FLAG_SEEN | FLAG_DELETED) : 0);
}

/* What the actor has no right to stays as it is (RFC 4314 4). */
static void limit_to_rights(struct flag_change *x, int rights)
{
    x->keep |= ~allowed_flags(rights);
    x->set &= allowed_flags(rights);
    if (!(rights & RIGHT_WRITE)) {
        x->kw_mode = KW_EDIT;
        x->kw_add = x->kw_remove = SLICE("");
    }
}

static struct error store_change_run(struct sql *db, void *arg)
{
    struct storing *x = arg;
    struct buffer kw = {0};
    struct flag_change change = {.keep = -1, .kw_add = SLICE(""), .kw_remove = SLICE("")};
    int64_t bits;
    int rights;
    TRY(grant_check(db, x->s->box.collection, x->s->account, RIGHT_READ));
    TRY(grant_rights(db, x->s->box.collection, x->s->account, &rights));
    struct error e = keyword_resolve(db, x->s->box.account, x->flags, x->n_flags, &bits, &kw);
    struct slice words = buffer_slice(&kw);
    if (x->mode == STORE_SET) {
        change.keep = 0;
        change.set = bits;
        change.kw_mode = KW_REPLACE;
        change.kw_add = words;
    } else if (x->mode == STORE_ADD) {
        change.set = bits;
        change.kw_add = words;
    } else {
        change.keep = ~bits;
        change.kw_remove = words;
    }
    int asked = x->n_flags > 0, may_one = (bits & allowed_flags(rights)) != 0 || (words.n && rights & RIGHT_WRITE);
    if (e.code == ERROR_NONE && (asked ? !may_one : !allowed_flags(rights))) /* one allowed flag is enough: clients take a NO badly (RFC 4314 4) */
        e = error_make(ERROR_DENIED, "you may not change these flags here");
    if (e.code == ERROR_NONE)
        e = item_changed(db, x->s->box.collection, x->s->box.modseq, &x->foreign);
    limit_to_rights(&change, rights);
    if (e.code == ERROR_NONE)
        e = item_store(db, imap_actor(x->s), x->s->box.collection, x->uids, &change, x->unchanged_since, &x->changed, &x->refused);
    buffer_free(&kw);
    return e;
}

static struct error read_store(struct imap_session *s, struct imap_args *a, struct storing *x, int *silent)
{
    uint64_t since;
    x->unchanged_since = -1;
    TRY(args_space(a));
    if (args_take(a, '(')) {
        if (!args_word(a, SLICE("UNCHANGEDSINCE")))
            return imap_bad("only UNCHANGEDSINCE is known");
        TRY(args_space(a));
        TRY(args_number(a, INT64_MAX, &since));
        if (!args_take(a, ')'))
            return imap_bad("a parenthesis is missing");
        TRY(args_space(a));
        x->unchanged_since = (int64_t)since;
        s->enabled |= ENABLED_CONDSTORE;
    }
    x->mode = args_take(a, '+') ? STORE_ADD : args_take(a, '-') ? STORE_REMOVE : STORE_SET;
    *silent = args_word(a, SLICE("FLAGS.SILENT"));
    if (!*silent && !args_word(a, SLICE("FLAGS")))
        return imap_bad("FLAGS, +FLAGS or -FLAGS was expected");
    TRY(args_space(a));
    TRY(args_flags(a, &x->flags, &x->n_flags));
    return args_end(a);
}

/* The flags as they stand now; under CONDSTORE a silent STORE still tells the new MODSEQ. */
static struct error show_stored(struct connection *c, struct imap_session *s, const struct uid_set *uids, const struct storing *x, int silent)
{
    struct keyword_map map;
    struct collection now;
    const struct uid_set *shown = silent ? &x->changed : uids;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(keyword_map_get(db, s->box.account, &c->arena, &map));
    TRY(collection_get(db, s->box.collection, &c->arena, &now));
    if ((now.keywords & ~s->box.keywords) != 0) {
        s->box.keywords |= now.keywords;
        buffer_add(&c->out, SLICE("* FLAGS ("));
        keyword_write(&map, s->box.keywords | 31, SLICE(""), &c->out);
        buffer_add(&c->out, SLICE(")\r\n"));
    }
    for (size_t i = 0; i < shown->n && (!silent || s->enabled & ENABLED_CONDSTORE); i++) {
        struct item item;
        SCOPED(item_scan_end) struct item_scan scan;
        item_scan_begin(db, s->box.collection, shown->ranges[i].lo, shown->ranges[i].hi, -1, &scan);
        uint32_t base = uid_set_number_of(&s->box.view, shown->ranges[i].lo), lo = shown->ranges[i].lo;
        while (item_next(&scan, &item)) { /* a range of uids that are all in the view: numbers run along */
            buffer_add(&c->out, SLICE("* "));
            buffer_add_number(&c->out, (uint64_t)base + item.uid - lo);
            buffer_add(&c->out, SLICE(" FETCH (UID "));
            buffer_add_number(&c->out, item.uid);
            if (!silent) {
                buffer_add_char(&c->out, ' ');
                imap_flags_write(&map, item.flags, item.kw, &c->out);
            }
            if (s->enabled & ENABLED_CONDSTORE) {
                buffer_add(&c->out, SLICE(" MODSEQ ("));
                buffer_add_number(&c->out, (uint64_t)item.modseq);
                buffer_add_char(&c->out, ')');
            }
            buffer_add(&c->out, SLICE(")\r\n"));
        }
        TRY(item_scan_result(&scan));
    }
    if (silent) /* what others did to these flags is news in any case (RFC 9051 6.4.6) */
        uid_set_subtract(&s->box.told, uids, &x->foreign);
    else
        uid_set_copy(&s->box.told, uids);
    s->box.told_modseq = now.modseq;
    return OK;
}

static struct error store_and_show(struct connection *c, struct imap_session *s, struct imap_args *a, struct storing *x, struct uid_set *uids)
{
    int silent = 0;
    TRY(imap_set_arg(s, a, s->row->by == BY_UID, uids));
    TRY(read_store(s, a, x, &silent));
    if (s->box.read_only)
        return imap_no("[READ-ONLY] the mailbox was opened with EXAMINE");
    if (uids->n == 0)
        return OK;
    x->uids = uids;
    TRY(store_change(s->server->store, store_change_run, x));
    SCOPED(uid_set_free) struct uid_set done = {0};
    uid_set_subtract(&done, uids, &x->refused);
    TRY(show_stored(c, s, &done, x, silent));
    if (x->refused.n == 0)
        return OK;
    struct buffer b = {0}; /* RFC 7162 3.1.3: what was not stored, in the numbers of this command */
    SCOPED(uid_set_free) struct uid_set numbers = {0};
    if (s->row->by == BY_NUMBER) {
        for (size_t i = 0; i < x->refused.n; i++)
            for (uint32_t uid = x->refused.ranges[i].lo; uid <= x->refused.ranges[i].hi; uid++)
                uid_set_add(&numbers, uid_set_number_of(&s->box.view, uid), uid_set_number_of(&s->box.view, uid));
    }
    buffer_add(&b, SLICE("[MODIFIED "));
    uid_set_write(s->row->by == BY_UID ? &x->refused : &numbers, &b);
    buffer_add(&b, SLICE("] "));
    s->ok_code = arena_copy(&c->arena, buffer_slice(&b));
    s->ok = "some were changed by others";
    buffer_free(&b);
    return OK;
}

struct error imap_store_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct storing x = {.s = s};
    SCOPED(uid_set_free) struct uid_set uids = {0};
    TRY(args_space(a));
    struct error e = store_and_show(c, s, a, &x, &uids);
    uid_set_free(&x.changed);
    uid_set_free(&x.refused);
    uid_set_free(&x.foreign);
    return e;
}

/* --- COPY and MOVE */

struct copying {
    struct imap_session *s;
    int move;
    int64_t to;
    struct uid_set uids, from, assigned;
};

/* Thread: writer. Rights are looked at here: they may have changed since the command was parsed. */
static struct error copy_change(struct sql *db, void *arg)
{
    struct copying *x = arg;
    TRY(grant_check(db, x->s->box.collection, x->s->account, x->move ? RIGHT_READ | RIGHT_DELETE | RIGHT_EXPUNGE : RIGHT_READ));
    TRY(grant_check(db, x->to, x->s->account, RIGHT_INSERT));
    int rights;
    TRY(grant_rights(db, x->to, x->s->account, &rights));
    int64_t keep = allowed_flags(rights); /* RFC 4314 4: without the right to set a flag there it does not come along */
    return x->move ? item_move(db, imap_actor(x->s), x->s->box.collection, x->to, &x->uids, keep, &x->from, &x->assigned)
                   : item_copy(db, imap_actor(x->s), x->s->box.collection, x->to, &x->uids, keep, &x->from, &x->assigned);
}

static struct error find_target(struct imap_session *s, struct slice path, struct arena *a, struct mailbox *out)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct error e = mailbox_find(db, s->account, path, a, out);
    return e.code == ERROR_NOT_FOUND ? imap_no("[TRYCREATE] no such mailbox") : e; /* RFC 9051 6.4.7 */
}

static struct error copy_or_move(struct connection *c, struct imap_session *s, struct imap_args *a, struct copying *x)
{
    struct slice path;
    struct mailbox target;
    TRY(args_space(a));
    TRY(imap_set_arg(s, a, s->row->by == BY_UID, &x->uids));
    TRY(args_space(a));
    TRY(imap_mailbox_arg(s, a, &path));
    TRY(args_end(a));
    if (x->move && s->box.read_only)
        return imap_no("[READ-ONLY] the mailbox was opened with EXAMINE");
    TRY(find_target(s, path, &c->arena, &target));
    if (x->uids.n == 0)
        return OK; /* uids that are gone are no error (clients.md I28) */
    x->to = target.c.id;
    if (x->move && x->to == s->box.collection)
        return OK; /* it is there already */
    TRY(store_change(s->server->store, copy_change, x));
    if (x->from.n == 0)
        return OK; /* another session was faster; an empty COPYUID would be a syntax error */
    struct buffer b = {0};
    buffer_printf(&b, "[COPYUID %u ", target.c.uidvalidity);
    uid_set_write(&x->from, &b);
    buffer_add_char(&b, ' ');
    uid_set_write(&x->assigned, &b);
    buffer_add(&b, SLICE("] "));
    if (x->move) { /* RFC 9051 6.4.8: COPYUID comes before the EXPUNGE responses */
        buffer_add(&c->out, SLICE("* OK "));
        buffer_add(&c->out, buffer_slice(&b));
        buffer_add(&c->out, SLICE("moved\r\n"));
        imap_expunged(s, &x->from, &c->out);
        buffer_free(&b);
        return imap_highest_code(c, s);
    } else {
        s->ok_code = arena_copy(&c->arena, buffer_slice(&b));
    }
    buffer_free(&b);
    return OK;
}

static struct error run_copy(struct connection *c, struct imap_session *s, struct imap_args *a, int move)
{
    struct copying x = {.s = s, .move = move};
    struct error e = copy_or_move(c, s, a, &x);
    uid_set_free(&x.uids);
    uid_set_free(&x.from);
    uid_set_free(&x.assigned);
    return e;
}

struct error imap_copy_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    return run_copy(c, s, a, 0);
}

struct error imap_move_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    return run_copy(c, s, a, 1);
}

/* --- EXPUNGE */

struct expunging {
    struct imap_session *s;
    const struct uid_set *uids;
    struct uid_set gone;
};

static struct error expunge_change(struct sql *db, void *arg)
{
    struct expunging *x = arg;
    TRY(grant_check(db, x->s->box.collection, x->s->account, RIGHT_EXPUNGE));
    return item_expunge(db, imap_actor(x->s), x->s->box.collection, x->uids, FLAG_DELETED, &x->gone);
}

struct error imap_look_for_deleted(struct imap_session *s, int *some)
{
    struct arena a;
    struct collection c = {.n_deleted = 0};
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(grant_check(db, s->box.collection, s->account, RIGHT_EXPUNGE));
    arena_init(&a, 64 * 1024);
    struct error e = collection_get(db, s->box.collection, &a, &c);
    arena_free(&a);
    *some = c.n_deleted > 0;
    return e;
}

struct error imap_expunge_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct expunging x = {.s = s};
    SCOPED(uid_set_free) struct uid_set uids = {0};
    if (s->row->by == BY_UID) {
        TRY(args_space(a));
        TRY(imap_set_arg(s, a, 1, &uids));
        x.uids = &uids;
    }
    TRY(args_end(a));
    if (s->box.read_only)
        return imap_no("[READ-ONLY] the mailbox was opened with EXAMINE");
    if (x.uids && uids.n == 0)
        return OK;
    int some = 1;
    struct error e = imap_look_for_deleted(s, &some);
    if (e.code == ERROR_NONE && some)
        e = store_change(s->server->store, expunge_change, &x);
    if (e.code == ERROR_NONE)
        imap_expunged(s, &x.gone, &c->out);
    uid_set_free(&x.gone);
    return e.code == ERROR_NONE ? imap_highest_code(c, s) : e;
}
