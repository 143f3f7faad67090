/* core/near.h -- how far two words are apart: for "did you mean …" */
#ifndef KANTOR_CORE_NEAR_H
#define KANTOR_CORE_NEAR_H

#include "core/slice.h"

enum { NEAR_BYTES = 40 };

/* Letters to change, add, drop or swap (Damerau and Levenshtein); case does not count, both are cut at NEAR_BYTES.
 * Thread: any. */
size_t near_distance(struct slice a, struct slice b);

#endif
