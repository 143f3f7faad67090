/* mail/filter/verify_fields.c -- what was found, in the fields that other programs read (RFC 8601, RFC 7208 9.1, RFC 8617 7.2) */
#include "mail/authentication/results.h"
#include "mail/filter/verify.h"

const char *verify_reverse_word(const struct verify *v)
{
    static const char *const words[] = {
        [REVERSE_ASKED] = "temperror", [REVERSE_FORWARD] = "temperror", [REVERSE_PASS] = "pass", [REVERSE_FAIL] = "fail", [REVERSE_PERMERROR] = "permerror", [REVERSE_TEMPERROR] = "temperror",
    };
    return words[v->reverse];
}

/* Adds the line to the field and empties it. */
static void finish(struct buffer *line, struct buffer *out)
{
    results_add(out, buffer_slice(line));
    buffer_clear(line);
}

static void add_spf(const struct verify *v, struct buffer *line, struct buffer *out)
{
    if (v->has_sender) {
        results_method(line, "spf", spf_result_word(v->sender.result), v->sender.problem);
        results_property(line, "smtp.mailfrom", v->request.sender);
        finish(line, out);
    }
    results_method(line, "spf", spf_result_word(v->helo.result), v->helo.problem);
    results_property(line, "smtp.helo", v->request.helo);
    finish(line, out);
}

static void add_reverse(const struct verify *v, struct slice client, struct buffer *line, struct buffer *out)
{
    results_method(line, "iprev", verify_reverse_word(v), NULL);
    if (v->reverse == REVERSE_PASS)
        buffer_printf(line, " (%.*s)", SLICE_ARG(v->reverse_name)); /* letters, digits and '-': nothing ends the comment */
    results_property(line, "policy.iprev", client);
    finish(line, out);
}

static void add_signatures(const struct verify *v, struct buffer *line, struct buffer *out)
{
    size_t n = dkim_verify_count(v->dkim);
    for (size_t i = 0; i < n; i++) {
        dkim_outcome_text(dkim_verify_outcome(v->dkim, i), line);
        finish(line, out);
    }
    if (n == 0)
        results_add(out, SLICE("dkim=none"));
}

static void add_chain(const struct verify *v, struct slice client, struct buffer *line, struct buffer *out)
{
    if (arc_result(v->arc) == ARC_NONE)
        return;
    results_method(line, "arc", arc_result_word(arc_result(v->arc)), arc_reason(v->arc));
    results_property(line, "smtp.remote-ip", client);
    if (arc_result(v->arc) == ARC_PASS)
        results_property(line, "policy.sealer", arc_sealer(v->arc, arc_sets(v->arc)));
    finish(line, out);
}

static void add_dmarc(const struct verify *v, struct buffer *line, struct buffer *out)
{
    const struct dmarc_verdict *x = &v->verdict;
    results_method(line, "dmarc", dmarc_result_word(x->result), NULL);
    if (x->author && x->author->discovery == DMARC_RECORD)
        buffer_printf(line, " (p=%s%s)", dmarc_policy_word(x->published), x->sampled_out ? ", not in the sample" : "");
    if (x->author)
        results_property(line, "header.from", x->author->domain);
    finish(line, out);
}

/* RFC 7208 9.1. */
static void add_received_spf(const struct verify *v, struct slice hostname, struct slice client, struct buffer *out)
{
    const struct spf *s = verify_spf(v);
    const struct {
        const char *name;
        struct slice value;
    } pairs[] = {{"client-ip", client},
                 {"envelope-from", v->request.sender},
                 {"helo", v->request.helo},
                 {"identity", v->has_sender ? SLICE("mailfrom") : SLICE("helo")},
                 {"mechanism", s->mechanism.n ? s->mechanism : slice_make(NULL, 0)},
                 {"receiver", hostname}};
    buffer_printf(out, "Received-SPF: %s", spf_result_word(s->result));
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (!pairs[i].value.p)
            continue;
        buffer_add(out, SLICE("\r\n\t"));
        struct buffer line = {0};
        results_property(&line, pairs[i].name, pairs[i].value);
        buffer_add(out, slice_after(buffer_slice(&line), 1));
        buffer_add_char(out, ';');
        out->failed |= line.failed;
        buffer_free(&line);
    }
    buffer_add(out, SLICE("\r\n"));
}

void verify_fields(const struct verify *v, struct slice hostname, struct slice client, struct buffer *out)
{
    struct buffer line = {0};
    results_begin(out, hostname);
    add_spf(v, &line, out);
    add_reverse(v, client, &line, out);
    add_signatures(v, &line, out);
    add_chain(v, client, &line, out);
    add_dmarc(v, &line, out);
    results_end(out);
    add_received_spf(v, hostname, client, out);
    out->failed |= line.failed;
    buffer_free(&line);
}
