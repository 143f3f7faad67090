/* tests/fuzz/index_fuzz.c -- a stored part index that somebody damaged (attacks.md SI-16): nothing reaches past the message */
#include "mail/mime/index.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mime_index x;
    struct arena a;
    if (size < 2)
        return 0;
    uint64_t message = (uint64_t)data[0] << 4;
    arena_init(&a, 1024 * 1024);
    if (mime_index_read(target_slice(data + 1, size - 1), message, &a, &x).code == ERROR_NONE) {
        for (uint32_t k = 0; k < 5; k++) {
            uint32_t numbers[] = {k, data[1] & 3, 1, k}, part;
            uint64_t from, to;
            for (size_t n = 0; n <= 4; n++)
                for (int what = SECTION_WHOLE; what <= SECTION_MIME; what++)
                    if (mime_index_find(&x, numbers, n, (enum mime_section)what, &from, &to, &part))
                        promise(from <= to && to <= message && part < x.n);
        }
    }
    arena_free(&a);
    return 0;
}
