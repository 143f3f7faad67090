/* mail/delivery/report_sentences.c -- a report as a person reads it: who, why, the other server's words, what to do */
#include "mail/delivery/report_internal.h"

#include "mail/mime/date.h"
#include "mail/mime/header.h"
#include "mail/mime/words.h"

enum { SAID_MAX = 50, REPLY_MAX = 1000, ADDRESS_MAX = 500, SUBJECT_MAX = 300 };

/* What each kind means: how the report begins, and what is said of each recipient. */
static const struct {
    const char *one, *many; /* recipients of that kind */
    const char *then;
} beginnings[] = {
    [REPORT_FAILED] = {"Your message could not be delivered to this recipient:", "Your message could not be delivered to these recipients:", "It is not tried again."},
    [REPORT_EXPIRED] = {"Your message could not be delivered in time to this recipient:", "Your message could not be delivered in time to these recipients:", "It was tried many times and is not tried again."},
    [REPORT_RETURNED] = {"The administrator of this mail server took your message back before it reached this recipient:", "The administrator of this mail server took your message back before it reached these recipients:", "It is not tried again."},
    [REPORT_DELAYED] = {"Your message has not reached this recipient yet:", "Your message has not reached these recipients yet:", "You need not send it again: this server goes on trying."},
    [REPORT_RELAYED] = {"Your message was handed to another mail server for this recipient:", "Your message was handed to other mail servers for these recipients:", "That server makes no reports: nothing more will be heard of it."},
    [REPORT_DELIVERED] = {"Your message is in the mailbox of this recipient:", "Your message is in the mailboxes of these recipients:", NULL},
    [REPORT_EXPANDED] = {"Your message was sent on to all who stand behind this address:", "Your message was sent on to all who stand behind these addresses:", "No further reports will come from them."},
};

/* What to do, by what the status says (RFC 3463); the first row that fits. */
static const struct {
    const char *status; /* its beginning, behind the class */
    const char *advice;
} advices[] = {
    {".1.2", "The part behind the @ does not exist or takes no mail. Look for a slip of the pen in it."},
    {".1.10", "The part behind the @ takes no mail at all. Look for a slip of the pen in it."},
    {".1.", "The address does not exist there. Look for a slip of the pen in it, or ask the recipient in another way for the right one."},
    {".2.1", "The mailbox is switched off. Ask the recipient in another way."},
    {".2.2", "The mailbox is full. Ask the recipient in another way to make room, then send the message again."},
    {".2.3", "The message is too large for that mailbox. Send it smaller, or leave large attachments out."},
    {".3.4", "The message is too large for that server. Send it smaller, or leave large attachments out."},
    {".4.6", "The message went round in circles: two servers each think that the other one has the mailbox. Tell your administrator."},
    {".4.", "The other server could not be reached. If the address is right, send the message again later, or tell your administrator."},
    {".6.", "The other server cannot take a message of this form. Send it as plain text, without special characters in addresses."},
    {".7.", "The other server's rules do not allow it. The recipient's administrator can say why; your own administrator can read the words above, too."},
};

static void sentence(const char *text, struct buffer *out)
{
    report_folded(slice_of(text), 0, "", out);
    buffer_add(out, SLICE("\r\n"));
}

static void said_about_message(const struct report_text *r, struct buffer *out)
{
    struct slice value = header_find(r->head, SLICE("Subject"));
    struct buffer subject = {0}, clean = {0};
    if (value.p)
        words_decode(slice_first(value, 2000), &subject);
    report_clean(slice_trim(buffer_slice(&subject)), SUBJECT_MAX, REPORT_UTF8, &clean);
    if (buffer_length(&clean)) {
        buffer_add(out, SLICE("Subject of your message: "));
        report_folded(buffer_slice(&clean), 25, "    ", out);
        buffer_add(out, SLICE("\r\n"));
    }
    buffer_add(out, SLICE("Given to this server on: "));
    date_write(r->arrived, out);
    buffer_add(out, SLICE("\r\n"));
    buffer_free(&subject);
    buffer_free(&clean);
}

static void indented(struct slice text, size_t most, int flags, struct buffer *out)
{
    struct buffer clean = {0};
    report_clean(text, most, flags, &clean);
    buffer_add(out, SLICE("    "));
    report_folded(buffer_slice(&clean), 4, "    ", out);
    buffer_add(out, SLICE("\r\n"));
    buffer_free(&clean);
}

static void said_about_rcpt(const struct report_text *r, const struct report_rcpt *one, struct buffer *out)
{
    buffer_add(out, SLICE("\r\n"));
    indented(one->address, ADDRESS_MAX, r->flags, out);
    if (!one->reply.n)
        return;
    if (one->host.n) {
        struct buffer host = {0}, line = {0};
        report_clean(one->host, 300, 0, &host);
        buffer_printf(&line, "The server %.*s answered:", SLICE_ARG(buffer_slice(&host)));
        report_folded(buffer_slice(&line), 0, "", out);
        buffer_add(out, SLICE("\r\n"));
        buffer_free(&host);
        buffer_free(&line);
    } else {
        buffer_add(out, SLICE("The reason:\r\n"));
    }
    indented(one->reply, REPLY_MAX, r->flags, out);
    if (one->kind > REPORT_DELAYED)
        return;
    char status[24];
    struct report_rcpt refused = *one; /* what the other side said, not that the time is over */
    refused.kind = REPORT_FAILED;
    report_status(&refused, status, sizeof status);
    for (size_t i = 0; one->kind != REPORT_RETURNED && i < sizeof advices / sizeof advices[0]; i++)
        if (slice_starts(slice_of(status + 1), slice_of(advices[i].status))) {
            sentence(advices[i].advice, out);
            return;
        }
}

static void said_about_kind(const struct report_text *r, enum report_kind kind, struct buffer *out)
{
    size_t n = 0, said = 0;
    for (size_t i = 0; i < r->n_rcpts; i++)
        n += r->rcpts[i].kind == kind;
    if (n == 0)
        return;
    buffer_add(out, SLICE("\r\n"));
    sentence(n == 1 ? beginnings[kind].one : beginnings[kind].many, out);
    for (size_t i = 0; i < r->n_rcpts && said < SAID_MAX; i++)
        if (r->rcpts[i].kind == kind) {
            said_about_rcpt(r, &r->rcpts[i], out);
            said++;
        }
    if (n > said)
        buffer_printf(out, "\r\n    and %zu more, which the second part of this report names\r\n", n - said);
    buffer_add(out, SLICE("\r\n"));
    if (beginnings[kind].then)
        sentence(beginnings[kind].then, out);
    if (kind == REPORT_DELAYED && r->until) {
        buffer_add(out, SLICE("You will be told if it cannot be delivered. It is tried until about\r\n"));
        date_write(r->until, out);
        buffer_add(out, SLICE(".\r\n"));
    }
}

void report_sentences(const struct report_text *r, struct buffer *out)
{
    struct buffer first = {0};
    buffer_printf(&first, "This is the mail server %s. Nobody reads answers to this report.", r->hostname);
    report_folded(buffer_slice(&first), 0, "", out);
    buffer_add(out, SLICE("\r\n\r\n"));
    said_about_message(r, out);
    for (enum report_kind k = REPORT_FAILED; k <= REPORT_EXPANDED; k++)
        said_about_kind(r, k, out);
    buffer_add(out, SLICE("\r\n"));
    if (r->left_out)
        sentence(r->left_out, out);
    sentence(r->whole.p ? "Your message stands behind this text." : "The head of your message stands behind this text.", out);
    buffer_free(&first);
}
