/* core/kantorctl/main.c -- asks the running server over its socket, or works on a stopped server's files */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/kantord/control.h"
#include "core/kantord/operations.h"
#include "core/log.h"
#include "core/options.h"
#include "core/store/store.h"

enum { REPLY_MAX = 256 * 1024 * 1024 };

static const char usage[] = "Usage: kantorctl [--demo DIR | --config FILE] OPERATION ...\n\n"
                            "  --demo DIR       the demonstration server in DIR\n"
                            "  --config FILE    a server's configuration (default /etc/kantor/kantor.conf)\n\n"
                            "Operations (on the running server, or on its files when it is stopped):\n";

static int print_help(void)
{
    struct buffer b = {0};
    operations_write_help(&b);
    (void)fputs(usage, stdout);
    (void)fwrite(b.bytes, 1, buffer_length(&b), stdout);
    (void)printf("  restore BACKUP FOLDER\n      make a data folder from a backup (no server may run on it)\n");
    buffer_free(&b);
    return 0;
}

static int fail(const char *text)
{
    (void)fprintf(stderr, "kantorctl: %s\n", text);
    return 1;
}

static int show_reply(const char *bytes, size_t n)
{
    json_t *reply = json_loadb(bytes, n, 0, NULL);
    const char *text = json_string_value(json_object_get(reply, "text")), *error = json_string_value(json_object_get(reply, "error"));
    int status = (int)json_integer_value(json_object_get(reply, "status"));
    if (!reply)
        return fail("the server closed before it answered; its log says why");
    (void)fputs(text ? text : "", stdout);
    if (error)
        (void)fail(error);
    json_decref(reply);
    return status;
}

/* -1: no server listens. */
static int ask_server(const char *path, char **args, int n)
{
    struct sockaddr_un address;
    int folder, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || control_address(path, &address, &folder).code != ERROR_NONE || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int denied = errno == EACCES;
        if (fd >= 0)
            (void)close(fd);
        return denied ? fail("you may not talk to the server; run this as root or as the server's user") : -1;
    }
    json_t *request = json_array();
    for (int i = 0; i < n; i++)
        (void)json_array_append_new(request, json_string(args[i]));
    (void)json_dumpfd(request, fd, JSON_COMPACT);
    (void)!write(fd, "\n", 1);
    json_decref(request);
    struct buffer b = {0};
    for (;;) {
        char *to = buffer_room(&b, 65536);
        ssize_t k = to && buffer_length(&b) < REPLY_MAX ? read(fd, to, 65536) : 0;
        if (k <= 0)
            break;
        buffer_added(&b, (size_t)k);
    }
    (void)close(fd);
    int status = show_reply(b.bytes ? b.bytes : "", buffer_length(&b));
    buffer_free(&b);
    return status;
}

static int on_files(const struct config *c, char **args, int n, struct arena *a)
{
    struct slice words[64];
    struct buffer out = {0};
    struct store_options options = {.path = c->data_dir, .readers = 2, .retention_s = c->retention / 1000};
    struct server server = {.config = c, .hostname = c->hostname};
    log_setup(2, LOG_WARN);
    if (access(c->data_dir, F_OK) != 0)
        return fail("no server listens, and there is no data folder either; is --demo or --config right?");
    struct error e = store_open(&options, &server.store);
    if (e.code != ERROR_NONE)
        return fail(e.text);
    for (int i = 0; i < n && i < 64; i++)
        words[i] = slice_of(args[i]);
    e = operation_run(&server, words, (size_t)(n < 64 ? n : 64), a, &out);
    (void)fwrite(out.bytes ? out.bytes : "", 1, buffer_length(&out), stdout);
    buffer_free(&out);
    store_close(server.store);
    return e.code == ERROR_NONE ? 0 : fail(e.text ? e.text : error_word(e.code));
}

static int restore(char **args, int n)
{
    if (n < 3)
        return fail("write `kantorctl restore BACKUP FOLDER`");
    struct error e = store_restore(args[1], args[2]);
    if (e.code != ERROR_NONE)
        return fail(e.text);
    (void)printf("restored to %s; set data_dir to it (or move it there) and start the server\n", args[2]);
    return 0;
}

int main(int argc, char **argv)
{
    const char *config = "/etc/kantor/kantor.conf";
    struct config c;
    struct arena a;
    char socket_path[4096];
    int at = 1;
    arena_init(&a, ARENA_REQUEST_MAX);
    while (at + 1 < argc && (strcmp(argv[at], "--demo") == 0 || strcmp(argv[at], "--config") == 0)) {
        config = strcmp(argv[at], "--demo") == 0 ? arena_printf(&a, "%s/kantor.conf", argv[at + 1]) : argv[at + 1];
        at += 2;
    }
    if (at >= argc || strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "help") == 0)
        return print_help();
    if (strcmp(argv[at], "--version") == 0) {
        (void)printf("kantorctl %s\n", KANTOR_VERSION);
        return 0;
    }
    if (strcmp(argv[at], "restore") == 0)
        return restore(argv + at, argc - at);
    struct error e = config_read(config, &a, &c);
    if (e.code != ERROR_NONE)
        return fail(e.text);
    control_path(&c, socket_path, sizeof socket_path);
    int status = ask_server(socket_path, argv + at, argc - at);
    if (status < 0)
        status = on_files(&c, argv + at, argc - at, &a);
    arena_free(&a);
    return status;
}
