/* core/near.c -- distance of two words */
#include "core/near.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t near_distance(struct slice a, struct slice b)
{
    size_t d[NEAR_BYTES + 1][NEAR_BYTES + 1];
    a = slice_first(a, NEAR_BYTES);
    b = slice_first(b, NEAR_BYTES);
    for (size_t i = 0; i <= a.n; i++)
        for (size_t k = 0; k <= b.n; k++) {
            if (i == 0 || k == 0) {
                d[i][k] = i + k;
                continue;
            }
            d[i][k] = least(d[i - 1][k - 1] + (ascii_lower(a.p[i - 1]) != ascii_lower(b.p[k - 1])),
                            least(d[i - 1][k], d[i][k - 1]) + 1);
            if (i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] && a.p[i - 2] == b.p[k - 1])
                d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1);
        }
    return d[a.n][b.n];
}
