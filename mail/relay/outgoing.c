/* mail/relay/outgoing.c -- who signs for a message, and one pass over it */
#include "mail/relay/outgoing.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "mail/delivery/deliver.h"
#include "mail/dkim/seal.h"
#include "mail/mime/address.h"
#include "mail/mime/header.h"
#include "mail/relay/content.h"
#include "mail/signing/keys.h"
#include "mail/signing/signers.h"

enum { FIRST = 64 * 1024, PIECE = 256 * 1024, HEAD_MAX = 1 << 20, KEPT = 256, KEPT_MS = 15 * 60 * 1000 };

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a message that leaves")

/* --- what was made a moment ago: a message goes to many destinations one after the other */

static struct {
    pthread_mutex_t lock; /* guards the rest */
    struct kept {
        char epoch[24]; /* of the store: another one has other rows */
        int64_t id, made_ms;
        struct outgoing out; /* its slices belong to the slot: one piece of memory, head first */
    } slots[KEPT];
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool find_kept(const struct store *s, int64_t id, struct arena *a, struct outgoing *out)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&kept.lock);
    (void)held;
    const struct kept *k = &kept.slots[id % KEPT];
    if (strcmp(k->epoch, store_epoch(s)) != 0 || k->id != id || clock_ms() - k->made_ms > KEPT_MS)
        return false;
    *out = k->out;
    out->head = arena_copy(a, k->out.head);
    out->signed_by = arena_copy(a, k->out.signed_by);
    return out->head.p && out->signed_by.p;
}

static void keep(const struct store *s, int64_t id, const struct outgoing *out)
{
    char *copy = malloc(out->head.n + out->signed_by.n + 1);
    if (!copy)
        return;
    memcpy(copy, out->head.p, out->head.n);
    memcpy(copy + out->head.n, out->signed_by.p, out->signed_by.n);
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&kept.lock);
    (void)held;
    struct kept *k = &kept.slots[id % KEPT];
    free((void *)(uintptr_t)k->out.head.p);
    *k = (struct kept){.id = id, .made_ms = clock_ms(), .out = *out};
    (void)snprintf(k->epoch, sizeof k->epoch, "%s", store_epoch(s));
    k->out.head = slice_make(copy, out->head.n);
    k->out.signed_by = slice_make(copy + out->head.n, out->signed_by.n);
}

/* --- one pass */

struct making {
    struct store *store;
    const char *hostname;
    const struct queue_entry *entry;
    struct arena *arena;
    struct outgoing *out;
    struct buffer bytes; /* the beginning, with the whole head; then one piece after the other */
    struct slice head;   /* in the arena, without Return-Path */
    struct content content;
    struct signers with;
    struct dkim_sign *sign; /* NULL: nothing is signed */
    struct dkim_seal *seal; /* NULL: signed as our own; else sealed as something passed on */
    int64_t at, size;       /* read so far; all */
};

static struct error read_more(struct making *m, struct sql *db, int64_t n)
{
    size_t before = buffer_length(&m->bytes);
    TRY(blob_append(db, m->entry->blob, m->at, n, &m->bytes));
    size_t got = buffer_length(&m->bytes) - before;
    if (m->bytes.failed)
        return NO_MEMORY;
    if (got == 0)
        return error_make(ERROR_CORRUPT, "the content of a message is shorter than its row says");
    m->at += (int64_t)got;
    return OK;
}

/* Until the head is whole, or too long for anybody. */
static struct error read_head(struct making *m, struct sql *db)
{
    size_t n = 0;
    TRY(blob_size(db, m->entry->blob, &m->size));
    while (m->at < m->size && m->at < HEAD_MAX) {
        TRY(read_more(m, db, FIRST));
        n = header_length(buffer_slice(&m->bytes));
        if (n < buffer_length(&m->bytes))
            break;
    }
    struct slice head = arena_copy(m->arena, slice_first(buffer_slice(&m->bytes), n)), rest = head;
    struct header_field f;
    if (!head.p)
        return NO_MEMORY;
    if (slice_starts_nocase(head, SLICE("Return-Path:")) && header_next(&rest, &f))
        m->out->from = (int64_t)f.whole.n;
    m->head = slice_after(head, (size_t)m->out->from);
    return OK;
}

/* From as one mailbox. */
static bool read_author(struct slice head, struct arena *a, struct address *out)
{
    struct mime_addresses from;
    struct slice value = header_unfold(header_find(head, SLICE("From")), a);
    if (!value.p || address_list_parse(value, a, &from).code != ERROR_NONE || from.n != 1 || !from.all[0].local.p || !from.all[0].domain.n)
        return false;
    const char *text = address_text(&(struct address){from.all[0].local, from.all[0].domain}, a);
    return text && address_parse(slice_of(text), a, out).code == ERROR_NONE;
}

/* Is the envelope's sender ours (a list's address for bounces), or is there none? */
static bool sender_is_ours(struct sql *db, const struct queue_entry *e, struct arena *a)
{
    struct address x;
    struct domain d;
    return e->sender.n == 0 || (address_parse(e->sender, a, &x).code == ERROR_NONE && domain_find(db, x.domain, a, &d).code == ERROR_NONE);
}

/* The domain that a list's own mail is signed for: the list's. Its author is somebody else, but the list answers for it. */
static struct error list_signs(struct sql *db, const struct queue_entry *e, struct arena *a, struct domain *d)
{
    struct account account;
    struct address x;
    TRY(account_get(db, e->account, a, &account));
    if (account.kind != ACCOUNT_GROUP || !sender_is_ours(db, e, a) || address_parse(account.name, a, &x).code != ERROR_NONE)
        return OK;
    return domain_row(db, x.domain, a, d);
}

/* d->id 0: nobody. attacks.md MA-28: the key is the From domain's, and only for whom may send with that address. */
static struct error who_signs(struct sql *db, const struct queue_entry *e, struct slice head, struct arena *a, struct domain *d)
{
    struct address author;
    struct sending sending;
    d->id = 0;
    if (read_author(head, a, &author)) {
        struct error known = domain_row(db, author.domain, a, d);
        if (known.code != ERROR_NONE && known.code != ERROR_NOT_FOUND)
            return known;
        if (known.code == ERROR_NONE && e->account == 0 && e->flags & DELIVERY_OWN)
            return OK;
        if (known.code == ERROR_NONE && e->account && address_sending(db, e->account, &author, &sending).code == ERROR_NONE)
            return OK;
        d->id = 0;
    }
    struct error listed = e->account ? list_signs(db, e, a, d) : OK;
    if (listed.code == ERROR_NOT_FOUND) /* the account is gone: its mail leaves unsigned */
        d->id = 0;
    return listed.code == ERROR_NOT_FOUND ? OK : listed;
}

/* What came from elsewhere and is passed on for an address of ours (its mark stands in the entry's head) is sealed for that address's domain. */
static struct error who_seals(struct making *m, struct sql *db, struct domain *d)
{
    struct address x;
    struct slice mark = slice_trim(header_find(m->entry->head, SLICE("Delivered-To")));
    if (m->entry->account || m->entry->flags & DELIVERY_OWN || !mark.n || address_parse(mark, m->arena, &x).code != ERROR_NONE)
        return OK;
    struct error e = domain_row(db, x.domain, m->arena, d);
    if (e.code != ERROR_NONE) {
        d->id = 0;
        return e.code == ERROR_NOT_FOUND ? OK : e;
    }
    TRY(dkim_seal_look(m->arena, m->head, slice_of(m->hostname), &m->seal));
    if (!m->seal->instance)
        d->id = 0;
    return OK;
}

static struct error begin(struct making *m, struct sql *db)
{
    struct domain d;
    TRY(read_head(m, db));
    TRY(who_signs(db, m->entry, m->head, m->arena, &d));
    if (!d.id && m->entry->head.n)
        TRY(who_seals(m, db, &d));
    if (!d.id)
        return OK;
    TRY(signers_load(db, &d, m->arena, &m->with));
    if (!m->with.n)
        return OK;
    struct error e = dkim_sign_begin(m->arena, m->head, clock_now(), m->seal ? 0 : KEYS_SIGNED_S, &m->sign);
    if (e.code == ERROR_INVALID || e.code == ERROR_LIMIT) {
        LOG_EVENT(LOG_WARN, "not-signed", LOG_TEXT("id", m->entry->job), LOG_FAILURE(e));
        return OK;
    }
    m->out->signed_by = d.name;
    return e;
}

static void take(struct making *m, struct slice piece)
{
    content_look(&m->content, piece, OUTGOING_EIGHT_BIT);
    if (m->sign)
        dkim_sign_body(m->sign, piece);
}

static struct error read_body(struct making *m)
{
    take(m, slice_after(buffer_slice(&m->bytes), (size_t)m->out->from + m->head.n));
    while (m->at < m->size) {
        buffer_clear(&m->bytes);
        SCOPED(store_reader_return) struct sql *db = store_reader(m->store);
        TRY(read_more(m, db, PIECE));
        take(m, buffer_slice(&m->bytes));
    }
    content_end(&m->content);
    return OK;
}

static struct error finish(struct making *m)
{
    SCOPED(buffer_free)
    struct buffer head = {0};
    if (m->sign && m->seal)
        TRY(dkim_seal_end(m->sign, m->seal, &m->with.all[0], clock_now(), &head)); /* the older key of the pair is RSA: few verify other seals */
    else if (m->sign)
        TRY(dkim_sign_end(m->sign, m->with.all, m->with.n, &head));
    m->out->signatures = m->sign && !m->seal ? (int)m->with.n : 0;
    buffer_add(&head, m->entry->head);
    m->out->head = arena_copy(m->arena, buffer_slice(&head));
    if (head.failed || !m->out->head.p)
        return NO_MEMORY;
    m->out->size = (int64_t)m->out->head.n + m->size - m->out->from;
    m->out->holds = m->content.holds;
    return OK;
}

static struct error begin_with_reader(struct making *m)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(m->store);
    return begin(m, db);
}

static struct error make(struct making *m)
{
    TRY(begin_with_reader(m));
    content_look(&m->content, m->head, OUTGOING_UTF8_HEAD);
    TRY(read_body(m));
    return finish(m);
}

struct error outgoing_head(struct store *s, const char *hostname, const struct queue_entry *entry, struct arena *a, struct outgoing *out)
{
    if (find_kept(s, entry->id, a, out))
        return OK;
    *out = (struct outgoing){.head = SLICE(""), .signed_by = SLICE("")};
    struct making m = {.store = s, .hostname = hostname, .entry = entry, .arena = a, .out = out};
    struct error e = make(&m);
    dkim_sign_free(m.sign);
    signers_free(&m.with);
    buffer_free(&m.bytes);
    if (e.code == ERROR_NONE)
        keep(s, entry->id, out);
    return e;
}
