/* tests/fuzz/name_fuzz.c -- mailbox names in modified UTF-7: what can be read is written back as it was (one spelling for one name) */
#include "mail/mailbox/name.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = target_slice(data, size);
    struct buffer utf8 = {0}, again = {0};
    if (name_from_utf7(text, &utf8)) {
        name_to_utf7(buffer_slice(&utf8), &again);
        promise(slice_eq(buffer_slice(&again), text));
    }
    buffer_clear(&again);
    name_to_utf7(text, &again); /* any bytes: must come back */
    buffer_free(&utf8);
    buffer_free(&again);
    return 0;
}
