/* core/kantord/control.c -- the Unix socket of kantorctl: one JSON array of words in, one JSON object out
 *
 * {"status": 0, "text": "…"}; status 1 with "error" when it failed. Only root and the server's own user are served (SO_PEERCRED). One thread accepts; each request
 * runs there, one after the other: administrators are few, and a long one (import, backup) holds up other administrators, never mail.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/kantord/control.h"
#include "core/kantord/internal.h"
#include "core/kantord/operations.h"
#include "core/log.h"

enum { REQUEST_MAX = 1024 * 1024, REQUEST_MS = 10000 };

struct control {
    struct kantord *k;
    int fd, stop_pipe[2];
    pthread_t thread;
    char path[4096];
};

/* A path may be longer than the 107 bytes of sun_path: then through the folder's descriptor. */
struct error control_address(const char *path, struct sockaddr_un *out, int *folder)
{
    *folder = -1;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof out->sun_path) {
        memcpy(out->sun_path, path, strlen(path) + 1);
        return OK;
    }
    const char *slash = strrchr(path, '/');
    char parent[4096];
    if (!slash || (size_t)(slash - path) >= sizeof parent || strlen(slash) > 64)
        return error_make(ERROR_INVALID, "the path of the control socket is too long");
    (void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    *folder = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0)
        return error_make(ERROR_IO, "the folder of the control socket cannot be opened");
    (void)snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d%s", *folder, slash);
    return OK;
}

static void answer(int fd, struct error e, const struct buffer *out)
{
    json_t *text = json_stringn(out->bytes ? out->bytes + out->start : "", buffer_length(out));
    json_t *reply = json_pack("{s:i, s:o}", "status", e.code == ERROR_NONE ? 0 : 1, "text", text ? text : json_string("(the text is not UTF-8)"));
    if (e.code != ERROR_NONE)
        (void)json_object_set_new(reply, "error", json_string(e.text ? e.text : error_word(e.code)));
    (void)json_dumpfd(reply, fd, JSON_COMPACT);
    json_decref(reply);
}

static size_t words_of(const json_t *request, struct slice *words, size_t most)
{
    size_t n = json_is_array(request) ? json_array_size(request) : 0;
    if (n > most)
        n = most;
    for (size_t i = 0; i < n; i++) {
        const json_t *word = json_array_get(request, i);
        words[i] = json_is_string(word) ? slice_make(json_string_value(word), json_string_length(word)) : SLICE("");
    }
    return n;
}

/* A line, or as much of it as comes in time. */
static struct slice read_request(int fd, char *to)
{
    size_t n = 0;
    while (n < REQUEST_MAX && !memchr(to, '\n', n)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t k = poll(&p, 1, REQUEST_MS) > 0 ? read(fd, to + n, REQUEST_MAX - n) : 0;
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    return slice_make(to, n);
}

static void serve(struct control *ctl, int fd)
{
    struct ucred who = {0};
    socklen_t length = sizeof who;
    struct slice words[2 * OPERATION_WORDS_MAX];
    struct buffer out = {0};
    struct arena a;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0 || (who.uid != 0 && who.uid != geteuid())) {
        LOG_EVENT(LOG_WARN, "control-refused", LOG_NUMBER("uid", who.uid));
        return;
    }
    char *bytes = malloc(REQUEST_MAX);
    if (!bytes)
        return;
    arena_init(&a, ARENA_REQUEST_MAX);
    struct slice request = read_request(fd, bytes);
    json_t *json = json_loadb(request.p, request.n, JSON_DISABLE_EOF_CHECK, NULL);
    size_t n = words_of(json, words, 2 * OPERATION_WORDS_MAX);
    struct error e = json ? operation_run(&ctl->k->server, words, n, &a, &out) : error_make(ERROR_INVALID, "the request is not JSON");
    LOG_EVENT(LOG_INFO, "control", LOG_NUMBER("uid", who.uid), LOG_TEXT("what", n ? words[0] : SLICE("")), LOG_TEXT("which", n > 1 ? words[1] : SLICE("")), LOG_WORD("result", error_word(e.code)));
    answer(fd, e, &out);
    json_decref(json);
    buffer_free(&out);
    arena_free(&a);
    free(bytes);
}

static void *control_main(void *arg)
{
    struct control *ctl = arg;
    for (;;) {
        struct pollfd p[2] = {{.fd = ctl->fd, .events = POLLIN}, {.fd = ctl->stop_pipe[0], .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (p[1].revents)
            return NULL;
        int fd = p[0].revents ? accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        serve(ctl, fd);
        (void)close(fd);
    }
}

static struct error listen_on(struct control *ctl)
{
    struct sockaddr_un address;
    int folder;
    TRY(control_address(ctl->path, &address, &folder));
    ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)unlink(ctl->path); /* a stale one: the store's lock says that no other server runs here */
    int bad = ctl->fd < 0 || bind(ctl->fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(ctl->path, 0600) != 0 || listen(ctl->fd, 16) != 0;
    if (folder >= 0)
        (void)close(folder);
    return bad ? error_make(ERROR_IO, arena_printf(&ctl->k->arena, "cannot listen on the control socket %s: %m", ctl->path)) : OK;
}

struct error control_start(struct kantord *k)
{
    struct control *ctl = calloc(1, sizeof *ctl);
    if (!ctl)
        return error_make(ERROR_MEMORY, "no memory for the control socket");
    k->control = ctl;
    ctl->k = k;
    ctl->fd = ctl->stop_pipe[0] = ctl->stop_pipe[1] = -1;
    control_path(&k->config, ctl->path, sizeof ctl->path);
    TRY(listen_on(ctl));
    if (pipe2(ctl->stop_pipe, O_CLOEXEC) != 0 || pthread_create(&ctl->thread, NULL, control_main, ctl) != 0)
        return error_make(ERROR_IO, "cannot start the control thread");
    return OK;
}

void control_path(const struct config *c, char *out, size_t size)
{
    if (c->control_socket[0] && strcmp(c->control_socket, "/") != 0)
        (void)snprintf(out, size, "%s", c->control_socket);
    else
        (void)snprintf(out, size, "%s/control.sock", c->data_dir);
}

void control_stop(struct kantord *k)
{
    struct control *ctl = k->control;
    if (!ctl)
        return;
    if (ctl->stop_pipe[1] >= 0) {
        (void)!write(ctl->stop_pipe[1], "x", 1);
        (void)pthread_join(ctl->thread, NULL);
        (void)close(ctl->stop_pipe[0]);
        (void)close(ctl->stop_pipe[1]);
    }
    if (ctl->fd >= 0) {
        (void)close(ctl->fd);
        (void)unlink(ctl->path);
    }
    free(ctl);
    k->control = NULL;
}
