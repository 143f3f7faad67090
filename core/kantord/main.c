/* core/kantord/main.c -- the command line; start.c does the rest. `ready` is printed once every port listens. */
#include <getopt.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/kantord/internal.h"
#include "core/kantord/manual.h"

static const char help[] = "Usage: kantord [--config FILE] [--check-config | --prepare]\n"
                           "       kantord --demo DIR [--port-base N]\n"
                           "\n"
                           "  --config FILE     read FILE (default /etc/kantor/kantor.conf)\n"
                           "  --check-config    read the configuration, say what is wrong with it, and end\n"
                           "  --prepare         make the data folder and a self-signed certificate where they are missing, and end\n"
                           "  --demo DIR        make (if absent) and serve a demonstration organisation in DIR\n"
                           "  --port-base N     with --demo: every port is N plus the well-known one (default 10000)\n"
                           "  --print-sample    write a commented kantor.conf with every default\n"
                           "  --print-man PAGE  write a manual page: kantord.8, kantorctl.1 or kantor.conf.5\n"
                           "  --version, --help\n"
                           "\n"
                           "SIGHUP reads configuration and certificates anew, SIGTERM ends cleanly.\n";

static int fail(struct error e)
{
    (void)fprintf(stderr, "kantord: %s%s", e.text ? e.text : error_word(e.code), e.text && e.text[0] && e.text[strlen(e.text) - 1] == '\n' ? "" : "\n");
    return 1;
}

static const char *machine_name(struct arena *a)
{
    char name[256] = "localhost";
    (void)gethostname(name, sizeof name - 1);
    return arena_string(a, slice_of(name));
}

static int print_text(void (*write)(struct buffer *))
{
    struct buffer b = {0};
    write(&b);
    (void)fwrite(b.bytes, 1, buffer_length(&b), stdout);
    buffer_free(&b);
    return 0;
}

static int print_manual(const char *page)
{
    struct buffer b = {0};
    if (!manual_write(page, help, &b)) {
        (void)fprintf(stderr, "kantord: there is no page \"%s\"; write kantord.8, kantorctl.1 or kantor.conf.5\n", page);
        return 2;
    }
    (void)fwrite(b.bytes, 1, buffer_length(&b), stdout);
    buffer_free(&b);
    return 0;
}

struct command_line {
    const char *config, *demo;
    int port_base, check, prepare;
};

/* -1: go on; else the exit status. */
static int read_command_line(int argc, char **argv, struct command_line *out)
{
    static const struct option names[] = {{"config", required_argument, NULL, 'c'}, {"demo", required_argument, NULL, 'd'}, {"port-base", required_argument, NULL, 'p'}, {"check-config", no_argument, NULL, 'k'}, {"prepare", no_argument, NULL, 'r'},
                                          {"print-sample", no_argument, NULL, 's'}, {"print-man", required_argument, NULL, 'm'}, {"version", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {0}};
    uint64_t n;
    for (int o; (o = getopt_long(argc, argv, "c:h", names, NULL)) != -1;) {
        switch (o) {
        case 'c':
            out->config = optarg;
            break;
        case 'd':
            out->demo = optarg;
            break;
        case 'p':
            if (!slice_number(slice_of(optarg), 50000, &n)) {
                (void)fprintf(stderr, "kantord: --port-base takes a number from 0 to 50000\n");
                return 2;
            }
            out->port_base = (int)n;
            break;
        case 'k':
            out->check = 1;
            break;
        case 'r':
            out->prepare = 1;
            break;
        case 's':
            return print_text(config_write_sample);
        case 'm':
            return print_manual(optarg);
        case 'v':
            (void)printf("kantord %s\n", KANTOR_VERSION);
            return 0;
        case 'h':
            (void)fputs(help, stdout);
            return 0;
        default:
            (void)fprintf(stderr, "Try 'kantord --help'.\n");
            return 2;
        }
    }
    return -1;
}

/* What a worker frees at the end of a command it needs again for the next one. Handing it back to the kernel each time costs more than many a
 * command does, in page faults; so each of malloc's arenas keeps up to a megabyte. */
static void keep_freed_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
    (void)mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
}

int main(int argc, char **argv)
{
    struct command_line line = {.config = "/etc/kantor/kantor.conf", .port_base = 10000};
    static struct kantord k;
    struct error e = OK;
    int status = read_command_line(argc, argv, &line);
    if (status >= 0)
        return status;
    (void)umask(077);
    keep_freed_memory();
    arena_init(&k.arena, 16 * 1024 * 1024);
    k.config_path = line.config;
    k.demo = line.demo != NULL;
    if (line.demo)
        e = demo_write_config(line.demo, line.port_base, &k.arena, &k.config_path);
    if (e.code == ERROR_NONE)
        e = config_read(k.config_path, &k.arena, &k.config);
    if (e.code == ERROR_NONE && line.demo)
        demo_settle(&k.config, line.port_base);
    if (e.code != ERROR_NONE)
        return fail(e);
    if (line.check) {
        (void)printf("%s is fine\n", k.config_path);
        return 0;
    }
    k.server.hostname = k.config.hostname[0] ? k.config.hostname : machine_name(&k.arena);
    e = line.prepare ? prepare(&k) : run_server(&k);
    status = e.code == ERROR_NONE ? 0 : fail(e);
    arena_free(&k.arena);
    return status;
}
