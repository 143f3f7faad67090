/* mail/imap/sync.c -- what changed since the client was last told: EXPUNGE, EXISTS, FETCH of flags (RFC 9051 5.2, 7.4, 7.5; RFC 7162 3)
 *
 * Two marks: what arrived or changed is shown up to modseq, what vanished up to gone_modseq. In the answer of FETCH, STORE and SEARCH by number no EXPUNGE
 * may come (7.5.1), so the second mark stays behind until the next command that allows it.
 */
#include "mail/imap/internal.h"

int imap_has_news(const struct imap_session *s)
{
    if (!s->box.collection)
        return 0;
    return watch_modseq(s->box.watch) > s->box.heard || s->box.gone_pending;
}

struct error imap_set_arg(struct imap_session *s, struct imap_args *a, int by_uid, struct uid_set *out)
{
    struct slice text;
    SCOPED(uid_set_free) struct uid_set numbers = {0};
    if (args_take(a, '$')) { /* RFC 5182 2.1 */
        uid_set_intersect(out, &s->saved, &s->box.view);
        return OK;
    }
    TRY(args_atom(a, "*", &text));
    uint64_t count = uid_set_count(&s->box.view);
    uint32_t last = uid_set_max(&s->box.view);
    TRY(uid_set_read(&numbers, text, by_uid ? last : (uint32_t)count));
    uid_set_clear(out);
    if (by_uid) {
        uid_set_intersect(out, &numbers, &s->box.view);
        return OK;
    }
    /* numbers to uids: both are ascending, so one walk */
    uint64_t before = 0;
    size_t i = 0;
    for (size_t k = 0; k < s->box.view.n && i < numbers.n; k++) {
        struct uid_range r = s->box.view.ranges[k];
        uint64_t n = (uint64_t)r.hi - r.lo + 1;
        while (i < numbers.n && numbers.ranges[i].lo <= before + n) {
            uint64_t lo = numbers.ranges[i].lo > before ? numbers.ranges[i].lo - before - 1 : 0;
            uint64_t hi = numbers.ranges[i].hi < before + n ? numbers.ranges[i].hi - before - 1 : n - 1;
            if (numbers.ranges[i].hi > before)
                uid_set_add(out, (uint32_t)(r.lo + lo), (uint32_t)(r.lo + hi));
            if (numbers.ranges[i].hi > before + n)
                break;
            i++;
        }
        before += n;
    }
    return out->failed ? error_make(ERROR_MEMORY, "no memory for a set of messages") : OK;
}

void imap_flags_write(const struct keyword_map *map, int64_t flags, struct slice kw, struct buffer *out)
{
    buffer_add(out, SLICE("FLAGS ("));
    keyword_write(map, flags, kw, out);
    buffer_add_char(out, ')');
}

/* EXPUNGE from the highest number down, so that no number moves before it is named; or VANISHED (RFC 7162 3.2.10). */
void imap_expunged(struct imap_session *s, const struct uid_set *gone, struct buffer *out)
{
    SCOPED(uid_set_free) struct uid_set shown = {0};
    uid_set_intersect(&shown, gone, &s->box.view);
    if (shown.n == 0)
        return;
    if (s->enabled & ENABLED_QRESYNC) {
        buffer_add(out, SLICE("* VANISHED "));
        uid_set_write(&shown, out);
        buffer_add(out, SLICE("\r\n"));
    } else {
        for (size_t i = shown.n; i-- > 0;) {
            uint32_t number = uid_set_number_of(&s->box.view, shown.ranges[i].lo);
            for (uint32_t k = shown.ranges[i].hi - shown.ranges[i].lo + 1; k-- > 0;) {
                buffer_add(out, SLICE("* "));
                buffer_add_number(out, (uint64_t)number + k);
                buffer_add(out, SLICE(" EXPUNGE\r\n"));
            }
        }
    }
    for (size_t i = 0; i < shown.n; i++)
        uid_set_remove(&s->box.view, shown.ranges[i].lo, shown.ranges[i].hi);
}

static struct error write_flags(struct connection *c, struct imap_session *s, struct sql *db, struct uid_range r, const struct keyword_map *map)
{
    struct item item;
    SCOPED(item_scan_end) struct item_scan scan;
    item_scan_begin(db, s->box.collection, r.lo, r.hi, s->box.modseq, &scan);
    while (item_next(&scan, &item)) {
        uint32_t number = uid_set_number_of(&s->box.view, item.uid);
        if (!number || (item.modseq <= s->box.told_modseq && uid_set_has(&s->box.told, item.uid)))
            continue;
        buffer_add(&c->out, SLICE("* "));
        buffer_add_number(&c->out, number);
        buffer_add(&c->out, SLICE(" FETCH (UID "));
        buffer_add_number(&c->out, item.uid);
        buffer_add_char(&c->out, ' ');
        imap_flags_write(map, item.flags, item.kw, &c->out);
        if (s->enabled & ENABLED_CONDSTORE) {
            buffer_add(&c->out, SLICE(" MODSEQ ("));
            buffer_add_number(&c->out, (uint64_t)item.modseq);
            buffer_add_char(&c->out, ')');
        }
        buffer_add(&c->out, SLICE(")\r\n"));
    }
    return item_scan_result(&scan);
}

/* New keywords of the mailbox are announced before a message has them (RFC 9051 7.3.5). */
static void announce_keywords(struct connection *c, struct imap_session *s, const struct collection *now, const struct keyword_map *map)
{
    if ((now->keywords & ~s->box.keywords) == 0)
        return;
    s->box.keywords |= now->keywords;
    buffer_add(&c->out, SLICE("* FLAGS ("));
    keyword_write(map, s->box.keywords | 31, SLICE(""), &c->out);
    buffer_add(&c->out, SLICE(")\r\n"));
}

static struct error show_changes(struct connection *c, struct imap_session *s, struct sql *db, const struct collection *now)
{
    SCOPED(uid_set_free) struct uid_set changed = {0};
    struct keyword_map map;
    TRY(item_changed(db, s->box.collection, s->box.modseq, &changed));
    if (changed.n == 0)
        return OK;
    TRY(keyword_map_get(db, s->box.account, &c->arena, &map));
    announce_keywords(c, s, now, &map);
    for (size_t i = 0; i < changed.n; i++) { /* old ones first, then EXISTS, then nothing about new ones: the client asks for them */
        struct uid_range r = changed.ranges[i];
        if (r.lo >= s->box.uidnext)
            break;
        if (r.hi >= s->box.uidnext)
            r.hi = s->box.uidnext - 1;
        TRY(write_flags(c, s, db, r, &map));
    }
    if (uid_set_max(&changed) < s->box.uidnext)
        return OK;
    uint32_t uidnext = s->box.uidnext;
    for (size_t i = 0; i < changed.n; i++)
        if (changed.ranges[i].hi >= uidnext)
            uid_set_add(&s->box.view, changed.ranges[i].lo < uidnext ? uidnext : changed.ranges[i].lo, changed.ranges[i].hi);
    s->box.uidnext = uid_set_max(&changed) + 1;
    buffer_add(&c->out, SLICE("* "));
    buffer_add_number(&c->out, uid_set_count(&s->box.view));
    buffer_add(&c->out, SLICE(" EXISTS\r\n"));
    if (!(s->enabled & ENABLED_REV2))
        buffer_add(&c->out, SLICE("* 0 RECENT\r\n"));
    return s->box.view.failed ? error_make(ERROR_MEMORY, "no memory for a view") : OK;
}

/* The mailbox was deleted, or is no longer shared with this person. */
static struct error lost(struct connection *c)
{
    buffer_add(&c->out, SLICE("* BYE the selected mailbox is gone\r\n"));
    return error_make(ERROR_CLOSED, "the selected mailbox is gone");
}

struct error imap_still_allowed(struct connection *c, struct imap_session *s)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct error e = grant_rights(db, s->box.collection, s->account, &s->box.rights);
    if (e.code != ERROR_NONE && e.code != ERROR_NOT_FOUND)
        return e;
    return e.code == ERROR_NONE && s->box.rights & RIGHT_READ ? OK : lost(c);
}

struct error imap_highest_code(struct connection *c, struct imap_session *s)
{
    struct collection now;
    if (!(s->enabled & ENABLED_QRESYNC))
        return OK;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(collection_get(db, s->box.collection, &c->arena, &now));
    s->ok_code = slice_of(arena_printf(&c->arena, "[HIGHESTMODSEQ %lld] ", (long long)now.modseq));
    return OK;
}

/* While an expunge waits a client may not take a higher MODSEQ that it has seen for the state it knows (RFC 7162 3.2, 6). */
static void hold_back(struct connection *c, const struct imap_session *s)
{
    if (s->box.gone_pending && s->enabled & ENABLED_QRESYNC)
        buffer_printf(&c->out, "* OK [HIGHESTMODSEQ %lld] expunges are told later\r\n", (long long)s->box.gone_modseq);
}

/* The news in one snapshot. Without EXPUNGE: rows that are in the view and no more in the mailbox are still to be told. */
static struct error show_news(struct connection *c, struct imap_session *s, struct sql *db, const struct collection *now, enum imap_sync how)
{
    SCOPED(uid_set_free) struct uid_set gone = {0};
    if (how == SYNC_ALL) {
        TRY(item_vanished(db, s->box.collection, s->box.gone_modseq, &gone));
        imap_expunged(s, &gone, &c->out);
    }
    if (s->box.modseq < now->modseq)
        TRY(show_changes(c, s, db, now));
    if (how == SYNC_ALL) /* what came and went in between was never in the view, or is out of it again */
        imap_expunged(s, &gone, &c->out);
    s->box.modseq = now->modseq;
    s->box.gone_pending = how != SYNC_ALL && uid_set_count(&s->box.view) != (uint64_t)now->n_all;
    if (!s->box.gone_pending)
        s->box.gone_modseq = now->modseq;
    return OK;
}

struct error imap_sync(struct connection *c, struct imap_session *s, enum imap_sync how)
{
    struct collection now;
    int64_t published = watch_modseq(s->box.watch);
    int rights;
    if (published <= s->box.heard && !(how == SYNC_ALL && s->box.gone_pending)) {
        uid_set_clear(&s->box.told);
        hold_back(c, s);
        return OK;
    }
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct error e = collection_get(db, s->box.collection, &c->arena, &now);
    if (e.code == ERROR_NONE)
        e = grant_rights(db, s->box.collection, s->account, &rights);
    if (e.code == ERROR_NOT_FOUND || (e.code == ERROR_NONE && (!(rights & RIGHT_READ) || now.role == ROLE_LEVEL)))
        return lost(c);
    TRY(e);
    s->box.rights = rights;
    TRY(show_news(c, s, db, &now, how));
    s->box.heard = published > now.modseq ? published : now.modseq;
    hold_back(c, s);
    uid_set_clear(&s->box.told);
    return OK;
}
