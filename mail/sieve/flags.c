/* mail/sieve/flags.c -- flags for keep and fileinto (RFC 5232): sets of words in a variable, or in the one without a name */
#include "mail/sieve/internal.h"

/* The next word of a string of flags. */
static bool next_word(struct slice *rest, struct slice *word)
{
    *rest = slice_trim(*rest);
    size_t n = 0;
    while (n < rest->n && !ascii_is_space(rest->p[n]))
        n++;
    *word = slice_first(*rest, n);
    *rest = slice_after(*rest, n);
    return n > 0;
}

/* A system flag that can be set, or a keyword of IMAP's atom characters; others are ignored (RFC 5232 2). */
static bool flag_valid(struct slice flag)
{
    static const char *const system[] = {"\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"};
    if (flag.p[0] == '\\') {
        for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
            if (slice_eq_nocase(flag, slice_of(system[i])))
                return true;
        return false;
    }
    for (size_t i = 0; i < flag.n; i++)
        if (flag.p[i] <= ' ' || flag.p[i] >= 127 || strchr("(){%*\"\\]", flag.p[i]))
            return false;
    return flag.n <= 128;
}

static bool holds(struct slice set, struct slice flag)
{
    struct slice word;
    while (next_word(&set, &word))
        if (slice_eq_nocase(word, flag))
            return true;
    return false;
}

/* Adds the words of `list` that are valid, not in `out` yet, and (without != NULL) not in the strings of `without`. */
static struct error add_words(struct sieve_run *r, struct slice words, const struct sieve_list *without, struct buffer *out)
{
    struct slice word;
    while (next_word(&words, &word)) {
        bool skip = !flag_valid(word) || holds(buffer_slice(out), word);
        for (size_t i = 0; without && i < without->n && !skip; i++)
            skip = holds(without->all[i], word);
        TRY(run_steps(r, 16 + buffer_length(out)));
        if (skip || buffer_length(out) + word.n >= SIEVE_VARIABLE_MAX)
            continue;
        if (buffer_length(out))
            buffer_add_char(out, ' ');
        buffer_add(out, word);
    }
    return OK;
}

enum change { CHANGE_SET, CHANGE_ADD, CHANGE_REMOVE };

static struct error change_words(struct sieve_run *r, enum change change, struct slice old, const struct sieve_list *list, struct buffer *b)
{
    if (change != CHANGE_SET)
        TRY(add_words(r, old, change == CHANGE_REMOVE ? list : NULL, b));
    for (size_t i = 0; change != CHANGE_REMOVE && i < list->n; i++)
        TRY(add_words(r, list->all[i], NULL, b));
    return OK;
}

static struct error change_flags(struct sieve_run *r, const struct sieve_node *n, enum change change)
{
    struct buffer b = {0};
    struct sieve_list list;
    bool named = n->at[0].kind != VALUE_NONE;
    TRY(value_strings(r, &n->at[1], &list));
    struct error e = change_words(r, change, named ? variable_get(r, n->at[0].strings[0]) : r->flags, &list, &b);
    struct slice flags = arena_copy(r->arena, buffer_slice(&b));
    if (e.code == ERROR_NONE && (b.failed || !flags.p))
        e = sieve_no_memory();
    buffer_free(&b);
    TRY(e);
    if (named)
        return variable_set(r, n, n->at[0].strings[0], flags);
    r->flags = flags;
    return OK;
}

struct error setflag_run(struct sieve_run *r, const struct sieve_node *n) { return change_flags(r, n, CHANGE_SET); }
struct error addflag_run(struct sieve_run *r, const struct sieve_node *n) { return change_flags(r, n, CHANGE_ADD); }
struct error removeflag_run(struct sieve_run *r, const struct sieve_node *n) { return change_flags(r, n, CHANGE_REMOVE); }

/* Words as a list in the arena, each once. */
static struct error split(struct sieve_run *r, const struct sieve_list *list, struct sieve_list *out)
{
    struct buffer b = {0};
    struct error e = change_words(r, CHANGE_SET, SLICE(""), list, &b);
    struct slice words = arena_copy(r->arena, buffer_slice(&b)), word;
    size_t n = 0;
    if (e.code == ERROR_NONE && (b.failed || !words.p))
        e = sieve_no_memory();
    buffer_free(&b);
    TRY(e);
    for (struct slice rest = words; next_word(&rest, &word);)
        n++;
    struct slice *all = arena_zero(r->arena, n + 1, sizeof *all);
    if (!all)
        return sieve_no_memory();
    *out = (struct sieve_list){all, n};
    for (size_t i = 0; i < n; i++)
        (void)next_word(&words, &all[i]);
    return OK;
}

struct error action_flags(struct sieve_run *r, const struct sieve_node *n, struct sieve_list *out)
{
    const struct sieve_value *given = node_tag_value(n, G_FLAGS);
    struct sieve_list list = {&r->flags, r->flags.n > 0};
    *out = (struct sieve_list){NULL, 0};
    if (given)
        TRY(value_strings(r, given, &list));
    return list.n ? split(r, &list, out) : OK;
}

struct error hasflag_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct matcher m;
    struct sieve_list all = {&r->flags, 1};
    TRY(matcher_begin(r, n, &n->at[1], &m));
    if (n->at[0].kind != VALUE_NONE) {
        struct slice *values = arena_zero(r->arena, n->at[0].n, sizeof *values);
        if (!values)
            return sieve_no_memory();
        for (size_t i = 0; i < n->at[0].n; i++)
            values[i] = variable_get(r, n->at[0].strings[i]);
        all = (struct sieve_list){values, n->at[0].n};
    }
    if (m.type == TAG_IS) /* "\\Seen \\Flagged" as a key is two flags (RFC 5232 4) */
        TRY(split(r, &m.keys, &m.keys));
    for (size_t i = 0; i < all.n && !m.found; i++)
        for (struct slice rest = all.all[i], word; !m.found && next_word(&rest, &word);)
            TRY(matcher_value(&m, word));
    return matcher_end(&m, out);
}
