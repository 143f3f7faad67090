/* mail/sieve/check_rows.c -- what a row of the table cannot say about its command: names of fields, addresses, dates, variables */
#include "mail/sieve/internal.h"

static struct error fail(struct checker *c, const struct sieve_value *v, const char *before, struct slice name, const char *after)
{
    return sieve_fail(c->fault, v->line, arena_printf(c->arena, "%s\"%.*s\"%s", before, SLICE_ARG(slice_first(name, 80)), after));
}

struct error check_require(struct checker *c, struct sieve_node *n)
{
    for (size_t i = 0; i < n->at[0].n; i++) {
        uint32_t bit = sieve_extension_find(n->at[0].strings[i]);
        if (!bit)
            return fail(c, &n->at[0], "This server does not know the extension ", n->at[0].strings[i], ".");
        c->have |= bit;
    }
    return OK;
}

bool field_name_valid(struct slice name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] == 127 || name.p[i] == ':') /* also all above ASCII: char is signed */
            return false;
    return name.n > 0;
}

static struct error check_fields(struct checker *c, const struct sieve_value *v)
{
    for (size_t i = 0; value_constant(v) && i < v->n; i++)
        if (!field_name_valid(v->strings[i]))
            return fail(c, v, "No header field can be called ", v->strings[i], " (the name alone is wanted, without colon and blanks).");
    return OK;
}

struct error check_header(struct checker *c, struct sieve_node *n) { return check_fields(c, &n->at[0]); }

/* Fields that hold addresses, and no others (RFC 5228 5.1). */
static bool holds_addresses(struct slice name)
{
    static const char *const names[] = {"from", "to", "cc", "bcc", "sender", "reply-to", "resent-from", "resent-to", "resent-cc", "resent-bcc", "resent-sender", "resent-reply-to",
                                        "return-path", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-envelope-from", "apparently-to", "errors-to",
                                        "mail-followup-to", "mail-reply-to", "disposition-notification-to", "return-receipt-to", "for-approval", "abuse-reports-to", "x-delivered-to", "x-forwarded-to", "x-forwarded-for"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq_nocase(name, slice_of(names[i])))
            return true;
    return false;
}

struct error check_address(struct checker *c, struct sieve_node *n)
{
    const struct sieve_value *v = &n->at[0];
    for (size_t i = 0; value_constant(v) && i < v->n; i++)
        if (!holds_addresses(v->strings[i]))
            return fail(c, v, "The field ", v->strings[i], " holds no addresses; use the test header.");
    return OK;
}

struct error check_envelope(struct checker *c, struct sieve_node *n)
{
    const struct sieve_value *v = &n->at[0];
    for (size_t i = 0; value_constant(v) && i < v->n; i++)
        if (!slice_eq_nocase(v->strings[i], SLICE("from")) && !slice_eq_nocase(v->strings[i], SLICE("to")))
            return fail(c, v, "The envelope has \"from\" and \"to\", but not ", v->strings[i], ".");
    return OK;
}

static bool word_char(char c) { return ascii_is_alnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~.", c)); }

/* The length of a local part at the front: a quoted string or words with dots; 0: none. */
static size_t local_length(struct slice s)
{
    size_t n = 0;
    if (s.n && s.p[0] == '"') {
        for (n = 1; n < s.n && s.p[n] != '"'; n++) {
            n += s.p[n] == '\\';
            if (n >= s.n || s.p[n] < ' ' || s.p[n] == 127)
                return 0;
        }
        return n < s.n && n > 1 ? n + 1 : 0;
    }
    while (n < s.n && word_char(s.p[n]))
        n++;
    return n;
}

static bool domain_valid(struct slice s)
{
    bool literal = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
    char before = '.';
    if (literal)
        s = slice_make(s.p + 1, s.n - 2);
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && !(literal && s.p[i] == ':'))
            return false;
        if (s.p[i] == '.' && before == '.')
            return false;
        before = s.p[i];
    }
    return s.n > 0 && s.n <= 255 && before != '.';
}

/* What may stand before "<": nothing that ends or begins an address, but in quotes. */
static bool display_name_valid(struct slice s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        if ((s.p[i] >= 0 && s.p[i] < ' ') || s.p[i] == 127)
            return false;
        if (quoted && s.p[i] == '\\' && i + 1 < s.n)
            i++;
        else if (s.p[i] == '"')
            quoted = !quoted;
        else if (!quoted && memchr("<>@,;:", s.p[i], 6))
            return false;
    }
    return !quoted;
}

bool sieve_address_read(struct slice text, struct arena *a, struct slice *out)
{
    text = slice_trim(text);
    if (text.n && text.p[text.n - 1] == '>') {
        size_t begin = text.n - 1;
        while (begin > 0 && text.p[begin] != '<')
            begin--;
        if (text.p[begin] != '<' || !display_name_valid(slice_first(text, begin)))
            return false;
        text = slice_trim(slice_make(text.p + begin + 1, text.n - begin - 2));
    }
    size_t n = local_length(text);
    struct slice domain = slice_trim(slice_after(text, n));
    if (n == 0 || n > 255 || domain.n < 2 || domain.p[0] != '@')
        return false;
    domain = slice_trim(slice_after(domain, 1));
    if (!domain_valid(domain))
        return false;
    char *joined = arena_printf(a, "%.*s@%.*s", SLICE_ARG(slice_first(text, n)), SLICE_ARG(domain));
    *out = slice_of(joined);
    return joined != NULL;
}

static struct error check_one_address(struct checker *c, const struct sieve_value *v)
{
    struct slice address;
    if (v && value_constant(v) && !sieve_address_read(v->strings[0], c->arena, &address))
        return fail(c, v, "", v->strings[0], " is not one complete address.");
    return OK;
}

struct error check_redirect(struct checker *c, struct sieve_node *n) { return check_one_address(c, &n->at[0]); }

struct error check_vacation(struct checker *c, struct sieve_node *n)
{
    const struct sieve_value *all = node_tag_value(n, G_ADDRESSES);
    struct slice address;
    for (size_t i = 0; all && value_constant(all) && i < all->n; i++)
        if (!sieve_address_read(all->strings[i], c->arena, &address))
            return fail(c, all, "", all->strings[i], " is not one complete address.");
    return check_one_address(c, node_tag_value(n, G_FROM));
}

static struct error check_variable_names(struct checker *c, const struct sieve_value *v)
{
    if (v->kind == VALUE_NONE)
        return OK;
    for (size_t i = 0; i < v->n; i++)
        if (!variable_name_valid(v->strings[i]))
            return fail(c, v, "", v->strings[i], " is not the name of a variable (letters, digits and _, no digit first).");
    return OK;
}

struct error check_set(struct checker *c, struct sieve_node *n) { return check_variable_names(c, &n->at[0]); }

struct error check_flags(struct checker *c, struct sieve_node *n)
{
    if (n->at[0].kind != VALUE_NONE && !(c->have & X_VARIABLES))
        return sieve_fail(c->fault, n->line, "A variable for flags needs require \"variables\" at the top of the script.");
    return check_variable_names(c, &n->at[0]);
}

static struct error check_date_words(struct checker *c, const struct sieve_node *n, const struct sieve_value *part)
{
    const struct sieve_value *zone = node_tag_value(n, G_ZONE);
    int minutes;
    if (zone && value_constant(zone) && !zone_read(zone->strings[0], &minutes))
        return fail(c, zone, "", zone->strings[0], " is not a time zone; it looks like \"+0700\".");
    if (value_constant(part) && !date_part_known(part->strings[0]))
        return fail(c, part, "", part->strings[0], " is not a part of a date.");
    return OK;
}

struct error check_date(struct checker *c, struct sieve_node *n)
{
    TRY(check_fields(c, &n->at[0]));
    return check_date_words(c, n, &n->at[1]);
}

struct error check_currentdate(struct checker *c, struct sieve_node *n)
{
    const struct sieve_tag *zone = node_tag(n, G_ZONE);
    if (zone && zone->id == TAG_ORIGINALZONE)
        return sieve_fail(c->fault, n->line, "currentdate has no :originalzone.");
    return check_date_words(c, n, &n->at[0]);
}

struct error check_duplicate(struct checker *c, struct sieve_node *n)
{
    const struct sieve_tag *period = node_tag(n, G_PERIOD);
    const struct sieve_value *unique = node_tag_value(n, G_UNIQUE);
    if (period && period->id == TAG_DAYS)
        return sieve_fail(c->fault, n->line, "duplicate has :seconds, not :days.");
    return unique && node_tag(n, G_UNIQUE)->id == TAG_HEADER ? check_fields(c, unique) : OK;
}

struct error check_edit(struct checker *c, struct sieve_node *n) { return check_fields(c, &n->at[0]); }

/* Hexadecimal numbers with blanks between; their bytes or characters are added. False: not of the grammar. *range: a character that does not exist. */
static bool decode_numbers(struct slice s, bool unicode, char *to, size_t *n, bool *range)
{
    bool any = false;
    while ((s = slice_trim(s)).n) {
        uint32_t value = 0;
        size_t digits = 0;
        for (; digits < s.n && ascii_hex(s.p[digits]) >= 0; digits++)
            value = value > 0x10FFFF ? value : value << 4 | (uint32_t)ascii_hex(s.p[digits]);
        if (digits == 0 || (!unicode && digits > 2) || (digits < s.n && !ascii_is_space(s.p[digits])))
            return false;
        *range |= unicode && (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF));
        if (!unicode || value < 0x80) {
            to[(*n)++] = (char)value;
        } else if (!*range) {
            int more = value < 0x800 ? 1 : value < 0x10000 ? 2 : 3;
            to[(*n)++] = (char)((0xFF00 >> (more + 1) & 0xFF) | value >> (6 * more));
            while (more--)
                to[(*n)++] = (char)(0x80 | (value >> (6 * more) & 0x3F));
        }
        s = slice_after(s, digits);
        any = true;
    }
    return any;
}

struct error encoded_decode(struct checker *c, uint32_t line, struct slice *s)
{
    if (s->n < 8 || !memmem(s->p, s->n, "${", 2))
        return OK;
    char *to = arena_alloc(c->arena, 2 * s->n); /* "80 " becomes two bytes at most, and so on */
    size_t n = 0;
    if (!to)
        return sieve_fail(c->fault, line, NULL);
    for (size_t i = 0; i < s->n;) {
        struct slice rest = slice_after(*s, i);
        bool hex = slice_starts_nocase(rest, SLICE("${hex:")), unicode = slice_starts_nocase(rest, SLICE("${unicode:")), range = false;
        size_t begin = hex ? 6 : 10, end = begin, before = n;
        while ((hex || unicode) && end < rest.n && (ascii_hex(rest.p[end]) >= 0 || ascii_is_space(rest.p[end])))
            end++;
        if ((hex || unicode) && end < rest.n && rest.p[end] == '}' && decode_numbers(slice_make(rest.p + begin, end - begin), unicode, to, &n, &range)) {
            if (range)
                return sieve_fail(c->fault, line, "${unicode:...} names a character that does not exist.");
            i += end + 1;
            continue;
        }
        n = before;
        to[n++] = rest.p[0];
        i++;
    }
    *s = slice_make(to, n);
    return OK;
}
