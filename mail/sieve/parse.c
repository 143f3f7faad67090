/* mail/sieve/parse.c -- words into a tree of commands and tests (RFC 5228 8.2)
 *
 * Knows the grammar only, no name of a command. Recursion is bounded by SIEVE_DEPTH_MAX for blocks and for tests, the tree by SIEVE_NODES_MAX.
 */
#include "mail/sieve/internal.h"

#include <utf8proc.h>

struct parser {
    struct lexer lexer;
    struct token token; /* looked at, not taken */
    struct arena *arena;
    struct sieve_fault *fault;
    size_t nodes;
    int depth, test_depth;
};

static struct error step(struct parser *p) { return lexer_next(&p->lexer, &p->token); }
static bool at(const struct parser *p, char c) { return p->token.kind == TOKEN_PUNCTUATION && p->token.c == c; }

static struct error fail(struct parser *p, const char *text) { return sieve_fail(p->fault, p->token.line, text); }

static struct error node_new(struct parser *p, struct sieve_node **out)
{
    if (++p->nodes > SIEVE_NODES_MAX) {
        (void)fail(p, "The script has too many commands and tests.");
        return error_make(ERROR_LIMIT, p->fault->text);
    }
    struct sieve_node *n = arena_zero(p->arena, 1, sizeof *n);
    if (!n)
        return fail(p, NULL);
    n->line = p->token.line;
    n->name = p->token.text;
    *out = n;
    return step(p);
}

/* Room for one more in an array that doubles. */
static void *grown(struct parser *p, void *all, size_t n, size_t size)
{
    if (n && (n & (n - 1)))
        return all;
    return n ? arena_grow(p->arena, all, n * size, 2 * n * size) : arena_alloc(p->arena, size);
}

static struct error add_string(struct parser *p, struct sieve_value *v)
{
    v->strings = grown(p, v->strings, v->n, sizeof *v->strings);
    if (!v->strings)
        return fail(p, NULL);
    v->strings[v->n++] = p->token.text;
    return step(p);
}

/* ["a", "b"] behind its bracket. */
static struct error read_list(struct parser *p, struct sieve_value *v)
{
    v->list = true;
    TRY(step(p));
    for (;;) {
        if (p->token.kind != TOKEN_STRING)
            return fail(p, "A list in brackets holds strings with commas between them.");
        TRY(add_string(p, v));
        if (at(p, ']'))
            return step(p);
        if (!at(p, ','))
            return fail(p, "A list of strings needs a comma or its closing bracket here.");
        TRY(step(p));
    }
}

static struct error read_arguments(struct parser *p, struct sieve_node *n)
{
    for (;;) {
        struct sieve_value v = {.line = p->token.line, .number = p->token.number, .tag = p->token.text};
        if (p->token.kind == TOKEN_NUMBER || p->token.kind == TOKEN_TAG) {
            v.kind = p->token.kind == TOKEN_NUMBER ? VALUE_NUMBER : VALUE_TAG;
            TRY(step(p));
        } else if (p->token.kind == TOKEN_STRING) {
            v.kind = VALUE_STRINGS;
            TRY(add_string(p, &v));
        } else if (at(p, '[')) {
            v.kind = VALUE_STRINGS;
            TRY(read_list(p, &v));
        } else {
            return OK;
        }
        n->args = grown(p, n->args, n->n_args, sizeof *n->args);
        if (!n->args)
            return fail(p, NULL);
        n->args[n->n_args++] = v;
    }
}

static struct error read_tests(struct parser *p, struct sieve_node *n);

static struct error read_test(struct parser *p, struct sieve_node **out)
{
    if (p->token.kind != TOKEN_NAME)
        return fail(p, "A test is missing here.");
    TRY(node_new(p, out));
    TRY(read_arguments(p, *out));
    return read_tests(p, *out);
}

/* One test, or several in parentheses. */
static struct error read_tests(struct parser *p, struct sieve_node *n)
{
    struct sieve_node **next = &n->tests;
    n->parentheses = at(p, '(');
    if (!n->parentheses && p->token.kind != TOKEN_NAME)
        return OK;
    if (++p->test_depth > SIEVE_DEPTH_MAX)
        return fail(p, "Tests are nested too deeply here; 32 levels are allowed.");
    do {
        if (n->parentheses)
            TRY(step(p));
        TRY(read_test(p, next));
        next = &(*next)->next;
        n->n_tests++;
    } while (n->parentheses && at(p, ','));
    p->test_depth--;
    if (!n->parentheses)
        return OK;
    return at(p, ')') ? step(p) : fail(p, "A list of tests needs a comma or its closing parenthesis here.");
}

static struct error read_block(struct parser *p, struct sieve_node **first);

static struct error read_command(struct parser *p, struct sieve_node **out)
{
    if (p->token.kind != TOKEN_NAME)
        return fail(p, "A command is missing here.");
    TRY(node_new(p, out));
    TRY(read_arguments(p, *out));
    TRY(read_tests(p, *out));
    if (at(p, ';'))
        return step(p);
    if (!at(p, '{'))
        return fail(p, "A semicolon or a block in braces is missing here, or an argument is of no known form.");
    if (++p->depth > SIEVE_DEPTH_MAX)
        return fail(p, "Blocks are nested too deeply here; 32 levels are allowed.");
    (*out)->has_block = true;
    TRY(step(p));
    TRY(read_block(p, &(*out)->block));
    p->depth--;
    return at(p, '}') ? step(p) : fail(p, "The closing brace of a block is missing.");
}

static struct error read_block(struct parser *p, struct sieve_node **first)
{
    while (p->token.kind != TOKEN_END && !at(p, '}')) {
        TRY(read_command(p, first));
        first = &(*first)->next;
    }
    return OK;
}

static struct error check_characters(struct slice text, struct sieve_fault *fault)
{
    uint32_t line = 1;
    for (size_t i = 0; i < text.n;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text.p + i, (utf8proc_ssize_t)(text.n - i), &point);
        if (n <= 0 || point == 0)
            return sieve_fail(fault, line, "This line is not UTF-8 text.");
        line += point == '\n';
        i += (size_t)n;
    }
    return OK;
}

struct error sieve_parse(struct slice text, struct arena *a, struct sieve_node **first, struct sieve_fault *fault)
{
    struct parser p = {.lexer = {text, 1, a, fault}, .arena = a, .fault = fault};
    *first = NULL;
    TRY(check_characters(text, fault));
    TRY(step(&p));
    TRY(read_block(&p, first));
    return p.token.kind == TOKEN_END ? OK : fail(&p, "A closing brace stands here without its block.");
}
