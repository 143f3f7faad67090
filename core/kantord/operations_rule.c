/* core/kantord/operations_rule.c -- transport rules of a domain, and its archive */
#include "core/cleanup.h"
#include "core/kantord/operations_internal.h"
#include "mail/delivery/rules.h"

static const char *const keys[] = {"direction", "sender", "recipient", "header", "larger", "attachment", "disclaimer", "add-header", "redirect", "reject", "journal", "stop"};

static struct error domain_named(struct operation_call *k, struct sql *db, struct slice name, struct domain *out)
{
    struct error e = domain_find(db, name, k->arena, out);
    return e.code == ERROR_NOT_FOUND ? error_make(ERROR_NOT_FOUND, arena_printf(k->arena, "the domain %.*s is not served here; `kantorctl domain list` shows all", SLICE_ARG(slice_first(name, 200)))) : e;
}

/* Options to lines; a size may have its letter. */
static struct error body_of(struct operation_call *k, struct slice *body)
{
    char *text = arena_string(k->arena, SLICE(""));
    for (size_t i = 0; text && i < sizeof keys / sizeof keys[0]; i++) {
        struct slice value = operation_option(k, keys[i]);
        int64_t bytes;
        if (!value.p)
            continue;
        for (size_t n = 0; n < value.n; n++)
            if ((unsigned char)value.p[n] < 0x20 || value.p[n] == 0x7F)
                return error_make(ERROR_INVALID, "a rule is written without control characters; \\n in a disclaimer is a new line");
        if (slice_eq(slice_of(keys[i]), SLICE("larger"))) {
            TRY(operation_size(k, value, &bytes));
            char *number = arena_printf(k->arena, "%lld", (long long)bytes);
            value = slice_of(number ? number : "");
        }
        text = arena_printf(k->arena, "%s%s %.*s\n", text, keys[i], SLICE_ARG(value));
    }
    *body = slice_of(text);
    return text ? OK : error_make(ERROR_MEMORY, "no memory for a rule");
}

struct rule_change {
    struct operation_call *k;
    struct rule rule;
    int archive; /* with rule.journal p NULL: none any more */
};

static struct error add_change(struct sql *db, void *arg)
{
    struct rule_change *x = arg;
    struct domain domain;
    TRY(domain_named(x->k, db, x->k->words[2], &domain));
    x->rule.domain = domain.id;
    struct error e = OK;
    if (x->archive)
        e = rule_delete(db, domain.id, x->rule.name);
    if (e.code != ERROR_NONE && e.code != ERROR_NOT_FOUND)
        return e;
    return x->archive && !x->rule.body.n ? OK : rule_add(db, &x->rule, &x->rule.id);
}

struct error run_rule_add(struct operation_call *k)
{
    struct rule_change x = {.k = k, .rule = {.name = k->words[3], .place = 100}};
    struct slice place = operation_option(k, "place");
    struct rule probe = {.id = 0};
    uint64_t n;
    if (place.p && !slice_number(place, 100000, &n))
        return error_make(ERROR_INVALID, "--place takes a number; lower ones go first");
    if (place.p)
        x.rule.place = (int64_t)n;
    TRY(body_of(k, &x.rule.body));
    TRY(rule_read(x.rule.body, k->arena, &probe));
    struct error e = store_change(k->server->store, add_change, &x);
    rules_changed();
    if (e.code == ERROR_EXISTS)
        return error_make(ERROR_EXISTS, "the domain has a rule of that name; delete it first");
    TRY(e);
    report_say(&k->report, "added");
    return OK;
}

static struct error delete_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct domain domain;
    TRY(domain_named(k, db, k->words[2], &domain));
    return rule_delete(db, domain.id, k->words[3]);
}

struct error run_rule_delete(struct operation_call *k)
{
    struct error e = store_change(k->server->store, delete_change, k);
    rules_changed();
    TRY(e);
    report_say(&k->report, "deleted");
    return OK;
}

/* A sugar rule: everything of the domain, first of all. */
struct error run_domain_archive(struct operation_call *k)
{
    struct rule_change x = {.k = k, .archive = 1, .rule = {.name = SLICE("archive"), .place = 0}};
    struct rule probe = {.id = 0};
    bool none = slice_eq(k->words[3], SLICE("-"));
    if (!none) {
        char *body = arena_printf(k->arena, "journal %.*s\n", SLICE_ARG(k->words[3]));
        x.rule.body = slice_of(body ? body : "");
        TRY(rule_read(x.rule.body, k->arena, &probe));
    }
    struct error e = store_change(k->server->store, add_change, &x);
    rules_changed();
    TRY(e);
    report_say(&k->report, none ? "mail of %.*s is not archived" : "a report of each mail of %.*s goes to its archive", SLICE_ARG(k->words[2]));
    return OK;
}

/* "direction out, sender *@x" */
static struct slice shown(struct operation_call *k, struct slice body)
{
    char *text = arena_string(k->arena, body);
    for (size_t i = 0; text && i < body.n; i++)
        if (text[i] == '\n')
            text[i] = i + 1 < body.n ? ';' : ' ';
    return text ? slice_trim(slice_make(text, body.n)) : SLICE("");
}

static struct slice domain_name(const struct domain *all, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (all[i].id == id)
            return all[i].name;
    return SLICE("-");
}

struct error run_rule_list(struct operation_call *k)
{
    struct rule *all;
    struct domain one = {.id = 0}, *domains;
    size_t n, n_domains;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    if (k->n_words > 2)
        TRY(domain_named(k, db, k->words[2], &one));
    TRY(domain_list(db, k->arena, &domains, &n_domains));
    TRY(rule_list(db, one.id, k->arena, &all, &n));
    report_list(&k->report, "domain place name rule");
    for (size_t i = 0; i < n; i++) {
        report_text(&k->report, domain_name(domains, n_domains, all[i].domain));
        report_number(&k->report, all[i].place);
        report_text(&k->report, all[i].name);
        report_text(&k->report, shown(k, all[i].body));
    }
    return OK;
}
