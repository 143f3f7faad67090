/* core/kantord/serve.c -- a request's frame to a call, its report and result to frames */
#include "core/kantord/serve.h"

#include <jansson.h>
#include <stdlib.h>

#include "core/kantord/operations.h"
#include "core/log.h"

enum { CALL_ARENA_MAX = 512 * 1024 * 1024, ARGUMENTS_MAX = 2 * OPERATION_WORDS_MAX };

static struct slice text_of(const json_t *value)
{
    return json_is_string(value) ? slice_make(json_string_value(value), json_string_length(value))
                                 : slice_make(NULL, 0);
}

static struct error send_result(struct frames *f, struct error e)
{
    struct buffer b = {0};
    int status = e.code == ERROR_NONE ? 0 : e.code == ERROR_INVALID ? OPERATION_EXIT_USAGE : OPERATION_EXIT_FAILED;
    buffer_printf(&b, "{\"status\": %d", status);
    if (status) {
        buffer_printf(&b, ", \"code\": \"%s\", \"error\": ", error_word(e.code));
        report_json_text(slice_of(e.text ? e.text : error_word(e.code)), &b);
    }
    buffer_add_char(&b, '}');
    struct error sent = frame_send(f, FRAME_RESULT, buffer_slice(&b));
    buffer_free(&b);
    TRY(sent);
    return frames_flush(f);
}

static void answer(struct frames *f, struct operation_call *k, struct error e)
{
    struct buffer out = {0};
    if (e.code == ERROR_NONE && k->report.failed)
        e = error_make(ERROR_MEMORY, "the answer is too large");
    int json = operation_option(k, "json").p != NULL;
    if (e.code == ERROR_NONE || k->report.n || (!json && k->report.said.bytes)) /* also what was done before it failed */
        report_write(&k->report, json ? REPORT_JSON : REPORT_FOR_PEOPLE, &out);
    if (buffer_length(&out))
        (void)frame_send(f, FRAME_TEXT, buffer_slice(&out));
    (void)send_result(f, e);
    buffer_free(&out);
}

static struct error run(struct operation_call *k, const json_t *request, int *flags)
{
    struct slice args[ARGUMENTS_MAX];
    const struct operation *row;
    const json_t *words = json_object_get(request, "words");
    size_t n = json_array_size(words);
    if (n > ARGUMENTS_MAX)
        return error_make(ERROR_INVALID, "too many words");
    for (size_t i = 0; i < n; i++) {
        args[i] = text_of(json_array_get(words, i));
        if (!args[i].p)
            return error_make(ERROR_INVALID, "that is not the control protocol of this version");
    }
    k->secret = text_of(json_object_get(request, "secret"));
    TRY(operation_parse(k, args, n, &row));
    *flags = row->flags;
    if (operation_option(k, "password").p)
        k->secret = operation_option(k, "password");
    return operation_run(row, k);
}

void operation_serve(struct server *server, int fd, int64_t uid)
{
    struct frames f;
    struct arena a;
    enum frame_kind kind;
    struct slice bytes;
    frames_begin(&f, fd);
    arena_init(&a, CALL_ARENA_MAX);
    if (frame_read(&f, &kind, &bytes).code == ERROR_NONE && kind == FRAME_REQUEST) {
        json_t *request = json_loadb(bytes.p, bytes.n, 0, NULL);
        struct operation_call *k = arena_zero(&a, 1, sizeof *k);
        if (k && request) {
            k->server = server;
            k->arena = &a;
            k->frames = &f;
            report_begin(&k->report, &a);
            int flags = 0;
            struct error e = run(k, request, &flags);
            LOG_EVENT(flags & OPERATION_QUIET ? LOG_DEBUG : LOG_INFO, "control", LOG_NUMBER("uid", uid),
                      LOG_TEXT("what", k->n_words ? k->words[0] : SLICE("")),
                      LOG_TEXT("which", k->n_words > 1 ? k->words[1] : SLICE("")),
                      LOG_TEXT("whom", k->n_words > 2 ? k->words[2] : SLICE("")),
                      LOG_WORD("result", error_word(e.code)));
            answer(&f, k, e);
            report_end(&k->report);
        }
        json_decref(request);
    }
    arena_free(&a);
    frames_end(&f);
}
