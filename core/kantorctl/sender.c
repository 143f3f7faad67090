/* core/kantorctl/sender.c -- frames of an import */
#include "core/kantorctl/sender.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/kantord/report.h"

void about_flag(struct about *about, struct slice name)
{
    if (about->n_flags < SENDER_FLAGS_MAX && name.n)
        about->flags[about->n_flags++] = name;
}

void sender_skip(struct sender *s, const char *label, const char *why)
{
    progress_clear(&s->progress);
    (void)fprintf(stderr, "skipped %s: %s\n", label, why);
    s->skipped++;
}

/* The server refused one. */
static void on_note(void *arg, struct slice json)
{
    struct sender *s = arg;
    json_t *note = json_loadb(json.p, json.n, 0, NULL);
    int64_t number = json_integer_value(json_object_get(note, "number"));
    const char *why = json_string_value(json_object_get(note, "why"));
    progress_clear(&s->progress);
    (void)fprintf(stderr, "refused %s: %s\n", number > 0 ? s->labels[number % SENDER_LABELS] : "a message",
                  why ? why : "?");
    json_decref(note);
}

struct error sender_open(struct sender *s, struct call *call)
{
    enum frame_kind kind;
    struct slice bytes;
    *s = (struct sender){.call = call};
    s->labels = calloc(SENDER_LABELS, sizeof *s->labels);
    if (!s->labels)
        return error_make(ERROR_MEMORY, "no memory for an import");
    progress_begin(&s->progress);
    call->note = on_note;
    call->arg = s;
    return call_next(call, &kind, &bytes); /* "go on", or the result that says why not */
}

void sender_close(struct sender *s)
{
    free(s->labels);
    s->labels = NULL;
    buffer_free(&s->piece);
}

/* What the server has to say meanwhile. Once it has answered nothing more is sent. */
static struct error listen(struct sender *s)
{
    enum frame_kind kind;
    struct slice bytes;
    while (!s->call->answered && frames_ready(&s->call->frames))
        TRY(call_next(s->call, &kind, &bytes));
    return s->call->answered ? error_make(ERROR_CLOSED, "the server has answered") : OK;
}

struct error sender_begin(struct sender *s, const char *label, enum sender_form form)
{
    s->number++;
    (void)snprintf(s->labels[s->number % SENDER_LABELS], SENDER_LABEL_BYTES, "%s", label);
    return frame_send(&s->call->frames, FRAME_MESSAGE, form == SENDER_EXACT ? SLICE("exact") : SLICE(""));
}

static struct error send_piece(struct sender *s)
{
    struct error e = s->piece.failed ? error_make(ERROR_MEMORY, "no memory for an import")
                                     : frame_send(&s->call->frames, FRAME_DATA, buffer_slice(&s->piece));
    buffer_clear(&s->piece);
    return e;
}

struct error sender_data(struct sender *s, struct slice bytes)
{
    s->progress.bytes += (int64_t)bytes.n;
    progress_show(&s->progress);
    buffer_add(&s->piece, bytes);
    return buffer_length(&s->piece) < FRAME_DATA_BYTES ? OK : send_piece(s);
}

struct error sender_end(struct sender *s, const struct about *about)
{
    struct buffer b = {0};
    if (buffer_length(&s->piece))
        TRY(send_piece(s));
    buffer_add(&b, SLICE("{\"mailbox\": "));
    report_json_text(about->mailbox, &b);
    buffer_printf(&b, ", \"received\": %lld%s, \"flags\": [", (long long)about->received,
                  about->drop ? ", \"drop\": true" : "");
    for (size_t i = 0; i < about->n_flags; i++) {
        buffer_add(&b, i ? SLICE(", ") : SLICE(""));
        report_json_text(about->flags[i], &b);
    }
    buffer_add(&b, SLICE("]}"));
    struct error e = frame_send(&s->call->frames, FRAME_MESSAGE_END, buffer_slice(&b));
    buffer_free(&b);
    s->progress.messages += !about->drop;
    TRY(e);
    return listen(s);
}

struct error sender_file(struct sender *s, struct slice json)
{
    return frame_send(&s->call->frames, FRAME_FILE, json);
}

int sender_finish(struct sender *s)
{
    if (!s->call->answered) {
        (void)frame_send(&s->call->frames, FRAME_END, SLICE(""));
        (void)frames_flush(&s->call->frames);
    }
    progress_clear(&s->progress);
    int status = call_finish(s->call);
    if (s->skipped)
        (void)fprintf(stderr, "kantorctl: %lld skipped; the lines above say which and why\n", (long long)s->skipped);
    return status;
}

struct slice source_mailbox(const struct source *source, struct slice below, struct arena *a)
{
    struct slice root = source->mailbox.p ? source->mailbox : source->under.p ? source->under : SLICE("INBOX");
    if (below.n == 0)
        return root;
    struct slice over = source->under.p ? source->under : source->mailbox.p ? source->mailbox : SLICE("");
    if (over.n == 0 || slice_eq_nocase(over, SLICE("INBOX")))
        return arena_copy(a, below);
    return slice_of(arena_printf(a, "%.*s/%.*s", SLICE_ARG(over), SLICE_ARG(below)));
}
