/* mail/sieve/run.c -- the interpreter: commands in order, tests as they are asked, and at the end the keep nobody wrote (RFC 5228 2.10)
 *
 * Whatever fails inside makes the whole run one keep: half of a script's actions may contradict what its owner wants (RFC 5228 2.10.6).
 */
#include "mail/sieve/internal.h"

struct error run_fail(struct sieve_run *r, const struct sieve_node *n, const char *text) { return sieve_fail(&r->fault, n->line, text); }

struct error run_steps(struct sieve_run *r, uint64_t n)
{
    r->steps += n;
    if (r->steps <= SIEVE_STEPS_MAX)
        return OK;
    r->fault.text = "The script needs too much work for this message.";
    return error_make(ERROR_LIMIT, r->fault.text);
}

/* allof and anyof, stopping at the first that decides (RFC 5228 5.2). */
static struct error many_test(struct sieve_run *r, const struct sieve_node *n, bool until, bool *out)
{
    *out = !until;
    for (const struct sieve_node *t = n->tests; t; t = t->next) {
        bool one;
        TRY(run_test(r, t, &one));
        if (one == until) {
            *out = until;
            return OK;
        }
    }
    return OK;
}

struct error allof_test(struct sieve_run *r, const struct sieve_node *n, bool *out) { return many_test(r, n, false, out); }
struct error anyof_test(struct sieve_run *r, const struct sieve_node *n, bool *out) { return many_test(r, n, true, out); }

struct error not_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    TRY(run_test(r, n->tests, out));
    *out = !*out;
    return OK;
}

struct error constant_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    (void)r;
    *out = n->row->name.n == 4; /* true, not false */
    return OK;
}

struct error stop_run(struct sieve_run *r, const struct sieve_node *n)
{
    (void)n;
    r->stopped = true;
    return OK;
}

struct error run_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    *out = false;
    r->fault.line = n->line;
    TRY(run_steps(r, 64));
    if (n->fault)
        return run_fail(r, n, n->fault);
    return n->row->test(r, n, out);
}

static struct error run_command(struct sieve_run *r, const struct sieve_node *n, bool *taken)
{
    r->fault.line = n->line;
    TRY(run_steps(r, 64));
    if (n->fault)
        return run_fail(r, n, n->fault);
    if (n->row->command)
        return n->row->command(r, n);
    if (n->row->block == NO_BLOCK) /* require */
        return OK;
    bool chained = n->row->name.n > 2 /* elsif, else */, yes = true;
    if (chained && *taken)
        return OK;
    if (n->tests)
        TRY(run_test(r, n->tests, &yes));
    *taken = yes;
    return yes ? run_commands(r, n->block) : OK;
}

struct error run_commands(struct sieve_run *r, const struct sieve_node *first)
{
    bool taken = false; /* a branch of the current if was */
    for (const struct sieve_node *n = first; n && !r->stopped; n = n->next)
        TRY(run_command(r, n, &taken));
    return OK;
}

static struct error run_whole(struct sieve_run *r, const struct sieve_script *script)
{
    TRY(fields_read(r));
    TRY(run_commands(r, script->first));
    if (r->cancelled)
        return OK;
    static const struct sieve_node nobody = {0};
    struct sieve_action keep = {.kind = SIEVE_KEEP, .implicit = true};
    TRY(action_flags(r, &nobody, &keep.flags));
    return action_add(r, &nobody, &keep);
}

void sieve_run(const struct sieve_script *script, const struct sieve_message *m, struct arena *a, struct sieve_result *out)
{
    static const char no_memory[] = "There was no memory to run the script.";
    *out = (struct sieve_result){.fallback = {.kind = SIEVE_KEEP, .implicit = true}};
    struct sieve_run *r = arena_zero(a, 1, sizeof *r);
    struct sieve_action *actions = arena_zero(a, SIEVE_ACTIONS_MAX + 1, sizeof *actions); /* and the implicit keep */
    struct error e = sieve_no_memory();
    if (r && actions) {
        r->script = script;
        r->m = m;
        r->arena = a;
        r->actions = actions;
        r->flags = SLICE("");
        e = run_whole(r, script);
        out->steps = r->steps;
    }
    if (e.code == ERROR_NONE) {
        out->actions = actions;
        out->n = r->n_actions;
        return;
    }
    out->fault = (struct sieve_fault){r ? r->fault.line : 0, r && r->fault.text ? r->fault.text : e.code == ERROR_MEMORY || !e.text ? no_memory : e.text};
    fault_clean(&out->fault, a);
    out->actions = &out->fallback;
    out->n = 1;
}
