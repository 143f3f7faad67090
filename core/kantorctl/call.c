/* core/kantorctl/call.c -- frames to and from the server, or a thread that stands for it */
#include "core/kantorctl/call.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/account/account.h"
#include "core/account/login.h"
#include "core/kantord/control.h"
#include "core/kantord/report.h"
#include "core/kantord/serve.h"
#include "core/log.h"
#include "core/process/privilege.h"
#include "core/store/store.h"

/* -1: nobody listens. */
static struct error connect_to(const char *path, int *fd)
{
    struct sockaddr_un address;
    int folder = -1;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct error e = *fd < 0 ? error_make(ERROR_IO, "this system has no sockets")
                             : control_address(path, &address, &folder);
    if (e.code == ERROR_NONE && connect(*fd, (struct sockaddr *)&address, sizeof address) == 0)
        return OK;
    int denied = errno == EACCES || errno == EPERM;
    if (folder >= 0)
        (void)close(folder);
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
    return denied ? error_make(ERROR_DENIED, "you may not talk to the server; run this as root or as the server's user "
                                             "(sudo -u kantor kantorctl …)")
                  : OK;
}

static void *answer_main(void *arg)
{
    struct call *call = arg;
    operation_serve(&call->server, call->peer, (int64_t)geteuid());
    (void)shutdown(call->peer, SHUT_RDWR);
    return NULL;
}

static struct error answer_ourselves(const struct config *c, struct call *call)
{
    int pair[2];
    struct store_options options = {.path = c->data_dir, .readers = 2, .retention_s = c->retention ? c->retention / 1000 : -1};
    call->server.config = c;
    call->server.hostname = c->hostname;
    log_setup(2, LOG_WARN);
    if (access(c->data_dir, F_OK) != 0)
        return error_make(ERROR_NOT_FOUND, arena_printf(call->arena,
                                                        "no server listens, and there is no data folder %s; is --demo "
                                                        "or --config right? Has the server been started once?",
                                                        c->data_dir));
    address_set_separators(c->plus_separator);
    TRY(privilege_become_owner(c->data_dir, call->arena));
    TRY(store_open(&options, &call->server.store));
    TRY(login_service_new(call->server.store, &call->server.login));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return error_make(ERROR_IO, "this system has no sockets");
    call->fd = pair[0];
    call->peer = pair[1];
    if (pthread_create(&call->thread, NULL, answer_main, call) != 0)
        return error_make(ERROR_IO, "a thread could not be started");
    call->started = 1;
    return OK;
}

struct error call_open(const struct config *c, struct arena *a, struct call *call)
{
    char path[4096];
    *call = (struct call){.fd = -1, .peer = -1, .arena = a, .status = 1};
    control_path(c, path, sizeof path);
    TRY(connect_to(path, &call->fd));
    if (call->fd < 0)
        TRY(answer_ourselves(c, call));
    frames_begin(&call->frames, call->fd);
    return OK;
}

void call_close(struct call *call)
{
    if (call->fd >= 0)
        (void)close(call->fd);
    if (call->started)
        (void)pthread_join(call->thread, NULL);
    if (call->peer >= 0)
        (void)close(call->peer);
    frames_end(&call->frames);
    login_service_free(call->server.login);
    if (call->server.store)
        store_close(call->server.store);
    *call = (struct call){.fd = -1, .peer = -1};
}

struct error call_request(struct call *call, char **words, int n, struct slice secret)
{
    struct buffer b = {0};
    buffer_add(&b, SLICE("{\"words\": ["));
    for (int i = 0; i < n; i++) {
        buffer_add(&b, i ? SLICE(", ") : SLICE(""));
        report_json_text(slice_of(words[i]), &b);
    }
    buffer_add_char(&b, ']');
    if (secret.p) {
        buffer_add(&b, SLICE(", \"secret\": "));
        report_json_text(secret, &b);
    }
    buffer_add_char(&b, '}');
    struct error e = frame_send(&call->frames, FRAME_REQUEST, buffer_slice(&b));
    buffer_free(&b);
    TRY(e);
    return frames_flush(&call->frames);
}

static void take_result(struct call *call, struct slice bytes)
{
    json_t *json = json_loadb(bytes.p, bytes.n, 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    call->status = json ? (int)json_integer_value(json_object_get(json, "status")) : 1;
    call->answered = 1;
    if (error) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "kantorctl: %s\n", error);
    }
    json_decref(json);
}

struct error call_next(struct call *call, enum frame_kind *kind, struct slice *bytes)
{
    TRY(frame_read(&call->frames, kind, bytes));
    switch (*kind) {
    case FRAME_TEXT:
        if (call->text)
            buffer_add(call->text, *bytes);
        else
            (void)fwrite(bytes->p, 1, bytes->n, stdout);
        break;
    case FRAME_RESULT:
        take_result(call, *bytes);
        break;
    case FRAME_NOTE:
        call->notes++;
        if (call->note)
            call->note(call->arg, *bytes);
        break;
    case FRAME_PROGRESS:
        if (call->progress)
            call->progress(call->arg, *bytes);
        break;
    default:
        return OK;
    }
    *kind = (enum frame_kind)0;
    return OK;
}

int call_finish(struct call *call)
{
    enum frame_kind kind;
    struct slice bytes;
    while (!call->answered)
        if (call_next(call, &kind, &bytes).code != ERROR_NONE) {
            (void)fprintf(stderr, "kantorctl: the server ended before it answered; its log says why. What it said is "
                                  "done is done; run the same command again\n");
            return 1;
        }
    return call->status;
}
