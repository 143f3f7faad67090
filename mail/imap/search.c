/* mail/imap/search.c -- SEARCH and UID SEARCH (RFC 9051 6.4.4): rows first, bodies only where a key needs them and nothing cheaper decided
 *
 * The walk gives its worker back after STEP_MS, so that a search through bodies of 100,000 messages holds nobody up.
 */
#include "mail/imap/search.h"

#include "core/clock.h"
#include "mail/mime/date.h"
#include "mail/mime/header.h"
#include "mail/mime/text.h"
#include "mail/mime/words.h"
#include "mail/mime/charset.h"

/* A message under test; its texts are made when the first key asks for them. */
struct subject {
    struct imap_session *s;
    struct sql *db;
    const struct item *item;
    const struct message_index *index;
    struct arena *arena;
    struct slice bytes;
    struct buffer head, body;
    int have_bytes, have_head, have_body;
    struct error failed;
};

static bool contains(struct slice text, struct slice what)
{
    return what.n == 0 || memmem(text.p, text.n, what.p, what.n) != NULL;
}

/* The nth text of the sort key: From, To, Cc, Subject. */
static struct slice sort_text(const struct subject *m, int nth)
{
    struct slice s = m->index->sortkey.p ? m->index->sortkey : SLICE("");
    while (nth-- > 0)
        s = slice_after(s, slice_find(s, '\0') + 1);
    return slice_first(s, slice_find(s, '\0'));
}

static bool load(struct subject *m)
{
    if (m->have_bytes)
        return m->failed.code == ERROR_NONE;
    m->have_bytes = 1;
    m->failed = blob_read(m->db, m->item->blob, 0, INT64_MAX, m->arena, &m->bytes);
    return m->failed.code == ERROR_NONE;
}

static bool in_head(struct subject *m, struct slice what)
{
    if (!load(m))
        return false;
    if (!m->have_head)
        text_of_head(slice_first(m->bytes, header_length(m->bytes)), m->arena, &m->head);
    m->have_head = 1;
    return contains(buffer_slice(&m->head), what);
}

static bool in_body(struct subject *m, struct slice what)
{
    if (!load(m))
        return false;
    if (!m->have_body)
        m->failed = text_of_bodies(m->bytes, m->arena, &m->body);
    m->have_body = 1;
    return contains(buffer_slice(&m->body), what);
}

/* HEADER name text: an empty text asks whether the field is there. */
static bool in_field(struct subject *m, struct slice name, struct slice what)
{
    struct header_field f;
    bool found = false;
    if (!load(m))
        return false;
    struct slice head = slice_first(m->bytes, header_length(m->bytes));
    while (!found && header_next(&head, &f)) {
        struct buffer text = {0}, folded = {0};
        if (!slice_eq_nocase(f.name, name))
            continue;
        words_decode(header_unfold(f.value, m->arena), &text);
        charset_fold(buffer_slice(&text), 4 * buffer_length(&text) + 16, &folded);
        found = contains(buffer_slice(&folded), what);
        buffer_free(&text);
        buffer_free(&folded);
    }
    return found;
}

/* A field of the index; the message is read only where the index has its beginning only, or no row. */
static bool in_key(struct subject *m, int nth, struct slice name, struct slice what)
{
    struct slice key = sort_text(m, nth);
    if (contains(key, what))
        return true;
    return (key.n >= MESSAGE_KEY_WHOLE || !m->index->sortkey.p) && in_field(m, name, what);
}

static bool leaf(struct subject *m, const struct search_key *k)
{
    int64_t day = m->item->received / 86400, sent = m->index && m->index->sent ? m->index->sent / 86400 : day;
    switch (k->kind) {
    case KEY_ALL:
        return true;
    case KEY_SET:
        return uid_set_has(k->set, m->item->uid);
    case KEY_FLAGS:
        return (m->item->flags & k->mask) == k->value;
    case KEY_KEYWORD: {
        bool has = k->value ? (m->item->flags & k->value) != 0 : k->text.n && contains(m->item->kw, k->text);
        return has == (k->mask != 0);
    }
    case KEY_MODSEQ:
        return m->item->modseq >= k->value;
    case KEY_LARGER:
        return m->item->size > k->value;
    case KEY_SMALLER:
        return m->item->size < k->value;
    case KEY_BEFORE:
        return day < k->value;
    case KEY_ON:
        return day == k->value;
    case KEY_SINCE:
        return day >= k->value;
    case KEY_SENTBEFORE:
        return sent < k->value;
    case KEY_SENTON:
        return sent == k->value;
    case KEY_SENTSINCE:
        return sent >= k->value;
    case KEY_FROM:
        return in_key(m, 0, SLICE("From"), k->text);
    case KEY_TO:
        return in_key(m, 1, SLICE("To"), k->text);
    case KEY_CC:
        return in_key(m, 2, SLICE("Cc"), k->text);
    case KEY_SUBJECT:
        return in_key(m, 3, SLICE("Subject"), k->text);
    case KEY_HEADER:
        return in_field(m, k->name, k->text);
    case KEY_BODY:
        return in_body(m, k->text);
    default:
        return in_head(m, k->text) || in_body(m, k->text);
    }
}

/* Depth is bounded by SEARCH_DEPTH_MAX. Cheap keys of an AND decide before dear ones. */
static bool test(struct subject *m, const struct search *x, uint32_t index)
{
    const struct search_key *k = &x->keys[index];
    if (k->kind > KEY_NOT)
        return leaf(m, k);
    if (k->kind == KEY_NOT)
        return !test(m, x, k->first);
    for (int dear = 0; dear <= 1; dear++) {
        for (uint32_t i = k->first; i; i = x->keys[i].next) {
            int is_dear = x->keys[i].kind <= KEY_NOT || x->keys[i].kind >= KEY_HEADER;
            if (is_dear != dear)
                continue;
            bool t = test(m, x, i);
            if (t == (k->kind == KEY_OR))
                return t;
        }
    }
    return k->kind == KEY_AND;
}

/* --- the answer */

static void add_number(const struct imap_session *s, struct uid_set *out, uint32_t uid)
{
    uint32_t n = s->row->by == BY_UID ? uid : uid_set_number_of(&s->box.view, uid);
    uid_set_add(out, n, n);
}

static void write_plain(struct connection *c, const struct imap_session *s, const struct search *x)
{
    buffer_add(&c->out, SLICE("* SEARCH"));
    uint64_t before = 0;
    size_t range = 0;
    const struct uid_set *v = &s->box.view;
    for (size_t i = 0; i < x->found.n; i++) {
        for (uint32_t uid = x->found.ranges[i].lo;; uid++) {
            uint64_t number = uid;
            if (s->row->by == BY_NUMBER) {
                while (v->ranges[range].hi < uid) {
                    before += (uint64_t)v->ranges[range].hi - v->ranges[range].lo + 1;
                    range++;
                }
                number = before + uid - v->ranges[range].lo + 1;
            }
            buffer_add_char(&c->out, ' ');
            buffer_add_number(&c->out, number);
            if (uid == x->found.ranges[i].hi)
                break;
        }
    }
    if (x->uses_modseq && x->found.n)
        buffer_printf(&c->out, " (MODSEQ %lld)", (long long)x->modseq);
    buffer_add(&c->out, SLICE("\r\n"));
}

/* RFC 4731 3.2: with MIN or MAX alone only the messages that they name count. */
static int64_t returned_modseq(const struct search *x)
{
    if (x->returns & (RETURN_ALL | RETURN_COUNT) || !(x->returns & (RETURN_MIN | RETURN_MAX)))
        return x->modseq;
    int64_t min = x->returns & RETURN_MIN ? x->first_modseq : 0, max = x->returns & RETURN_MAX ? x->last_modseq : 0;
    return min > max ? min : max;
}

static void write_extended(struct connection *c, const struct imap_session *s, const struct search *x)
{
    SCOPED(uid_set_free) struct uid_set numbers = {0};
    uint64_t count = uid_set_count(&x->found);
    if (x->returns == RETURN_SAVE)
        return; /* RFC 5182 2.1: nothing is shown */
    buffer_printf(&c->out, "* ESEARCH (TAG \"%s\")", s->tag);
    if (s->row->by == BY_UID)
        buffer_add(&c->out, SLICE(" UID"));
    if (count && x->returns & (RETURN_MIN | RETURN_MAX)) {
        uint32_t lo = x->found.ranges[0].lo, hi = uid_set_max(&x->found);
        if (x->returns & RETURN_MIN)
            buffer_printf(&c->out, " MIN %u", s->row->by == BY_UID ? lo : uid_set_number_of(&s->box.view, lo));
        if (x->returns & RETURN_MAX)
            buffer_printf(&c->out, " MAX %u", s->row->by == BY_UID ? hi : uid_set_number_of(&s->box.view, hi));
    }
    if (x->returns & RETURN_COUNT)
        buffer_printf(&c->out, " COUNT %llu", (unsigned long long)count);
    if (count && x->returns & RETURN_ALL) {
        const struct uid_set *shown = &x->found;
        if (s->row->by == BY_NUMBER) {
            for (size_t i = 0; i < x->found.n; i++)
                for (uint32_t uid = x->found.ranges[i].lo; uid <= x->found.ranges[i].hi; uid++)
                    add_number(s, &numbers, uid);
            shown = &numbers;
        }
        buffer_add(&c->out, SLICE(" ALL "));
        uid_set_write(shown, &c->out);
    }
    if (x->uses_modseq && count)
        buffer_printf(&c->out, " MODSEQ %lld", (long long)returned_modseq(x));
    buffer_add(&c->out, SLICE("\r\n"));
}

/* RFC 5182 2.1: with MIN or MAX alone only these are saved. */
static void save(struct imap_session *s, const struct search *x)
{
    if (!(x->returns & RETURN_SAVE))
        return;
    if (x->returns & (RETURN_ALL | RETURN_COUNT) || !(x->returns & (RETURN_MIN | RETURN_MAX))) {
        uid_set_copy(&s->saved, &x->found);
        return;
    }
    uid_set_clear(&s->saved);
    if (x->found.n && x->returns & RETURN_MIN)
        uid_set_add(&s->saved, x->found.ranges[0].lo, x->found.ranges[0].lo);
    if (x->found.n && x->returns & RETURN_MAX)
        uid_set_add(&s->saved, uid_set_max(&x->found), uid_set_max(&x->found));
}

/* --- the walk */

static struct error search_step(struct connection *c, struct imap_session *s, struct imap_args *a);

static struct error walk(struct imap_session *s, struct sql *db, struct search *x, int64_t until, int *done)
{
    struct message_scan messages = {0};
    struct item_scan items = {0};
    struct message_index index = {0};
    struct item item;
    struct arena row;
    struct error e = OK;
    arena_init(&row, 256 * 1024 * 1024);
    if (x->needs_index)
        message_scan_begin(db, s->box.collection, x->next, UINT32_MAX, -1, MESSAGE_KEYS, &messages);
    else
        item_scan_begin(db, s->box.collection, x->next, UINT32_MAX, -1, &items);
    *done = 1;
    for (int n = 0; e.code == ERROR_NONE && (x->needs_index ? message_next(&messages, &item, &index) : item_next(&items, &item)); n++) {
        struct subject m = {.s = s, .db = db, .item = &item, .index = &index, .arena = &row};
        if (uid_set_has(&s->box.view, item.uid) && test(&m, x, 0)) {
            if (x->found.n == 0)
                x->first_modseq = item.modseq;
            uid_set_add(&x->found, item.uid, item.uid);
            x->last_modseq = item.modseq;
            if (item.modseq > x->modseq)
                x->modseq = item.modseq;
        }
        e = m.failed;
        x->next = item.uid + 1;
        buffer_free(&m.head);
        buffer_free(&m.body);
        if (row.blocks)
            arena_reset(&row);
        if ((n & 15) == 15 && clock_ms() > until) {
            *done = 0;
            break;
        }
    }
    if (e.code == ERROR_NONE && *done)
        e = x->needs_index ? message_scan_result(&messages) : item_scan_result(&items);
    if (x->needs_index)
        message_scan_end(&messages);
    else
        item_scan_end(&items);
    arena_free(&row);
    return e;
}

static struct error search_step(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct search *x = s->search;
    int done;
    struct error e;
    (void)a;
    {
        SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
        e = walk(s, db, x, clock_ms() + STEP_MS, &done);
    }
    if (e.code == ERROR_NONE && !done) {
        s->more = search_step;
        return OK;
    }
    s->more = NULL;
    if (e.code == ERROR_NONE) {
        save(s, x);
        if (x->extended || s->enabled & ENABLED_REV2) {
            if (!x->extended)
                x->returns = RETURN_ALL; /* RFC 9051 6.4.4: rev2 answers ESEARCH always */
            write_extended(c, s, x);
        } else {
            write_plain(c, s, x);
        }
    }
    search_drop(s);
    return e;
}

void search_drop(struct imap_session *s)
{
    if (s->search)
        search_free(s->search);
    s->search = NULL;
}

struct error imap_search_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct search *x = arena_zero(&c->arena, 1, sizeof *x);
    if (!x)
        return error_make(ERROR_MEMORY, "no memory for a SEARCH");
    s->search = x;
    struct error e = search_read(s, a, x);
    if (e.code == ERROR_NONE)
        return search_step(c, s, a);
    if (x->returns & RETURN_SAVE && e.code != ERROR_INVALID) /* RFC 5182 2.1: NO empties it, BAD does not */
        uid_set_clear(&s->saved);
    search_drop(s);
    return e;
}
