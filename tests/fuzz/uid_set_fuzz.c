/* tests/fuzz/uid_set_fuzz.c -- sequence sets: read, written and read again; the ranges stay ordered and apart */
#include "core/buffer.h"
#include "core/store/uid_set.h"
#include "tests/fuzz/target.h"

static void check(const struct uid_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        promise(s->ranges[i].lo >= 1 && s->ranges[i].lo <= s->ranges[i].hi && (i == 0 || (uint64_t)s->ranges[i - 1].hi + 1 < s->ranges[i].lo));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct uid_set x = {0}, y = {0}, z = {0}, rest = {0};
    struct buffer b = {0};
    if (size < 1)
        return 0;
    struct slice text = target_slice(data + 1, size - 1);
    size_t half = slice_find(text, '\n');
    if (uid_set_read(&x, slice_first(text, half), (uint32_t)data[0] * 17).code == ERROR_NONE) {
        check(&x);
        uid_set_write(&x, &b);
        promise(buffer_length(&b) > 64 * 1024 || x.n == 0 || (uid_set_read(&y, buffer_slice(&b), 1).code == ERROR_NONE && y.n == x.n && uid_set_count(&x) == uid_set_count(&y)));
        uid_set_clear(&y);
        if (uid_set_read(&y, slice_after(text, half + 1), 1).code == ERROR_NONE) {
            uid_set_intersect(&z, &x, &y);
            uid_set_subtract(&rest, &x, &y);
            check(&z);
            check(&rest);
            promise(uid_set_count(&z) + uid_set_count(&rest) == uid_set_count(&x));
            for (size_t i = 0; i < y.n && i < 50; i++)
                uid_set_remove(&x, y.ranges[i].lo, y.ranges[i].hi);
            check(&x);
        }
    }
    buffer_free(&b);
    uid_set_free(&x);
    uid_set_free(&y);
    uid_set_free(&z);
    uid_set_free(&rest);
    return 0;
}
