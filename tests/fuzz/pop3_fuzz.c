/* tests/fuzz/pop3_fuzz.c -- POP3 dialogues. The first byte: logged in or not, and how the bytes are cut. */
#include "mail/pop3/pop3.h"
#include "tests/fuzz/session.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct service pop3 = {.name = "pop3", .port = 110, .tls = TLS_STARTTLS, .protocol = &pop3_protocol};
    if (size < 1 || size > 100000)
        return 0;
    session_feed(&(struct session_input){.service = &pop3, .tls = data[0] >> 1 & 1, .piece = data[0] >> 2 & 15, .before = data[0] & 1 ? SLICE("USER u@k.example\r\nPASS p\r\n") : SLICE(""), .input = target_slice(data + 1, size - 1)});
    return 0;
}
