/* mail/managesieve/scripts.c -- what clients do with scripts (RFC 5804 2.5 to 2.12) */
#include "core/cleanup.h"
#include "core/log.h"
#include "mail/managesieve/internal.h"
#include "mail/sieve/sieve.h"

struct change {
    int64_t account;
    const struct ms_args *args;
    enum what { PUT, SET_ACTIVE, DELETE, RENAME } what;
};

static struct error run_change(struct sql *db, void *arg)
{
    const struct change *x = arg;
    const struct slice *a = x->args->all;
    switch (x->what) {
    case PUT:
        return script_put(db, x->account, a[0], a[1], SCRIPT_OFF);
    case SET_ACTIVE:
        return script_activate(db, x->account, a[0]);
    case DELETE:
        return script_delete(db, x->account, a[0]);
    case RENAME:
        return script_rename(db, x->account, a[0], a[1]);
    }
    return OK;
}

static enum run change(struct connection *c, const struct ms_args *args, enum what what, const char *done)
{
    const struct ms_session *s = c->session;
    struct change x = {s->account, args, what};
    struct error e = store_change(s->server->store, run_change, &x);
    return e.code == ERROR_NONE ? ms_ok(c, done) : ms_fail(c, e);
}

/* The arguments are n strings, the first `names` of them names of scripts (attacks.md SV-05). */
static bool are_names(struct connection *c, const struct ms_args *args, size_t n, size_t names, enum run *r)
{
    if (args->n != n) {
        *r = ms_syntax(c, "that command has other arguments");
        return false;
    }
    for (size_t i = 0; i < names; i++) {
        struct error e = script_name_check(args->all[i]);
        if (e.code != ERROR_NONE) {
            *r = ms_syntax(c, e.text);
            return false;
        }
    }
    return true;
}

/* Says what is wrong with it, and where; false. */
static bool compiles(struct connection *c, struct slice source, enum run *r)
{
    struct sieve_script *script;
    struct sieve_fault fault;
    struct error e = sieve_compile(source, &c->arena, &script, &fault);
    if (e.code == ERROR_NONE)
        return true;
    if (e.code == ERROR_MEMORY) {
        *r = ms_fail(c, e);
        return false;
    }
    const char *text = arena_printf(&c->arena, "line %u: %s", fault.line, fault.text);
    *r = ms_no(c, source.n > SCRIPT_SOURCE_MAX ? "QUOTA/MAXSIZE" : NULL, text ? text : "the script has a mistake");
    return false;
}

enum run ms_putscript(struct connection *c, const struct ms_args *args)
{
    enum run r;
    if (!are_names(c, args, 2, 1, &r) || !compiles(c, args->all[1], &r))
        return r;
    return change(c, args, PUT, "the script is kept");
}

enum run ms_checkscript(struct connection *c, const struct ms_args *args)
{
    enum run r;
    if (!are_names(c, args, 1, 0, &r) || !compiles(c, args->all[0], &r))
        return r;
    return ms_ok(c, "the script is well");
}

enum run ms_setactive(struct connection *c, const struct ms_args *args)
{
    enum run r;
    if (!are_names(c, args, 1, args->n == 1 && args->all[0].n ? 1 : 0, &r))
        return r;
    return change(c, args, SET_ACTIVE, args->all[0].n ? "the script is active" : "no script is active");
}

enum run ms_deletescript(struct connection *c, const struct ms_args *args)
{
    enum run r;
    return are_names(c, args, 1, 1, &r) ? change(c, args, DELETE, "the script is gone") : r;
}

enum run ms_renamescript(struct connection *c, const struct ms_args *args)
{
    enum run r;
    return are_names(c, args, 2, 2, &r) ? change(c, args, RENAME, "the script has its new name") : r;
}

enum run ms_havespace(struct connection *c, const struct ms_args *args)
{
    const struct ms_session *s = c->session;
    enum run r;
    uint64_t size;
    if (!are_names(c, args, 2, 1, &r))
        return r;
    if (!slice_number(args->all[1], INT64_MAX, &size))
        return ms_syntax(c, "syntax: HAVESPACE \"name\" size");
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct error e = script_space(db, s->account, args->all[0], (int64_t)size);
    return e.code == ERROR_NONE ? ms_ok(c, "there is room") : ms_fail(c, e);
}

enum run ms_listscripts(struct connection *c, const struct ms_args *args)
{
    const struct ms_session *s = c->session;
    struct script *all;
    size_t n;
    if (args->n)
        return ms_syntax(c, "LISTSCRIPTS has no arguments");
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct error e = script_list(db, s->account, &c->arena, &all, &n);
    if (e.code != ERROR_NONE)
        return ms_fail(c, e);
    for (size_t i = 0; i < n; i++) {
        ms_write_string(all[i].name, &c->out);
        buffer_add(&c->out, all[i].state == SCRIPT_ACTIVE ? SLICE(" ACTIVE\r\n") : SLICE("\r\n"));
    }
    return ms_ok(c, "these are all");
}

enum run ms_getscript(struct connection *c, const struct ms_args *args)
{
    const struct ms_session *s = c->session;
    struct script script;
    struct slice source;
    enum run r;
    if (!are_names(c, args, 1, 1, &r))
        return r;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct error e = script_get(db, s->account, args->all[0], &c->arena, &script, &source);
    if (e.code != ERROR_NONE)
        return ms_fail(c, e);
    buffer_printf(&c->out, "{%zu}\r\n", source.n);
    buffer_add(&c->out, source);
    buffer_add(&c->out, SLICE("\r\n"));
    return ms_ok(c, "that is the script");
}
