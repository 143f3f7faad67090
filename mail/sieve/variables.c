/* mail/sieve/variables.c -- references in strings, set, string (RFC 5229); sizes are those of attacks.md SV-03 */
#include "mail/sieve/internal.h"

#include <stdio.h>

bool variable_name_valid(struct slice name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!ascii_is_alnum(name.p[i]) && name.p[i] != '_')
            return false;
    return name.n > 0 && name.n <= 64 && !ascii_is_digit(name.p[0]);
}

/* "${name}" at the front of s: its length, *name what is inside; 0: it is text. */
static size_t reference(struct slice s, struct slice *name)
{
    size_t n = 2;
    if (!slice_starts(s, SLICE("${")))
        return 0;
    while (n < s.n && (ascii_is_alnum(s.p[n]) || s.p[n] == '_' || s.p[n] == '.'))
        n++;
    *name = slice_make(s.p + 2, n - 2);
    if (name->n == 0 || n >= s.n || s.p[n] != '}')
        return 0;
    char before = '.'; /* words with single dots between; digits alone, or no digit first */
    bool digits = ascii_is_digit(name->p[0]);
    for (size_t i = 0; i < name->n; before = name->p[i], i++)
        if (digits ? !ascii_is_digit(name->p[i]) : before == '.' && (name->p[i] == '.' || (i == 0 && ascii_is_digit(name->p[i]))))
            return 0;
    return before == '.' ? 0 : n + 1;
}

const char *variable_references(struct slice s, bool *some)
{
    for (size_t i = 0; i < s.n;) {
        struct slice name;
        uint64_t number;
        size_t n = s.p[i] == '$' ? reference(slice_after(s, i), &name) : 0;
        i += n ? n : 1;
        if (!n)
            continue;
        *some = true;
        if (slice_find(name, '.') < name.n)
            return "A variable with a namespace is used, and no extension here has one.";
        if (ascii_is_digit(name.p[0]) && !slice_number(name, MATCH_VARIABLES - 1, &number))
            return "Match variables go from ${0} to ${9}.";
    }
    return NULL;
}

struct slice variable_get(struct sieve_run *r, struct slice name)
{
    uint64_t number;
    if (slice_number(name, MATCH_VARIABLES - 1, &number))
        return number < r->n_matched ? r->matched[number] : SLICE("");
    for (size_t i = 0; i < r->n_variables; i++)
        if (slice_eq_nocase(r->variables[i].name, name))
            return r->variables[i].value;
    return SLICE("");
}

/* At most `most` bytes, never half a UTF-8 character. */
static struct slice cut(struct slice s, size_t most)
{
    if (s.n <= most)
        return s;
    while (most && (s.p[most] & 0xC0) == 0x80)
        most--;
    return slice_first(s, most);
}

static struct error expand(struct sieve_run *r, struct slice s, struct slice *out)
{
    struct buffer b = {0};
    struct slice name;
    while (s.n && buffer_length(&b) <= SIEVE_SCRIPT_MAX) {
        size_t n = s.p[0] == '$' ? reference(s, &name) : 0, plain = 1;
        if (n) {
            buffer_add(&b, variable_get(r, name));
        } else {
            plain += slice_find(slice_after(s, 1), '$');
            buffer_add(&b, slice_first(s, plain));
        }
        s = slice_after(s, n ? n : plain);
    }
    *out = arena_copy(r->arena, cut(buffer_slice(&b), SIEVE_SCRIPT_MAX));
    bool failed = b.failed || !out->p;
    uint64_t length = buffer_length(&b);
    buffer_free(&b);
    return failed ? sieve_no_memory() : run_steps(r, 16 * length);
}

struct error value_strings(struct sieve_run *r, const struct sieve_value *v, struct sieve_list *out)
{
    *out = (struct sieve_list){v->strings, v->n};
    if (!v->expand)
        return OK;
    struct slice *all = arena_zero(r->arena, v->n, sizeof *all);
    if (!all)
        return sieve_no_memory();
    for (size_t i = 0; i < v->n; i++) {
        all[i] = v->strings[i];
        if (memmem(all[i].p, all[i].n, "${", 2))
            TRY(expand(r, v->strings[i], &all[i]));
    }
    out->all = all;
    return OK;
}

struct error value_string(struct sieve_run *r, const struct sieve_value *v, struct slice *out)
{
    struct sieve_list list;
    TRY(value_strings(r, v, &list));
    *out = list.n ? list.all[0] : SLICE("");
    return OK;
}

struct error variable_set(struct sieve_run *r, const struct sieve_node *n, struct slice name, struct slice value)
{
    size_t i = 0;
    while (i < r->n_variables && !slice_eq_nocase(r->variables[i].name, name))
        i++;
    if (i == SIEVE_VARIABLES_MAX)
        return run_fail(r, n, "The script sets more than 128 variables.");
    r->n_variables += i == r->n_variables;
    struct slice copy = arena_copy(r->arena, cut(value, SIEVE_VARIABLE_MAX));
    if (!copy.p)
        return sieve_no_memory();
    r->variables[i] = (struct sieve_variable){name, copy};
    return run_steps(r, 16 + copy.n);
}

/* Modifiers by falling precedence: case, first letter, quoting, length (RFC 5229 4.1). */
static struct error modify(struct sieve_run *r, const struct sieve_node *n, struct slice *value)
{
    const struct sieve_tag *letters = node_tag(n, G_CASE), *first = node_tag(n, G_FIRST);
    char *to = arena_alloc(r->arena, 2 * value->n + 24);
    size_t k = 0;
    if (!to)
        return sieve_no_memory();
    for (size_t i = 0; i < value->n; i++) {
        char c = value->p[i];
        if (letters)
            c = letters->id == TAG_LOWER ? ascii_lower(c) : ascii_upper(c);
        if (first && i == 0)
            c = first->id == TAG_LOWERFIRST ? ascii_lower(c) : ascii_upper(c);
        if (node_tag(n, G_QUOTE) && (c == '*' || c == '?' || c == '\\'))
            to[k++] = '\\';
        to[k++] = c;
    }
    if (node_tag(n, G_LENGTH)) { /* in characters */
        unsigned length = 0;
        for (size_t i = 0; i < k; i++)
            length += (to[i] & 0xC0) != 0x80;
        k = (size_t)snprintf(to, 24, "%u", length);
    }
    *value = slice_make(to, k);
    return OK;
}

struct error set_run(struct sieve_run *r, const struct sieve_node *n)
{
    struct slice value;
    TRY(value_string(r, &n->at[1], &value));
    if (n->n_bound)
        TRY(modify(r, n, &value));
    return variable_set(r, n, n->at[0].strings[0], value);
}

struct error string_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct matcher m;
    struct sieve_list sources;
    TRY(matcher_begin(r, n, &n->at[1], &m));
    TRY(value_strings(r, &n->at[0], &sources));
    for (size_t i = 0; i < sources.n && !m.found; i++)
        if (m.type != TAG_COUNT || sources.all[i].n) /* an empty string does not count (RFC 5229 5) */
            TRY(matcher_value(&m, sources.all[i]));
    return matcher_end(&m, out);
}
