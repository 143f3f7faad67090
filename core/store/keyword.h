/* core/store/keyword.h -- names of flags and their bits
 *
 * $Forwarded, $MDNSent, $Junk, $label1 … have fixed bits (keyword_fixed), case-insensitive, spelt as registered. An account's own keywords
 * get a bit of their own on first use and keep it for ever (case kept as first seen); when the 31 are used up the name goes into `kw`.
 */
#ifndef KANTOR_CORE_STORE_KEYWORD_H
#define KANTOR_CORE_STORE_KEYWORD_H

#include "core/store/item.h"

/* Name of bit 5…31, or NULL where none is registered. Static. */
const char *keyword_fixed(int bit);

struct keyword_map {
    struct slice own[63]; /* by bit; p NULL where unused. 0…4 hold \Seen … \Draft, 5…31 the fixed ones */
};

/* An account's map; texts in the arena. */
struct error keyword_map_get(struct sql *db, int64_t account, struct arena *a, struct keyword_map *out);

/* In a change: resolves names to bits, giving new ones out; what finds no bit is appended to *kw. ERROR_LIMIT: more than 128 names in the
 * account or a name above 64 bytes; ERROR_INVALID: not an IMAP atom. Names of system flags ("\Seen") are resolved too; unknown "\X" is ERROR_INVALID. */
struct error keyword_resolve(struct sql *db, int64_t account, const struct slice *names, size_t n, int64_t *flags, struct buffer *kw);
/* Read-only: names that have no bit are left out of *flags and put into *kw. For SEARCH. */
struct error keyword_lookup(struct sql *db, int64_t account, const struct slice *names, size_t n, int64_t *flags, struct buffer *kw);
/* Writes "\Seen $Junk mine" for FETCH FLAGS. */
void keyword_write(const struct keyword_map *map, int64_t flags, struct slice kw, struct buffer *out);

#endif
