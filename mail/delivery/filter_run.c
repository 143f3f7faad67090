/* mail/delivery/filter_run.c -- the scripts of server, domain and owner over one message: one list of what is to be done
 *
 * Each script goes on from the keep of the one before: who files, discards or rejects a message has decided, and what stands behind does not run. The owner's
 * own words about being away are heard in any case, unless the message was discarded or rejected.
 */
#include <openssl/evp.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"
#include "mail/delivery/filter_internal.h"
#include "mail/mailbox/mailbox.h"
#include "mail/mime/header.h"

#define NO_MEMORY error_make(ERROR_MEMORY, "no memory for a filter")

struct running {
    struct sql *db;
    struct filter_plan *p;
    struct arena *arena;
    bool kept, delivered, refused; /* by the scripts so far */
    struct sieve_action keep;
};

const char *filter_key(const char *kind, const struct slice *texts, size_t n, struct arena *a)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char hex[33];
    struct buffer all = {0};
    for (size_t i = 0; i < n; i++) {
        buffer_add(&all, texts[i]);
        buffer_add_char(&all, 0);
    }
    struct slice bytes = buffer_slice(&all);
    int fine = !all.failed && EVP_Digest(bytes.p, bytes.n, hash, NULL, EVP_sha256(), NULL);
    buffer_free(&all);
    for (size_t i = 0; fine && i < 16; i++) {
        hex[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    hex[32] = 0;
    return fine ? arena_printf(a, "%s:%s", kind, hex) : NULL;
}

enum collection_role filter_role(struct slice use)
{
    static const struct {
        struct slice use;
        enum collection_role role;
    } roles[] = {{{"\\Drafts", 7}, ROLE_DRAFTS}, {{"\\Sent", 5}, ROLE_SENT}, {{"\\Trash", 6}, ROLE_TRASH}, {{"\\Junk", 5}, ROLE_JUNK}, {{"\\Archive", 8}, ROLE_ARCHIVE},
                 {{"\\Important", 10}, ROLE_IMPORTANT}};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (slice_eq_nocase(roles[i].use, use))
            return roles[i].role;
    return ROLE_NONE;
}

/* --- what scripts ask */

static struct error content(void *arg, size_t most, struct arena *a, struct slice *out)
{
    const struct running *x = arg;
    (void)a;
    *out = slice_first(x->p->in->bytes, most);
    return OK;
}

/* RFC 5490 3.1: it exists, and the owner may put messages there. */
static bool mailbox_exists(void *arg, struct slice name)
{
    const struct running *x = arg;
    struct mailbox m;
    struct slice path;
    if (mailbox_canonical(name, x->arena, &path).code != ERROR_NONE)
        return false;
    return mailbox_find(x->db, x->p->owner.id, path, x->arena, &m).code == ERROR_NONE && m.selectable && (m.rights & RIGHT_INSERT);
}

static bool special_use(void *arg, struct slice name, struct slice use)
{
    const struct running *x = arg;
    struct collection c;
    struct mailbox m;
    struct slice path;
    enum collection_role role = filter_role(use);
    if (role == ROLE_NONE || collection_find_role(x->db, x->p->owner.id, COLLECTION_MAILBOX, role, x->arena, &c).code != ERROR_NONE)
        return false;
    if (!name.p)
        return true;
    return mailbox_canonical(name, x->arena, &path).code == ERROR_NONE && mailbox_find(x->db, x->p->owner.id, path, x->arena, &m).code == ERROR_NONE && m.c.id == c.id;
}

static const char *duplicate_key(struct slice handle, struct slice id, struct arena *a) { return filter_key("dup", (struct slice[]){handle, id}, 2, a); }

static bool was_seen(void *arg, struct slice handle, struct slice id)
{
    const struct running *x = arg;
    const char *key = duplicate_key(handle, id, x->arena);
    bool seen = false;
    return key && once_seen(x->db, x->p->owner.id, slice_of(key), clock_now(), &seen).code == ERROR_NONE && seen;
}

static struct slice environment(void *arg, struct slice item)
{
    struct filter_options o;
    (void)arg;
    filter_options_get(&o);
    if (slice_eq_nocase(item, SLICE("location")))
        return SLICE("MDA");
    if (slice_eq_nocase(item, SLICE("phase")))
        return SLICE("during");
    return slice_eq_nocase(item, SLICE("host")) ? slice_of(o.hostname) : slice_make(NULL, 0);
}

static int local_zone(int64_t now)
{
    time_t at = (time_t)now;
    struct tm civil;
    return localtime_r(&at, &civil) ? (int)(civil.tm_gmtoff / 60) : 0;
}

/* --- what they answer */

static struct error add_act(struct running *x, const struct sieve_action *a)
{
    struct filter_plan *p = x->p;
    if (p->n_acts == FILTER_ACTS_MAX)
        return OK;
    struct filter_act act = {.a = *a};
    if (a->kind == SIEVE_REMEMBER)
        act.key = duplicate_key(a->handle, a->text, x->arena);
    if (a->kind == SIEVE_VACATION) {
        TRY(vacation_sender(x->db, p, &act.a, x->arena));
        act.key = vacation_key(p, a, x->arena);
    }
    if (!act.key && (a->kind == SIEVE_REMEMBER || a->kind == SIEVE_VACATION))
        return NO_MEMORY;
    p->acts[p->n_acts++] = act;
    return OK;
}

static bool has_act(const struct filter_plan *p, enum sieve_action_kind kind)
{
    for (size_t i = 0; i < p->n_acts; i++)
        if (p->acts[i].a.kind == kind)
            return true;
    return false;
}

static struct error take(struct running *x, const struct sieve_action *a)
{
    bool yes = true;
    switch (a->kind) {
    case SIEVE_KEEP: /* done at the end, unless a later script decides otherwise; flags of earlier ones stay when it says none */
        if (!x->keep.flags.n || a->flags.n)
            x->keep = *a;
        x->kept = true;
        return OK;
    case SIEVE_DISCARD:
        return OK;
    case SIEVE_VACATION:
        if (!has_act(x->p, SIEVE_VACATION))
            TRY(vacation_wanted(x->db, x->p, a, x->arena, &yes));
        else
            yes = false;
        return yes ? add_act(x, a) : OK;
    case SIEVE_REJECT:
    case SIEVE_EREJECT:
        x->refused = true;
        return add_act(x, a);
    case SIEVE_FILEINTO:
        x->delivered = true;
        return add_act(x, a);
    case SIEVE_REDIRECT:
    case SIEVE_REMEMBER:
        return add_act(x, a);
    }
    return OK;
}

static void note_fault(struct running *x, const struct script *row, const struct sieve_fault *fault)
{
    LOG_EVENT(LOG_WARN, "sieve-failed", LOG_ID(x->p->in->d->job), LOG_TEXT("account", x->p->owner.name),
              LOG_TEXT("script", row->account > 0 && row->state == SCRIPT_BESIDES ? SLICE("vacation") : row->name),
              LOG_WORD("whose", row->account > 0 ? "person" : row->account ? "domain" : "server"), LOG_NUMBER("line", fault->line), LOG_WORD("why", fault->text));
    if (row->account > 0 && !x->p->fault.text) {
        x->p->fault = (struct sieve_fault){fault->line, arena_printf(x->arena, "%s", fault->text)};
        x->p->script = row->name;
    }
}

static struct error run_one(struct running *x, const struct script *row, const struct compiled *c)
{
    const struct filter_input *in = x->p->in;
    struct sieve_message m = {.head = slice_first(in->bytes, header_length(in->bytes)), .size = (uint64_t)in->d->message->put.size, .from = in->d->sender, .to = slice_of(x->p->own),
                              .now = clock_now(), .zone = local_zone(clock_now()), .arg = x, .content = content, .mailbox_exists = mailbox_exists, 
                              .special_use = special_use, .spam = in->d->junk ? 101 : 0, .seen = was_seen, .environment = environment};
    struct sieve_result result;
    bool away = row->account > 0 && row->state == SCRIPT_BESIDES;
    if (!c->script) {
        note_fault(x, row, &c->fault);
        return OK; /* a keep */
    }
    sieve_run(c->script, &m, x->arena, &result);
    if (result.fault.text)
        note_fault(x, row, &result.fault);
    x->kept &= away;
    for (size_t i = 0; i < result.n; i++)
        if (!away || result.actions[i].kind == SIEVE_VACATION)
            TRY(take(x, &result.actions[i]));
    return OK;
}

struct error filter_run(struct sql *db, struct filter_plan *p, const struct script *rows, size_t n, struct arena *a)
{
    struct running x = {.db = db, .p = p, .arena = a, .kept = true, .keep = {.kind = SIEVE_KEEP, .implicit = true}};
    p->acts = arena_alloc(a, (FILTER_ACTS_MAX + 1) * sizeof *p->acts);
    if (!p->acts)
        return NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        bool away = rows[i].account > 0 && rows[i].state == SCRIPT_BESIDES;
        if (x.refused || !(x.kept || (away && x.delivered)))
            continue;
        struct error e = compiled_lend(db, &rows[i], &p->lent[i]);
        if (e.code == ERROR_NOT_FOUND)
            continue;
        TRY(e);
        if (rows[i].state == SCRIPT_ACTIVE && rows[i].account > 0)
            p->script = rows[i].name;
        TRY(run_one(&x, &rows[i], p->lent[i]));
    }
    if (x.kept && !x.refused)
        p->acts[p->n_acts++] = (struct filter_act){.a = x.keep};
    return OK;
}
