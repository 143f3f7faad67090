/* tests/fuzz/target.h -- what a fuzz target is: one function over bytes that must come back, whatever they are
 *
 * `make fuzz` links it with libFuzzer, `make fuzz-replay` with replay.c, which gives it every file of corpus/<name>/. A broken promise is abort().
 */
#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

#include <stdint.h>
#include <stdlib.h>

#include "core/slice.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct slice target_slice(const uint8_t *data, size_t size) { return slice_make((const char *)data, size); }

/* Takes a line off inputs that are made of lines. */
static inline struct slice target_line(struct slice *rest)
{
    struct slice line = slice_first(*rest, slice_find(*rest, '\n'));
    *rest = slice_after(*rest, line.n + 1);
    return line;
}

static inline void promise(bool kept)
{
    if (!kept)
        abort();
}

#endif
