/* tests/fuzz/imap_fuzz.c -- IMAP command lines. The first byte: the state they are said in and how the bytes are cut. */
#include "mail/imap/imap.h"
#include "tests/fuzz/session.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct service imap = {.name = "imap", .port = 143, .tls = TLS_STARTTLS, .protocol = &imap_protocol};
    static const struct slice states[] = {
        DIALOGUE(""),
        DIALOGUE("0 LOGIN u@k.example p\r\n"),
        DIALOGUE("0 LOGIN u@k.example p\r\n1 SELECT INBOX\r\n"),
        DIALOGUE("0 LOGIN u@k.example p\r\n1 ENABLE QRESYNC UTF8=ACCEPT IMAP4rev2\r\n2 EXAMINE INBOX\r\n"),
    };
    if (size < 1 || size > 100000)
        return 0;
    session_feed(&(struct session_input){.service = &imap, .tls = data[0] >> 2 & 1, .piece = data[0] >> 3 & 15, .before = states[data[0] & 3], .input = target_slice(data + 1, size - 1)});
    return 0;
}
