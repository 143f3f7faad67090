/* tests/fuzz/smtp_fuzz.c -- SMTP, submission and LMTP dialogues. The first byte: which of them, what was said before, and how the bytes are cut. */
#include "mail/smtp/smtp.h"
#include "tests/fuzz/session.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct service services[] = {
        {.name = "smtp", .port = 25, .tls = TLS_STARTTLS, .protocol = &smtp_protocol, .kind = SMTP_MX},
        {.name = "submission", .port = 587, .tls = TLS_STARTTLS, .protocol = &smtp_protocol, .kind = SMTP_SUBMISSION},
        {.name = "lmtp", .port = 24, .protocol = &smtp_protocol, .kind = SMTP_LMTP},
    };
    static const struct slice ready[] = {
        DIALOGUE("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@k.example>\r\n"),
        DIALOGUE("EHLO x\r\nAUTH PLAIN AHVAay5leGFtcGxlAHA=\r\nMAIL FROM:<u@k.example>\r\nRCPT TO:<v@k.example>\r\nRCPT TO:<w@e.example>\r\n"),
        DIALOGUE("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<u@k.example>\r\nRCPT TO:<v@k.example>\r\n"),
    };
    if (size < 1 || size > 200000)
        return 0;
    int which = data[0] % 3;
    session_feed(&(struct session_input){.service = &services[which], .tls = data[0] >> 6 & 1, .piece = data[0] >> 2 & 15, .before = data[0] & 128 ? ready[which] : SLICE(""), .input = target_slice(data + 1, size - 1)});
    return 0;
}
