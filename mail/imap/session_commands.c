/* mail/imap/session_commands.c -- commands of the session itself: CAPABILITY, NOOP, LOGOUT, ID, ENABLE, STARTTLS, COMPRESS */
#include "core/log.h"
#include "mail/imap/internal.h"

struct error imap_capability_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    (void)s;
    TRY(args_end(a));
    buffer_add(&c->out, SLICE("* CAPABILITY "));
    imap_capabilities(c, &c->out);
    buffer_add(&c->out, SLICE("\r\n"));
    return OK;
}

struct error imap_noop_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    (void)c;
    (void)s;
    return args_end(a); /* the news come from the dispatcher */
}

struct error imap_logout_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    TRY(args_end(a));
    imap_box_close(s);
    buffer_add(&c->out, SLICE("* BYE goodbye\r\n"));
    buffer_printf(&c->out, "%s OK done\r\n", s->tag);
    s->logged_out = 1;
    return OK;
}

struct error imap_id_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    /* RFC 2971; at most 30 pairs, and what a client says about itself is only logged */
    struct slice key, value;
    int pairs = 0;
    (void)s;
    TRY(args_space(a));
    if (!args_word(a, SLICE("NIL"))) {
        if (!args_take(a, '('))
            return imap_bad("a list or NIL is missing");
        while (!args_take(a, ')')) {
            if (pairs++)
                TRY(args_space(a));
            TRY(args_string(a, &key));
            TRY(args_space(a));
            value = SLICE("");
            if (!args_word(a, SLICE("NIL")))
                TRY(args_string(a, &value));
            if (pairs > 30)
                return imap_bad("at most 30 pairs");
            if (slice_eq_nocase(key, SLICE("name")))
                LOG_EVENT(LOG_INFO, "client", LOG_ID(c->id), LOG_TEXT("name", value));
        }
    }
    TRY(args_end(a));
    buffer_add(&c->out, SLICE("* ID (\"name\" \"Kantor\" \"version\" \"" KANTOR_VERSION "\")\r\n"));
    return OK;
}

/* RFC 5161 3.1. What is unknown is passed over; a malformed command enables nothing. */
struct error imap_enable_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    static const struct {
        struct slice word;
        int bits;
    } words[] = {{{"CONDSTORE", 9}, ENABLED_CONDSTORE}, {{"QRESYNC", 7}, ENABLED_QRESYNC | ENABLED_CONDSTORE}, {{"UTF8=ACCEPT", 11}, ENABLED_UTF8}, {{"IMAP4rev2", 9}, ENABLED_REV2}};
    enum { N = sizeof words / sizeof words[0] };
    int asked = 0;
    TRY(args_space(a));
    do {
        struct slice word;
        TRY(args_atom(a, NULL, &word));
        for (int i = 0; i < N; i++)
            asked |= slice_eq_nocase(word, words[i].word) ? 1 << i : 0;
    } while (args_take(a, ' '));
    TRY(args_end(a));
    buffer_add(&c->out, SLICE("* ENABLED")); /* always, also when nothing is new (clients.md I19) */
    for (int i = 0; i < N; i++) {
        if (!(asked >> i & 1) || (s->enabled & words[i].bits) == words[i].bits)
            continue;
        s->enabled |= words[i].bits;
        buffer_add_char(&c->out, ' ');
        buffer_add(&c->out, words[i].word);
    }
    buffer_add(&c->out, SLICE("\r\n"));
    return OK;
}

struct error imap_starttls_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    TRY(args_end(a));
    if (c->tls)
        return imap_bad("TLS is active already");
    s->want_tls = 1;
    s->ok = "begin TLS negotiation now";
    return OK;
}

struct error imap_compress_run(struct connection *c, struct imap_session *s, struct imap_args *a)
{
    struct slice how;
    (void)c;
    TRY(args_space(a));
    TRY(args_atom(a, NULL, &how));
    TRY(args_end(a));
    if (!slice_eq_nocase(how, SLICE("DEFLATE")))
        return imap_bad("only DEFLATE is offered");
    if (s->compressed)
        return imap_no("[COMPRESSIONACTIVE] DEFLATE is active already");
    s->want_compress = 1;
    return OK;
}
