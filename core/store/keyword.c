/* core/store/keyword.c -- names of flags */
#include "core/store/keyword.h"

#include "core/cleanup.h"

enum { NAME_MAX_BYTES = 64, NAMES_MAX = 128 };

/* Bits 0 to 31. Registered at IANA or used by everybody (clients.md I44); a place is never given to another name. */
static const char *const fixed[] = {"\\Seen",   "\\Answered", "\\Flagged", "\\Deleted", "\\Draft",   "$Forwarded", "$MDNSent",        "$Junk",           "$NotJunk",       "$Phishing",
                                    "$label1",  "$label2",    "$label3",   "$label4",   "$label5",   "Junk",       "NonJunk",         "$MailFlagBit0",   "$MailFlagBit1",  "$MailFlagBit2",
                                    "$Submitted", "$SubmitPending", "$Important", "$HasAttachment", "$HasNoAttachment", "$muted", "$followed", "$memo", "$snoozed", "Forwarded", "Redirected", "$Completed"};

_Static_assert(sizeof fixed / sizeof fixed[0] == 32, "bits 0 to 31");

const char *keyword_fixed(int bit)
{
    return bit >= KEYWORD_FIRST_FIXED && bit < KEYWORD_FIRST_OWN ? fixed[bit] : NULL;
}

struct error keyword_map_get(struct sql *db, int64_t account, struct arena *a, struct keyword_map *out)
{
    *out = (struct keyword_map){0};
    for (int bit = 0; bit < KEYWORD_FIRST_OWN; bit++)
        out->own[bit] = slice_of(fixed[bit]);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "SELECT bit, name FROM keyword WHERE account = $1");
    sql_bind_int(st, 1, account);
    while (sql_row(st)) {
        int64_t bit = sql_int(st, 0);
        if (bit >= KEYWORD_FIRST_OWN && bit <= KEYWORD_LAST_OWN)
            out->own[bit] = arena_copy(a, sql_text(st, 1));
    }
    return sql_result(st);
}

/* atom of RFC 9051 9 */
static bool is_atom(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7F || memchr("(){%*\"\\]", s.p[i], 8))
            return false;
    return s.n > 0;
}

static int find(const struct keyword_map *map, struct slice name)
{
    for (int bit = 0; bit <= KEYWORD_LAST_OWN; bit++)
        if (map->own[bit].p && slice_eq_nocase(map->own[bit], name))
            return bit;
    return -1;
}

static struct error give_bit(struct sql *db, int64_t account, struct keyword_map *map, struct slice name, int *bit)
{
    *bit = KEYWORD_FIRST_OWN;
    while (*bit <= KEYWORD_LAST_OWN && map->own[*bit].p)
        ++*bit;
    if (*bit > KEYWORD_LAST_OWN) {
        *bit = -1;
        return OK;
    }
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, "INSERT INTO keyword (account, bit, name) VALUES ($1, $2, $3)");
    sql_bind_int(st, 1, account);
    sql_bind_int(st, 2, *bit);
    sql_bind_text(st, 3, name);
    map->own[*bit] = name;
    return sql_run(st);
}

/* Sorted by the caller's order; " a b ". A name that stands there already is not added again. */
static struct error overflow(struct buffer *kw, struct slice name)
{
    size_t words = 0;
    struct slice all = buffer_slice(kw);
    for (size_t at = 0; at < all.n;) {
        struct slice word = slice_first(slice_after(all, at), slice_find(slice_after(all, at), ' '));
        if (slice_eq_nocase(word, name))
            return OK;
        words += word.n > 0;
        at += word.n + 1;
    }
    if (words >= NAMES_MAX)
        return error_make(ERROR_LIMIT, "a message may have at most 128 keywords");
    if (all.n == 0)
        buffer_add_char(kw, ' ');
    for (size_t i = 0; i < name.n; i++)
        buffer_add_char(kw, ascii_lower(name.p[i])); /* one spelling, so that text search finds it */
    buffer_add_char(kw, ' ');
    return kw->failed ? error_make(ERROR_MEMORY, "no memory for keywords") : OK;
}

enum purpose { LOOK_UP, GIVE_OUT };

static struct error resolve(struct sql *db, int64_t account, const struct slice *names, size_t n, enum purpose purpose, int64_t *flags, struct buffer *kw)
{
    struct arena a;
    struct keyword_map map;
    arena_init(&a, 1024 * 1024);
    struct error e = keyword_map_get(db, account, &a, &map);
    *flags = 0;
    for (size_t i = 0; e.code == ERROR_NONE && i < n; i++) {
        int bit = find(&map, names[i]);
        if (bit < 0 && !is_atom(names[i]))
            e = error_make(ERROR_INVALID, "a flag is a word without blanks, brackets, quotes or backslashes");
        else if (bit < 0 && names[i].n > NAME_MAX_BYTES)
            e = error_make(ERROR_LIMIT, "a keyword may have at most 64 bytes");
        else if (bit < 0 && purpose == GIVE_OUT)
            e = give_bit(db, account, &map, names[i], &bit);
        if (e.code == ERROR_NONE && bit >= 0)
            *flags |= (int64_t)1 << bit;
        else if (e.code == ERROR_NONE)
            e = overflow(kw, names[i]);
    }
    arena_free(&a);
    return e;
}

struct error keyword_resolve(struct sql *db, int64_t account, const struct slice *names, size_t n, int64_t *flags, struct buffer *kw)
{
    return resolve(db, account, names, n, GIVE_OUT, flags, kw);
}

struct error keyword_lookup(struct sql *db, int64_t account, const struct slice *names, size_t n, int64_t *flags, struct buffer *kw)
{
    return resolve(db, account, names, n, LOOK_UP, flags, kw);
}

void keyword_write(const struct keyword_map *map, int64_t flags, struct slice kw, struct buffer *out)
{
    int some = 0;
    for (int bit = 0; flags; bit++, flags >>= 1) {
        if (!(flags & 1) || !map->own[bit].p)
            continue;
        if (some++)
            buffer_add_char(out, ' ');
        buffer_add(out, map->own[bit]);
    }
    kw = slice_trim(kw);
    if (kw.n && some)
        buffer_add_char(out, ' ');
    buffer_add(out, kw);
}
