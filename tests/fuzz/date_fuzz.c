/* tests/fuzz/date_fuzz.c -- dates of mail and of IMAP; what was written is read back */
#include "mail/mime/date.h"
#include "tests/fuzz/target.h"

static void check(int64_t at)
{
    struct buffer b = {0};
    int64_t again;
    promise(at >= 0 && at <= 253402300799);
    date_write(at, &b);
    promise(date_read(buffer_slice(&b), &again, NULL) && again == at);
    buffer_clear(&b);
    date_write_imap(at, &b);
    promise(date_read_imap(buffer_slice(&b), &again) && again == at);
    buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = target_slice(data, size);
    int64_t at;
    int zone;
    if (date_read(text, &at, &zone)) {
        promise(zone >= -24 * 60 && zone <= 24 * 60);
        check(at);
    }
    if (date_read_imap(text, &at))
        check(at);
    (void)date_read_day(text, &at);
    return 0;
}
