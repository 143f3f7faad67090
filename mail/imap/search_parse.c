/* mail/imap/search_parse.c -- keys of SEARCH (RFC 9051 6.4.4, RFC 4731, 5182, 7162 3.1.5), without recursion */
#include "mail/imap/search.h"
#include "mail/mime/charset.h"
#include "mail/mime/date.h"

enum { TEXT_MAX = 4096 };

static const struct word {
    struct slice word;
    enum search_kind kind;
    int64_t mask, value;
    enum { NOTHING, DATE, NUMBER, STRING, TWO_STRINGS, FLAG, UID_SET, MODSEQ_ARGS } argument;
} words[] = {
    {{"ALL", 3}, KEY_ALL, 0, 0, NOTHING},
    {{"ANSWERED", 8}, KEY_FLAGS, FLAG_ANSWERED, FLAG_ANSWERED, NOTHING},
    {{"UNANSWERED", 10}, KEY_FLAGS, FLAG_ANSWERED, 0, NOTHING},
    {{"DELETED", 7}, KEY_FLAGS, FLAG_DELETED, FLAG_DELETED, NOTHING},
    {{"UNDELETED", 9}, KEY_FLAGS, FLAG_DELETED, 0, NOTHING},
    {{"DRAFT", 5}, KEY_FLAGS, FLAG_DRAFT, FLAG_DRAFT, NOTHING},
    {{"UNDRAFT", 7}, KEY_FLAGS, FLAG_DRAFT, 0, NOTHING},
    {{"FLAGGED", 7}, KEY_FLAGS, FLAG_FLAGGED, FLAG_FLAGGED, NOTHING},
    {{"UNFLAGGED", 9}, KEY_FLAGS, FLAG_FLAGGED, 0, NOTHING},
    {{"SEEN", 4}, KEY_FLAGS, FLAG_SEEN, FLAG_SEEN, NOTHING},
    {{"UNSEEN", 6}, KEY_FLAGS, FLAG_SEEN, 0, NOTHING},
    {{"NEW", 3}, KEY_FLAGS, 0, 1, NOTHING},    /* \Recent is never set: NEW and RECENT match nothing, OLD all */
    {{"RECENT", 6}, KEY_FLAGS, 0, 1, NOTHING},
    {{"OLD", 3}, KEY_ALL, 0, 0, NOTHING},
    {{"KEYWORD", 7}, KEY_KEYWORD, 1, 0, FLAG},
    {{"UNKEYWORD", 9}, KEY_KEYWORD, 0, 0, FLAG},
    {{"BEFORE", 6}, KEY_BEFORE, 0, 0, DATE},
    {{"ON", 2}, KEY_ON, 0, 0, DATE},
    {{"SINCE", 5}, KEY_SINCE, 0, 0, DATE},
    {{"SENTBEFORE", 10}, KEY_SENTBEFORE, 0, 0, DATE},
    {{"SENTON", 6}, KEY_SENTON, 0, 0, DATE},
    {{"SENTSINCE", 9}, KEY_SENTSINCE, 0, 0, DATE},
    {{"LARGER", 6}, KEY_LARGER, 0, 0, NUMBER},
    {{"SMALLER", 7}, KEY_SMALLER, 0, 0, NUMBER},
    {{"FROM", 4}, KEY_FROM, 0, 0, STRING},
    {{"TO", 2}, KEY_TO, 0, 0, STRING},
    {{"CC", 2}, KEY_CC, 0, 0, STRING},
    {{"BCC", 3}, KEY_HEADER, 0, 0, STRING},
    {{"SUBJECT", 7}, KEY_SUBJECT, 0, 0, STRING},
    {{"BODY", 4}, KEY_BODY, 0, 0, STRING},
    {{"TEXT", 4}, KEY_TEXT, 0, 0, STRING},
    {{"HEADER", 6}, KEY_HEADER, 0, 0, TWO_STRINGS},
    {{"UID", 3}, KEY_SET, 0, 0, UID_SET},
    {{"MODSEQ", 6}, KEY_MODSEQ, 0, 0, MODSEQ_ARGS},
};

enum { N_WORDS = sizeof words / sizeof words[0] };

static struct error read_text(struct imap_args *a, const struct search *x, struct slice *out)
{
    struct slice raw;
    struct buffer utf8 = {0}, folded = {0};
    TRY(args_astring(a, &raw));
    if (raw.n > TEXT_MAX)
        return error_make(ERROR_LIMIT, "the text to search for is too long");
    charset_to_utf8(x->charset, raw, &utf8);
    charset_fold(buffer_slice(&utf8), 4 * TEXT_MAX, &folded);
    *out = arena_copy(a->arena, buffer_slice(&folded));
    buffer_free(&utf8);
    buffer_free(&folded);
    return out->p ? OK : error_make(ERROR_MEMORY, "no memory for a text");
}

static struct error read_flag(struct imap_session *s, struct imap_args *a, struct search_key *key)
{
    struct slice name;
    struct buffer kw = {0};
    int64_t bits;
    TRY(args_atom(a, NULL, &name));
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    struct error e = keyword_lookup(db, s->box.account, &name, 1, &bits, &kw);
    key->value = bits;
    key->text = arena_copy(a->arena, buffer_slice(&kw));
    buffer_free(&kw);
    return e;
}

static struct error read_modseq(struct imap_session *s, struct imap_args *a, struct search *x, struct search_key *key)
{
    struct slice entry;
    uint64_t n;
    if (a->rest.n && a->rest.p[0] == '"') { /* entry and type: flags have no numbers of their own here */
        TRY(args_string(a, &entry));
        TRY(args_space(a));
        TRY(args_atom(a, NULL, &entry));
        TRY(args_space(a));
    }
    TRY(args_number(a, INT64_MAX, &n));
    key->value = (int64_t)n;
    x->uses_modseq = 1;
    s->enabled |= ENABLED_CONDSTORE;
    return OK;
}

static struct error read_set(struct imap_session *s, struct imap_args *a, int by_uid, struct search *x, struct search_key *key)
{
    if (x->n_sets == SEARCH_KEYS_MAX)
        return imap_bad("too many keys");
    key->kind = KEY_SET;
    key->set = &x->sets[x->n_sets++];
    s->hold_expunge |= !by_uid; /* RFC 7162 3.2.10.2: also in UID SEARCH */
    return imap_set_arg(s, a, by_uid, key->set);
}

static struct error read_argument(struct imap_session *s, struct imap_args *a, struct search *x, const struct word *w, struct search_key *key)
{
    struct slice date;
    uint64_t n;
    if (w->argument == NOTHING)
        return OK;
    TRY(args_space(a));
    switch (w->argument) {
    case DATE:
        TRY(args_astring(a, &date));
        return date_read_day(date, &key->value) ? OK : imap_bad("a date is written like 24-Nov-2026");
    case NUMBER:
        TRY(args_number(a, INT64_MAX, &n));
        key->value = (int64_t)n;
        return OK;
    case STRING:
        key->name = SLICE("Bcc"); /* counts for KEY_HEADER only */
        return read_text(a, x, &key->text);
    case TWO_STRINGS:
        TRY(args_astring(a, &key->name));
        TRY(args_space(a));
        return read_text(a, x, &key->text);
    case FLAG:
        return read_flag(s, a, key);
    case UID_SET:
        return read_set(s, a, 1, x, key);
    default:
        return read_modseq(s, a, x, key);
    }
}

/* A key that is no word: a set of numbers, "$". */
static bool begins_set(const struct imap_args *a)
{
    return a->rest.n && (ascii_is_digit(a->rest.p[0]) || a->rest.p[0] == '*' || a->rest.p[0] == '$');
}

struct frame_ {
    uint32_t key;
    int left; /* children that must come; -1: until ')' */
    uint32_t last;
};

static void hang(struct search *x, struct frame_ *f, uint32_t child)
{
    if (f->last)
        x->keys[f->last].next = child;
    else
        x->keys[f->key].first = child;
    f->last = child;
    if (f->left > 0)
        f->left--;
}

static struct error read_key(struct imap_session *s, struct imap_args *a, struct search *x, uint32_t *index, int *children)
{
    struct search_key *key = &x->keys[x->n];
    *index = x->n;
    *children = 0;
    if (x->n >= SEARCH_KEYS_MAX)
        return imap_bad("too many search keys");
    x->n++;
    if (args_take(a, '(')) {
        key->kind = KEY_AND;
        *children = -1;
        return OK;
    }
    if (begins_set(a))
        return read_set(s, a, 0, x, key);
    if (args_word(a, SLICE("NOT"))) {
        key->kind = KEY_NOT;
        *children = 1;
        return args_space(a);
    }
    if (args_word(a, SLICE("OR"))) {
        key->kind = KEY_OR;
        *children = 2;
        return args_space(a);
    }
    for (size_t i = 0; i < N_WORDS; i++) {
        if (!args_word(a, words[i].word))
            continue;
        *key = (struct search_key){.kind = words[i].kind, .mask = words[i].mask, .value = words[i].value};
        x->needs_index |= key->kind >= KEY_SENTBEFORE;
        return read_argument(s, a, x, &words[i], key);
    }
    return imap_bad("that search key is not known");
}

/* Keys nest by parentheses, NOT and OR: a stack of what still waits for children. */
static struct error read_keys(struct imap_session *s, struct imap_args *a, struct search *x)
{
    struct frame_ stack[SEARCH_DEPTH_MAX + 1] = {{.key = 0, .left = -1}};
    size_t depth = 1;
    x->n = 1;
    for (;;) {
        uint32_t index;
        int children;
        TRY(read_key(s, a, x, &index, &children));
        hang(x, &stack[depth - 1], index);
        if (children) {
            if (depth > SEARCH_DEPTH_MAX)
                return imap_bad("the search is nested too deeply");
            stack[depth++] = (struct frame_){.key = index, .left = children};
            continue;
        }
        while (depth > 1) { /* close what has all its children */
            if (stack[depth - 1].left == 0 || (stack[depth - 1].left < 0 && args_take(a, ')')))
                depth--;
            else
                break;
        }
        if (depth == 1 && a->rest.n == 0)
            return OK;
        TRY(args_space(a));
    }
}

static struct error read_returns(struct imap_args *a, struct search *x)
{
    static const struct {
        struct slice word;
        int bit;
    } options[] = {{{"MIN", 3}, RETURN_MIN}, {{"MAX", 3}, RETURN_MAX}, {{"ALL", 3}, RETURN_ALL}, {{"COUNT", 5}, RETURN_COUNT}, {{"SAVE", 4}, RETURN_SAVE}};
    if (!args_take(a, ' ') || !args_take(a, '('))
        return imap_bad("RETURN is followed by a list");
    x->extended = 1;
    for (int n = 0; !args_take(a, ')'); n++) {
        size_t i = 0;
        if (n)
            TRY(args_space(a));
        while (i < 5 && !args_word(a, options[i].word))
            i++;
        if (i == 5)
            return imap_bad("that return option is not known");
        x->returns |= options[i].bit;
    }
    if (x->returns == 0)
        x->returns = RETURN_ALL; /* RFC 4731 3.1 */
    return args_space(a);
}

struct error search_read(struct imap_session *s, struct imap_args *a, struct search *x)
{
    x->charset = SLICE("utf-8");
    TRY(args_space(a));
    if (args_word(a, SLICE("RETURN")))
        TRY(read_returns(a, x));
    if (args_word(a, SLICE("CHARSET"))) {
        TRY(args_space(a));
        TRY(args_astring(a, &x->charset));
        if (!charset_known(x->charset))
            return imap_no("[BADCHARSET (US-ASCII UTF-8 ISO-8859-1)] that charset is not known");
        TRY(args_space(a));
    }
    return read_keys(s, a, x);
}

void search_free(struct search *x)
{
    for (size_t i = 0; i < x->n_sets; i++)
        uid_set_free(&x->sets[i]);
    x->n_sets = 0;
    uid_set_free(&x->found);
}
