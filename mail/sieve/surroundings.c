/* mail/sieve/surroundings.c -- tests that look beyond the message: mailboxes, environment, what was seen before, what this server can
 * (RFC 5490, 8579, 5235, 5183, 7352, 5463) */
#include "mail/sieve/internal.h"

enum { WEEK = 7 * 24 * 60 * 60, LONGEST = 90 * 24 * 60 * 60 };

struct error mailboxexists_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct sieve_list names;
    TRY(value_strings(r, &n->at[0], &names));
    *out = true;
    for (size_t i = 0; i < names.n && *out; i++) {
        TRY(run_steps(r, 65536)); /* each asks the store */
        *out = r->m->mailbox_exists ? r->m->mailbox_exists(r->m->arg, names.all[i]) : slice_eq_nocase(names.all[i], SLICE("INBOX"));
    }
    return OK;
}

/* All of them, each in the mailbox that is named or in any. */
struct error specialuse_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct sieve_list uses;
    struct slice name = {NULL, 0};
    if (n->at[0].kind != VALUE_NONE)
        TRY(value_string(r, &n->at[0], &name));
    TRY(value_strings(r, &n->at[1], &uses));
    *out = r->m->special_use != NULL;
    for (size_t i = 0; i < uses.n && *out; i++) {
        TRY(run_steps(r, 65536)); /* each asks the store */
        *out = r->m->special_use(r->m->arg, name, uses.all[i]);
    }
    return OK;
}

/* A verdict of a filter as a number; "0", which :count does not count, when nobody looked. */
static struct error verdict(struct sieve_run *r, const struct sieve_node *n, int number, bool *out)
{
    struct matcher m;
    const char *text = arena_printf(r->arena, "%d", number);
    if (!text)
        return sieve_no_memory();
    TRY(matcher_begin(r, n, &n->at[0], &m));
    if (m.type != TAG_COUNT || r->m->spam || number)
        TRY(matcher_value(&m, slice_of(text)));
    return matcher_end(&m, out);
}

/* 1 clear to 10 spam, or with :percent 0 to 100, where only the plain form can say "not tested". */
struct error spam_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    int percent = r->m->spam - 1;
    if (node_tag(n, G_PERCENT))
        return verdict(r, n, percent < 0 ? 0 : percent, out);
    return verdict(r, n, percent < 0 ? 0 : 1 + percent * 9 / 100, out);
}

struct error virus_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    return verdict(r, n, r->m->virus, out);
}

struct error environment_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct matcher m;
    struct slice item, value = {NULL, 0};
    TRY(matcher_begin(r, n, &n->at[1], &m));
    TRY(value_string(r, &n->at[0], &item));
    if (slice_eq_nocase(item, SLICE("name")))
        value = SLICE("Kantor");
    else if (slice_eq_nocase(item, SLICE("version")))
        value = SLICE(KANTOR_VERSION);
    else if (r->m->environment)
        value = r->m->environment(r->m->arg, item);
    if (!value.p) /* unknown: never true (RFC 5183 4) */
        return OK;
    TRY(matcher_value(&m, value));
    return matcher_end(&m, out);
}

/* The id of :uniqueid, of :header's field, or of Message-ID; p NULL: there is none. */
static struct error duplicate_id(struct sieve_run *r, const struct sieve_node *n, struct slice *out)
{
    const struct sieve_value *v = node_tag_value(n, G_UNIQUE);
    struct slice name = SLICE("Message-ID");
    *out = slice_make(NULL, 0);
    if (v)
        TRY(value_string(r, v, &name));
    if (v && node_tag(n, G_UNIQUE)->id == TAG_UNIQUEID) {
        *out = name;
        return OK;
    }
    for (size_t i = 0; i < r->n_fields; i++)
        if (name.n && slice_eq_nocase(r->fields[i].name, name)) {
            *out = field_value(r, &r->fields[i]);
            break;
        }
    return OK;
}

struct error duplicate_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    const struct sieve_value *handle = node_tag_value(n, G_HANDLE), *seconds = node_tag_value(n, G_PERIOD);
    struct sieve_action a = {.kind = SIEVE_REMEMBER, .handle = SLICE(""), .seconds = WEEK, .last = node_tag(n, G_LAST) != NULL};
    TRY(run_steps(r, 65536));
    TRY(duplicate_id(r, n, &a.text));
    if (a.text.n == 0)
        return OK;
    if (handle)
        TRY(value_string(r, handle, &a.handle));
    if (seconds)
        a.seconds = seconds->number < LONGEST ? (int64_t)seconds->number : LONGEST;
    *out = r->m->seen && r->m->seen(r->m->arg, a.handle, a.text);
    return *out && !a.last ? OK : action_add(r, n, &a);
}

struct error ihave_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct sieve_list names;
    TRY(value_strings(r, &n->at[0], &names));
    *out = true;
    for (size_t i = 0; i < names.n; i++)
        *out = *out && sieve_extension_find(names.all[i]);
    return OK;
}

struct error error_run(struct sieve_run *r, const struct sieve_node *n)
{
    struct slice text;
    TRY(value_string(r, &n->at[0], &text));
    return run_fail(r, n, arena_printf(r->arena, "The script says: %.*s", SLICE_ARG(slice_first(text, 400))));
}
