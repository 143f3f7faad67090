/* mail/imap/list.c -- LIST with its extensions, LSUB, NAMESPACE (RFC 9051 6.3.9, RFC 5258, 5819, 6154) */
#include "mail/imap/internal.h"
#include "mail/mailbox/name.h"

enum { PATTERNS_MAX = 32 };
enum { SELECT_SUBSCRIBED = 1, SELECT_REMOTE = 2, SELECT_RECURSIVE = 4, SELECT_SPECIAL = 8 };
enum { RETURN_SUBSCRIBED = 1, RETURN_CHILDREN = 2, RETURN_SPECIAL = 4, RETURN_STATUS = 8 };

struct listing {
    enum { LIST, LSUB, XLIST } verb;
    int selection, wanted, items;
    struct slice reference, patterns[PATTERNS_MAX];
    size_t n_patterns;
};

/* '*' any, '%' any but the delimiter. Linear: on a mismatch only the last wildcard moves on (attacks.md IM-11). The first `blind` octets match without case. */
static bool matches(struct slice pattern, struct slice name, size_t blind)
{
    size_t p = 0, n = 0, star_p = SIZE_MAX, star_n = 0, percent_p = SIZE_MAX, percent_n = 0;
    while (n < name.n || p < pattern.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star_p = ++p;
            star_n = n;
            percent_p = SIZE_MAX;
            continue;
        }
        if (p < pattern.n && pattern.p[p] == '%') {
            percent_p = ++p;
            percent_n = n;
            continue;
        }
        if (p < pattern.n && n < name.n && (pattern.p[p] == name.p[n] || (n < blind && ascii_lower(pattern.p[p]) == ascii_lower(name.p[n])))) {
            p++;
            n++;
            continue;
        }
        if (percent_p != SIZE_MAX && percent_n < name.n && name.p[percent_n] != '/') {
            n = ++percent_n;
            p = percent_p;
            continue;
        }
        if (star_p != SIZE_MAX && star_n < name.n) {
            n = ++star_n;
            p = star_p;
            percent_p = SIZE_MAX;
            continue;
        }
        return false;
    }
    return true;
}

static size_t inbox_part(struct slice path)
{
    return slice_starts(path, SLICE("INBOX")) && (path.n == 5 || path.p[5] == '/') ? 5 : 0;
}

static bool any_matches(const struct listing *l, struct slice path)
{
    for (size_t i = 0; i < l->n_patterns; i++)
        if (matches(l->patterns[i], path, inbox_part(path)))
            return true;
    return false;
}

/* --- arguments */

/* Wildcards side by side are one: the work for a name is then bounded by its length. */
static size_t collapse(char *text, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        char *last = kept ? &text[kept - 1] : NULL;
        if (last && (text[i] == '*' || text[i] == '%') && (*last == '*' || *last == '%'))
            *last = text[i] == '*' ? '*' : *last;
        else
            text[kept++] = text[i];
    }
    return kept;
}

static struct error add_pattern(struct imap_session *s, struct imap_args *a, struct listing *l, struct slice text)
{
    char *whole = arena_printf(a->arena, "%.*s%.*s", SLICE_ARG(l->reference), SLICE_ARG(text));
    if (!whole)
        return error_make(ERROR_MEMORY, "no memory for patterns");
    if (l->n_patterns == PATTERNS_MAX)
        return error_make(ERROR_LIMIT, "too many patterns");
    struct slice pattern = slice_make(whole, collapse(whole, strlen(whole)));
    if (!(s->enabled & (ENABLED_UTF8 | ENABLED_REV2)) && slice_find(pattern, '&') < pattern.n) {
        struct buffer b = {0};
        if (name_from_utf7(pattern, &b))
            pattern = arena_copy(a->arena, buffer_slice(&b));
        buffer_free(&b);
    }
    struct error e = mailbox_normalise(pattern, a->arena, &pattern);
    l->patterns[l->n_patterns++] = pattern;
    return e.code == ERROR_INVALID ? OK : e; /* what is no UTF-8 matches no name */
}

static struct error read_selection(struct imap_args *a, struct listing *l)
{
    static const struct {
        struct slice word;
        int bit;
    } words[] = {{{"SUBSCRIBED", 10}, SELECT_SUBSCRIBED}, {{"REMOTE", 6}, SELECT_REMOTE}, {{"RECURSIVEMATCH", 14}, SELECT_RECURSIVE}, {{"SPECIAL-USE", 11}, SELECT_SPECIAL}};
    for (int n = 0; !args_take(a, ')'); n++) {
        size_t i = 0;
        if (n)
            TRY(args_space(a));
        while (i < 4 && !args_word(a, words[i].word))
            i++;
        if (i == 4)
            return imap_bad("that selection option is not known");
        l->selection |= words[i].bit;
    }
    if (l->selection & SELECT_RECURSIVE && !(l->selection & (SELECT_SUBSCRIBED | SELECT_SPECIAL)))
        return imap_bad("RECURSIVEMATCH needs another selection option"); /* RFC 5258 3.1 */
    if (l->selection & SELECT_SUBSCRIBED)
        l->wanted |= RETURN_SUBSCRIBED;
    if (l->selection & SELECT_SPECIAL)
        l->wanted |= RETURN_SPECIAL;
    return args_space(a);
}

static struct error read_return(struct imap_args *a, struct listing *l)
{
    if (!args_word(a, SLICE("RETURN")) || !args_take(a, ' ') || !args_take(a, '('))
        return imap_bad("RETURN and a list were expected");
    for (int n = 0; !args_take(a, ')'); n++) {
        if (n)
            TRY(args_space(a));
        if (args_word(a, SLICE("SUBSCRIBED"))) {
            l->wanted |= RETURN_SUBSCRIBED;
        } else if (args_word(a, SLICE("CHILDREN"))) {
            l->wanted |= RETURN_CHILDREN;
        } else if (args_word(a, SLICE("SPECIAL-USE"))) {
            l->wanted |= RETURN_SPECIAL;
        } else if (args_word(a, SLICE("STATUS"))) {
            l->wanted |= RETURN_STATUS;
            TRY(args_space(a));
            TRY(imap_status_items(a, &l->items));
        } else {
            return imap_bad("that return option is not known");
        }
    }
    return OK;
}

static struct error read_arguments(struct imap_session *s, struct imap_args *a, struct listing *l)
{
    struct slice pattern;
    TRY(args_space(a));
    if (args_take(a, '('))
        TRY(read_selection(a, l));
    TRY(args_astring(a, &l->reference));
    TRY(args_space(a));
    if (args_take(a, '(')) {
        do {
            TRY(args_list_mailbox(a, &pattern));
            TRY(add_pattern(s, a, l, pattern));
        } while (args_take(a, ' '));
        if (!args_take(a, ')'))
            return imap_bad("a parenthesis is missing");
    } else {
        TRY(args_list_mailbox(a, &pattern));
        TRY(add_pattern(s, a, l, pattern));
    }
    if (args_take(a, ' '))
        TRY(read_return(a, l));
    return args_end(a);
}

/* --- answers */

static const char *const role_names[] = {[ROLE_DRAFTS] = "\\Drafts", [ROLE_SENT] = "\\Sent", [ROLE_TRASH] = "\\Trash", [ROLE_JUNK] = "\\Junk", [ROLE_ARCHIVE] = "\\Archive", [ROLE_ALL] = "\\All", [ROLE_FLAGGED] = "\\Flagged", [ROLE_IMPORTANT] = "\\Important"};

static void add_attribute(struct buffer *out, int *some, const char *word)
{
    if ((*some)++)
        buffer_add_char(out, ' ');
    buffer_add(out, slice_of(word));
}

/* XLIST knows other words for two of them. */
static const char *use_of(const struct listing *l, const struct mailbox *m)
{
    if (!m->selectable || m->c.role > ROLE_IMPORTANT || m->c.role == ROLE_NONE)
        return NULL;
    if (l->verb == XLIST && (m->c.role == ROLE_INBOX || m->c.role == ROLE_JUNK))
        return m->c.role == ROLE_JUNK ? "\\Spam" : slice_eq(m->path, SLICE("INBOX")) ? "\\Inbox" : NULL;
    return m->c.role == ROLE_INBOX ? NULL : role_names[m->c.role];
}

static void write_one(const struct imap_session *s, const struct listing *l, const struct mailbox *m, int below, struct buffer *out)
{
    int some = 0, exists = m->c.id || m->children; /* else only subscribed: a name */
    const char *use = use_of(l, m);
    buffer_add(out, l->verb == LSUB ? SLICE("* LSUB (") : l->verb == XLIST ? SLICE("* XLIST (") : SLICE("* LIST ("));
    if (!m->selectable)
        add_attribute(out, &some, m->c.id || l->verb != LIST || !(s->enabled & ENABLED_REV2 || l->wanted || l->selection) ? "\\Noselect" : "\\NonExistent");
    if (exists) /* clients.md I37: always, and right */
        add_attribute(out, &some, m->children ? "\\HasChildren" : "\\HasNoChildren");
    if (m->subscribed && l->wanted & RETURN_SUBSCRIBED)
        add_attribute(out, &some, "\\Subscribed");
    if (use) /* plain LIST and LSUB, too: Outlook asks no other way */
        add_attribute(out, &some, use);
    buffer_add(out, SLICE(") \"/\" "));
    imap_mailbox_write(s, m->path, out);
    if (below) { /* RFC 9051 6.3.9.6: something below it is selected */
        buffer_add(out, SLICE(" (\"CHILDINFO\" ("));
        buffer_add(out, l->selection & SELECT_SUBSCRIBED ? SLICE("\"SUBSCRIBED\"") : SLICE("\"SPECIAL-USE\""));
        buffer_add(out, SLICE("))"));
    }
    buffer_add(out, SLICE("\r\n"));
}

static bool selected(const struct listing *l, const struct mailbox *m)
{
    if (l->selection & SELECT_SUBSCRIBED ? !m->subscribed : !m->c.id && !m->children)
        return false;
    return !(l->selection & SELECT_SPECIAL) || (m->selectable && m->c.role > ROLE_INBOX && m->c.role <= ROLE_IMPORTANT);
}

/* Is something below all[i] selected (and, where `unseen`, not itself in the answer)? The list is in tree order: what is below stands right behind. */
static bool selected_below(const struct listing *l, const struct mailbox *all, size_t n, size_t i, int unseen)
{
    for (size_t k = i + 1; k < n && all[k].path.n > all[i].path.n && all[k].path.p[all[i].path.n] == '/' && slice_starts(all[k].path, all[i].path); k++)
        if (selected(l, &all[k]) && !(unseen && any_matches(l, all[k].path)))
            return true;
    return false;
}

static bool ends_with_percent(const struct listing *l)
{
    return l->n_patterns && slice_ends(l->patterns[0], SLICE("%"));
}

static struct error run(struct connection *c, struct imap_session *s, const struct listing *l)
{
    struct mailbox *all;
    size_t n;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(l->selection & SELECT_SUBSCRIBED ? mailbox_list_subscribed(db, s->account, &c->arena, &all, &n) : mailbox_list(db, s->account, &c->arena, &all, &n));
    for (size_t i = 0; i < n; i++) {
        struct mailbox m = all[i];
        if (!any_matches(l, m.path))
            continue;
        bool mine = selected(l, &m), below = l->selection & SELECT_RECURSIVE && selected_below(l, all, n, i, !mine);
        if (!mine && l->verb == LSUB && ends_with_percent(l) && selected_below(l, all, n, i, 0)) {
            m.selectable = 0; /* RFC 3501 6.3.9: with % the parent of a subscribed name is \Noselect */
            mine = true;
        }
        if (!mine && !below)
            continue;
        write_one(s, l, &m, below, &c->out);
        if (l->wanted & RETURN_STATUS && m.selectable && m.rights & RIGHT_READ)
            imap_status_write(s, &m, l->items, &c->out);
    }
    return OK;
}

struct error imap_list_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct listing l = {.verb = slice_eq(s->row->name, SLICE("XLIST")) ? XLIST : LIST};
    TRY(read_arguments(s, a, &l));
    if (l.n_patterns == 1 && l.patterns[0].n == l.reference.n && l.selection == 0 && slice_eq(l.patterns[0], l.reference)) {
        buffer_add(&c->out, SLICE("* LIST (\\Noselect) \"/\" \"\"\r\n")); /* LIST "" "": the delimiter */
        return OK;
    }
    return run(c, s, &l);
}

struct error imap_lsub_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct listing l = {.verb = LSUB, .selection = SELECT_SUBSCRIBED};
    TRY(read_arguments(s, a, &l));
    l.wanted = 0;
    return run(c, s, &l);
}

struct error imap_namespace_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    (void)s;
    TRY(args_end(a));
    buffer_add(&c->out, SLICE("* NAMESPACE ((\"\" \"/\")) ((\"" MAILBOX_OTHERS "/\" \"/\")) ((\"" MAILBOX_SHARED "/\" \"/\"))\r\n"));
    return OK;
}
