/* mail/sieve/check.c -- a tree against the tables: names, arguments, tags, what must be required (RFC 5228 2.7 to 2.10) */
#include "mail/sieve/internal.h"

/* The sentence with the name in place of its '%'. */
static struct error fail(struct checker *c, uint32_t line, const char *sentence, struct slice name)
{
    struct slice all = slice_of(sentence), before = slice_first(all, slice_find(all, '%')), after = slice_after(all, before.n + 1);
    return sieve_fail(c->fault, line, arena_printf(c->arena, "%.*s%.*s%.*s", SLICE_ARG(before), SLICE_ARG(slice_first(name, 60)), SLICE_ARG(after)));
}

static struct error need(struct checker *c, uint32_t line, struct slice name, uint32_t bits)
{
    if (bits == 0 || (bits & c->have))
        return OK;
    return sieve_fail(c->fault, line, arena_printf(c->arena, "%.*s needs require \"%s\" at the top of the script.", SLICE_ARG(slice_first(name, 60)), sieve_extension_name(bits)));
}

const struct sieve_tag *node_tag(const struct sieve_node *n, uint32_t group)
{
    for (size_t i = 0; i < n->n_bound; i++)
        if (n->bound[i].tag->group == group)
            return n->bound[i].tag;
    return NULL;
}

const struct sieve_value *node_tag_value(const struct sieve_node *n, uint32_t group)
{
    for (size_t i = 0; i < n->n_bound; i++)
        if (n->bound[i].tag->group == group && n->bound[i].tag->argument)
            return &n->bound[i].value;
    return NULL;
}

/* Strings as they mean: encoded characters now, whether variables are to be looked for later. */
static struct error prepare_strings(struct checker *c, struct sieve_value *v)
{
    if (v->kind != VALUE_STRINGS)
        return OK;
    for (size_t i = 0; i < v->n; i++) {
        if (c->have & X_ENCODED)
            TRY(encoded_decode(c, v->line, &v->strings[i]));
        if (c->have & X_VARIABLES) {
            const char *wrong = variable_references(v->strings[i], &v->expand);
            if (wrong)
                return sieve_fail(c->fault, v->line, wrong);
        }
    }
    return OK;
}

static bool fits(const struct sieve_value *v, char form)
{
    switch (form) {
    case 'N':
        return v->kind == VALUE_NUMBER;
    case 'S':
        return v->kind == VALUE_STRINGS && !v->list;
    default:
        return v->kind == VALUE_STRINGS;
    }
}

static const char *form_name(char form) { return form == 'N' ? "a number" : form == 'S' ? "a string" : "a string or a list of strings"; }

/* The tag n->args[*i] and its argument; *i goes to the last of them. */
static struct error bind_tag(struct checker *c, struct sieve_node *n, size_t *i)
{
    struct sieve_value *v = &n->args[*i];
    const struct sieve_tag *tag = sieve_tag_find(v->tag, n->row->groups);
    if (!tag)
        return sieve_fail(c->fault, v->line, arena_printf(c->arena, "%.*s has no argument :%.*s.", SLICE_ARG(n->row->name), SLICE_ARG(slice_first(v->tag, 60))));
    if (node_tag(n, tag->group))
        return fail(c, v->line, ":% does not go together with an argument before it.", v->tag);
    if (!(tag->needs & n->row->needs))
        TRY(need(c, v->line, tag->name, tag->needs));
    struct sieve_bound *b = &n->bound[n->n_bound++];
    *b = (struct sieve_bound){.tag = tag};
    if (!tag->argument)
        return OK;
    if (*i + 1 >= n->n_args || !fits(&n->args[*i + 1], tag->argument))
        return sieve_fail(c->fault, v->line, arena_printf(c->arena, ":%.*s must be followed by %s.", SLICE_ARG(tag->name), form_name(tag->argument)));
    ++*i;
    TRY(prepare_strings(c, &n->args[*i]));
    b->value = n->args[*i];
    return OK;
}

/* The arguments behind the tags into n->at, by the places of the row. */
static struct error bind_positional(struct checker *c, struct sieve_node *n, size_t i)
{
    const char *form = n->row->positional;
    size_t most = 0, least = 0, place = 0, given = n->n_args - i;
    for (const char *f = form; *f; f++) {
        most += *f != '?';
        least += *f != '?' && (f == form || f[-1] != '?');
    }
    for (size_t k = i; k < n->n_args; k++)
        if (n->args[k].kind == VALUE_TAG)
            return fail(c, n->args[k].line, ":% must stand before the other arguments.", n->args[k].tag);
    if (given > most || given < least)
        return sieve_fail(c->fault, n->line, arena_printf(c->arena, "%.*s has %s arguments here.", SLICE_ARG(n->row->name), given > most ? "too many" : "too few"));
    for (const char *f = form; *f; f++) {
        bool optional = *f == '?';
        f += optional;
        if (optional && given < most) {
            place++;
            continue;
        }
        struct sieve_value *v = &n->args[i++];
        if (!fits(v, *f))
            return sieve_fail(c->fault, v->line, arena_printf(c->arena, "%.*s wants %s here.", SLICE_ARG(n->row->name), form_name(*f)));
        TRY(prepare_strings(c, v));
        n->at[place++] = *v;
    }
    return OK;
}

/* The comparator exists, is required, and can do what the match type asks for. */
static struct error check_matching(struct checker *c, struct sieve_node *n)
{
    const struct sieve_value *name = node_tag_value(n, G_COMPARATOR), *relation = node_tag_value(n, G_MATCH);
    const struct sieve_tag *type = node_tag(n, G_MATCH);
    bool known = true;
    if (name && name->expand)
        return sieve_fail(c->fault, name->line, "The name of a comparator must be written out.");
    enum comparator comparator = name ? comparator_named(name->strings[0], &known) : COMPARE_CASEMAP;
    if (!known)
        return fail(c, name->line, "There is no comparator \"%\".", name->strings[0]);
    if (comparator == COMPARE_NUMERIC)
        TRY(need(c, n->line, name->strings[0], X_NUMERIC));
    if (comparator == COMPARE_NUMERIC && type && (type->id == TAG_CONTAINS || type->id == TAG_MATCHES))
        return sieve_fail(c->fault, n->line, "i;ascii-numeric compares numbers; it cannot be used with :contains or :matches.");
    if (relation && !relation->expand && relation_named(relation->strings[0]) == RELATION_NONE)
        return sieve_fail(c->fault, n->line, "A relation is one of gt, ge, lt, le, eq, ne.");
    return OK;
}

static struct error check_arguments(struct checker *c, struct sieve_node *n)
{
    size_t i = 0;
    n->bound = arena_zero(c->arena, n->n_args + 1, sizeof *n->bound);
    if (!n->bound)
        return sieve_fail(c->fault, n->line, NULL);
    for (; i < n->n_args && n->args[i].kind == VALUE_TAG; i++)
        TRY(bind_tag(c, n, &i));
    TRY(bind_positional(c, n, i));
    if (n->row->required && !node_tag(n, n->row->required))
        return fail(c, n->line, "% needs :over or :under.", n->row->name);
    if (n->row->groups & G_MATCH)
        TRY(check_matching(c, n));
    if (node_tag(n, G_LAST) && (n->row->groups & G_INDEX) && !node_tag(n, G_INDEX))
        return sieve_fail(c->fault, n->line, ":last needs :index.");
    const struct sieve_value *index = node_tag_value(n, G_INDEX);
    if (index && index->number == 0)
        return sieve_fail(c->fault, n->line, ":index counts from 1.");
    return n->row->check ? n->row->check(c, n) : OK;
}

static struct error check_form(struct checker *c, struct sieve_node *n)
{
    const struct sieve_row *row = n->row;
    if (row->tests == NO_TEST && (n->n_tests || n->parentheses))
        return fail(c, n->line, "% takes no test; is a semicolon missing behind it?", row->name);
    if (row->tests == ONE_TEST && (n->n_tests != 1 || n->parentheses))
        return fail(c, n->line, "% takes exactly one test.", row->name);
    if (row->tests == MANY_TESTS && !n->parentheses)
        return fail(c, n->line, "% takes tests in parentheses.", row->name);
    if (row->block == BLOCK && !n->has_block)
        return fail(c, n->line, "% needs a block in braces.", row->name);
    if (row->block == NO_BLOCK && n->has_block)
        return fail(c, n->line, "% takes no block; a semicolon ends it.", row->name);
    return OK;
}

static struct error check_test(struct checker *c, struct sieve_node *n);

static struct error check_node(struct checker *c, struct sieve_node *n, const char *unknown)
{
    if (!n->row)
        return fail(c, n->line, unknown, n->name);
    TRY(need(c, n->line, n->row->name, n->row->needs));
    TRY(check_form(c, n));
    return check_arguments(c, n);
}

/* With ihave a script may hold what we do not know: that fails only when it is reached (RFC 5463 4). */
static struct error deferred(struct checker *c, struct sieve_node *n, struct error e)
{
    if (e.code != ERROR_INVALID || !(c->have & X_IHAVE) || (n->row && n->row->check == check_require))
        return e;
    n->fault = c->fault->text;
    *c->fault = (struct sieve_fault){0, NULL};
    return OK;
}

static struct error check_tests(struct checker *c, struct sieve_node *n)
{
    for (struct sieve_node *t = n->tests; t; t = t->next)
        TRY(check_test(c, t));
    return OK;
}

static struct error check_test(struct checker *c, struct sieve_node *n)
{
    n->row = sieve_test_find(n->name);
    TRY(deferred(c, n, check_node(c, n, "There is no test %.")));
    /* what ihave asks for counts as required where it is found to be there (RFC 5463 4) */
    if (n->row && n->row->test == ihave_test && !n->fault)
        for (size_t i = 0; i < n->at[0].n; i++)
            c->have |= sieve_extension_find(n->at[0].strings[i]);
    return check_tests(c, n);
}

/* Where a command may stand: elsif and else behind if or elsif, require before all else. */
static struct error check_place(struct checker *c, const struct sieve_node *n, const struct sieve_node *before, bool top)
{
    bool chain = before && (slice_eq_nocase(before->name, SLICE("if")) || slice_eq_nocase(before->name, SLICE("elsif")));
    if ((slice_eq_nocase(n->name, SLICE("elsif")) || slice_eq_nocase(n->name, SLICE("else"))) && !chain)
        return fail(c, n->line, "% must follow the block of an if or elsif.", n->name);
    if (slice_eq_nocase(n->name, SLICE("require")) && (!top || (before && !slice_eq_nocase(before->name, SLICE("require")))))
        return sieve_fail(c->fault, n->line, "require must stand at the top of the script, before all other commands.");
    return OK;
}

static struct error check_block(struct checker *c, struct sieve_node *first, bool top)
{
    const struct sieve_node *before = NULL;
    for (struct sieve_node *n = first; n; before = n, n = n->next) {
        n->row = sieve_command_find(n->name);
        TRY(check_place(c, n, before, top));
        TRY(deferred(c, n, check_node(c, n, "There is no command %.")));
        TRY(check_tests(c, n));
        TRY(check_block(c, n->block, false));
    }
    return OK;
}

struct error sieve_check(struct checker *c, struct sieve_node *first) { return check_block(c, first, true); }

void fault_clean(struct sieve_fault *fault, struct arena *a)
{
    char *text = fault->text ? arena_string(a, slice_of(fault->text)) : NULL;
    for (char *p = text; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    if (text)
        fault->text = text;
    else if (fault->text)
        fault->text = "There was no memory for the script.";
}

static struct error compile(struct slice text, struct checker *c, struct sieve_script *s)
{
    TRY(sieve_parse(text, c->arena, &s->first, c->fault));
    TRY(sieve_check(c, s->first));
    s->extensions = c->have;
    return OK;
}

struct error sieve_compile(struct slice text, struct arena *a, struct sieve_script **out, struct sieve_fault *fault)
{
    struct checker c = {.arena = a, .fault = fault, .have = X_ALWAYS};
    *fault = (struct sieve_fault){0, NULL};
    *out = NULL;
    if (text.n > SIEVE_SCRIPT_MAX) {
        *fault = (struct sieve_fault){1, "The script is larger than 64 KiB."};
        return error_make(ERROR_LIMIT, fault->text);
    }
    struct sieve_script *s = arena_zero(a, 1, sizeof *s);
    struct error e = s ? compile(text, &c, s) : sieve_fail(fault, 1, NULL);
    if (e.code == ERROR_NONE) {
        *out = s;
        return OK;
    }
    fault_clean(fault, a);
    return error_make(e.code, fault->text);
}
