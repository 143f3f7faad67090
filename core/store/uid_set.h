/* core/store/uid_set.h -- a sorted set of UIDs as ranges
 *
 * What IMAP calls a sequence-set once it has been resolved; also a session's numbering of a mailbox: 100,000 messages without a hole are
 * one range, 8 bytes. The ranges live in memory of their own (uid_set_free); they are ascending, apart from each other and not adjacent.
 */
#ifndef KANTOR_CORE_STORE_UID_SET_H
#define KANTOR_CORE_STORE_UID_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/slice.h"

struct uid_range {
    uint32_t lo, hi; /* both inside; lo <= hi, lo >= 1 */
};

struct uid_set {
    struct uid_range *ranges;
    size_t n, size;
    bool failed; /* an allocation failed; whoever uses the set looks once */
};

void uid_set_free(struct uid_set *s); /* usable again; fits SCOPED */
void uid_set_clear(struct uid_set *s);
/* Any order; appending at the end is O(1), else the ranges behind are moved. */
void uid_set_add(struct uid_set *s, uint32_t lo, uint32_t hi);
void uid_set_remove(struct uid_set *s, uint32_t lo, uint32_t hi);
void uid_set_copy(struct uid_set *to, const struct uid_set *from);
/* to = a ∩ b, to = a \ b; `to` must be another set. */
void uid_set_intersect(struct uid_set *to, const struct uid_set *a, const struct uid_set *b);
void uid_set_subtract(struct uid_set *to, const struct uid_set *a, const struct uid_set *b);
bool uid_set_has(const struct uid_set *s, uint32_t uid); /* O(log n) */
uint64_t uid_set_count(const struct uid_set *s);         /* O(n ranges) */
uint32_t uid_set_max(const struct uid_set *s);           /* 0 when empty */
/* Message sequence numbers: the number (1…) of a uid, 0 when absent; the uid of a number, 0 past the end. O(n ranges). */
uint32_t uid_set_number_of(const struct uid_set *s, uint32_t uid);
uint32_t uid_set_uid_of(const struct uid_set *s, uint32_t number);
/* Writes "1:3,7" ; nothing for an empty set. */
void uid_set_write(const struct uid_set *s, struct buffer *out);
/* Reads an IMAP sequence-set of plain numbers, with "*" standing for `star` (RFC 9051 9: both orders of a range; merged first,
 * attacks.md IM-08). ERROR_INVALID; at most 64 KiB of text. */
struct error uid_set_read(struct uid_set *s, struct slice text, uint32_t star);

#endif
