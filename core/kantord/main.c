/* core/kantord/main.c -- start, run, stop
 *
 * Order of start: read the configuration, open the store, bind, drop to the configured user's rights (systemd does it in a package), no new privileges,
 * then threads. `ready` is printed once every port listens.
 */
#include <errno.h>
#include <getopt.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/kantord/internal.h"
#include "core/log.h"
#include "core/metrics.h"

enum { DRAIN_MS = 30000, DRAIN_DEMO_MS = 3000, DAY_MS = 86400000, MINUTE_MS = 60000 };

static sem_t stop_wanted;

static const char help[] = "Usage: kantord [--config FILE] [--check-config]\n"
                           "       kantord --demo DIR [--port-base N]\n"
                           "\n"
                           "  --config FILE     read FILE (default /etc/kantor/kantor.conf)\n"
                           "  --check-config    read the configuration, say what is wrong with it, and end\n"
                           "  --demo DIR        make (if absent) and serve a demonstration organisation in DIR\n"
                           "  --port-base N     with --demo: every port is N plus the well-known one (default 10000)\n"
                           "  --print-sample    write a commented kantor.conf with every default\n"
                           "  --print-man-options  write the options as manual source\n"
                           "  --version, --help\n"
                           "\n"
                           "SIGHUP reloads certificates, SIGTERM ends cleanly.\n";

static void on_stop(void *arg)
{
    (void)arg;
    (void)sem_post(&stop_wanted);
}

static void reload_work(void *arg)
{
    struct kantord *k = arg;
    struct arena a;
    struct certificate_files *files;
    struct config fresh;
    size_t n;
    arena_init(&a, 1024 * 1024);
    struct error e = config_read(k->config_path, &a, &fresh);
    if (e.code == ERROR_NONE)
        e = certificate_files_of(&fresh, k->server.hostname, &a, &files, &n);
    if (e.code == ERROR_NONE)
        e = net_certificates(k->server.net, files, n, &a);
    if (e.code == ERROR_NONE)
        log_setup(2, (enum log_level)fresh.log_level);
    if (e.code == ERROR_NONE)
        LOG_EVENT(LOG_INFO, "reloaded", LOG_NUMBER("certificates", n));
    else
        LOG_EVENT(LOG_ERROR, "reload-refused", LOG_FAILURE(e)); /* the old ones stay */
    arena_free(&a);
}

static void on_reload(void *arg)
{
    struct kantord *k = arg;
    (void)net_submit(k->server.net, reload_work, k);
}

static void every_minute(void *arg)
{
    struct kantord *k = arg;
    login_flush_used(k->server.login);
}

static void every_day(void *arg)
{
    struct kantord *k = arg;
    struct error e = store_collect_garbage(k->server.store);
    if (e.code != ERROR_NONE)
        LOG_EVENT(LOG_WARN, "garbage-not-collected", LOG_FAILURE(e));
}

static int64_t read_connections(void *arg)
{
    return net_connection_count(arg);
}

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

static void raise_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max < 200000 ? r.rlim_max : 200000;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static struct error start(struct kantord *k)
{
    const struct config *c = &k->config;
    struct certificate_files *files;
    size_t n;
    k->server.config = c;
    k->server.hostname = c->hostname[0] ? c->hostname : machine_name(&k->arena);
    struct store_options store = {.path = c->data_dir, .readers = (int)c->readers, .retention_s = c->retention / 1000};
    TRY(store_open(&store, &k->server.store));
    struct net_options net = {.loops = (int)c->loops, .workers = (int)c->workers, .max_connections = (int)c->max_connections, .max_per_address = (int)c->max_per_address,
                              .max_per_account = (int)c->max_per_account, .max_per_address_loopback = (int)c->max_loopback, .max_per_account_loopback = (int)c->max_loopback, .proxy_trusted = c->proxy_trusted};
    TRY(net_new(&net, &k->server.net));
    net_set_user(k->server.net, &k->server);
    TRY(certificate_files_of(c, k->server.hostname, &k->arena, &files, &n));
    TRY(net_certificates(k->server.net, files, n, &k->arena));
    TRY(services_listen(k));
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    TRY(login_service_new(k->server.store, &k->server.login));
    if (k->demo)
        TRY(demo_fill(k));
    metric_gauge("connections", "live client connections", read_connections, k->server.net);
    TRY(net_signal(k->server.net, SIGTERM, on_stop, k));
    TRY(net_signal(k->server.net, SIGINT, on_stop, k));
    TRY(net_signal(k->server.net, SIGHUP, on_reload, k));
    TRY(net_start(k->server.net)); /* behind the signals: who waits for `ready` may end us at once */
    TRY(net_timer(k->server.net, MINUTE_MS, every_minute, k));
    TRY(net_timer(k->server.net, DAY_MS, every_day, k));
    return control_start(k);
}

static void stop(struct kantord *k)
{
    control_stop(k);
    if (k->server.net)
        net_stop(k->server.net, k->demo ? DRAIN_DEMO_MS : DRAIN_MS);
    if (k->server.login) {
        login_flush_used(k->server.login);
    }
    net_free(k->server.net);
    login_service_free(k->server.login);
    store_close(k->server.store);
}

static int serve(struct kantord *k)
{
    raise_descriptors();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sem_init(&stop_wanted, 0, 0);
    log_setup(2, (enum log_level)k->config.log_level);
    struct error e = start(k);
    if (e.code != ERROR_NONE) {
        stop(k);
        return fail(e);
    }
    services_print(k);
    if (k->demo)
        demo_print(k);
    (void)printf("ready\n");
    (void)fflush(stdout);
    LOG_EVENT(LOG_INFO, "ready", LOG_WORD("version", KANTOR_VERSION), LOG_WORD("hostname", k->server.hostname));
    while (sem_wait(&stop_wanted) != 0 && errno == EINTR) {
    }
    LOG_EVENT(LOG_INFO, "stopping", LOG_NUMBER("connections", net_connection_count(k->server.net)));
    stop(k);
    LOG_EVENT(LOG_INFO, "stopped", LOG_WORD("version", KANTOR_VERSION));
    return 0;
}

static int print_text(void (*write)(struct buffer *))
{
    struct buffer b = {0};
    write(&b);
    (void)fwrite(b.bytes, 1, buffer_length(&b), stdout);
    buffer_free(&b);
    return 0;
}

struct command_line {
    const char *config, *demo;
    int port_base, check;
};

/* -1: go on; else the exit status. */
static int read_command_line(int argc, char **argv, struct command_line *out)
{
    static const struct option names[] = {{"config", required_argument, NULL, 'c'}, {"demo", required_argument, NULL, 'd'}, {"port-base", required_argument, NULL, 'p'}, {"check-config", no_argument, NULL, 'k'},
                                          {"print-sample", no_argument, NULL, 's'}, {"print-man-options", no_argument, NULL, 'm'}, {"version", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {0}};
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
        case 's':
            return print_text(config_write_sample);
        case 'm':
            return print_text(config_write_man);
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

int main(int argc, char **argv)
{
    struct command_line line = {.config = "/etc/kantor/kantor.conf", .port_base = 10000};
    static struct kantord k;
    struct error e = OK;
    int status = read_command_line(argc, argv, &line);
    if (status >= 0)
        return status;
    (void)umask(077);
    arena_init(&k.arena, 16 * 1024 * 1024);
    k.config_path = line.config;
    k.demo = line.demo != NULL;
    if (line.demo)
        e = demo_write_config(line.demo, line.port_base, &k.arena, &k.config_path);
    if (e.code == ERROR_NONE)
        e = config_read(k.config_path, &k.arena, &k.config);
    if (e.code == ERROR_NONE && line.demo)
        k.config.port_base = line.port_base;
    if (e.code != ERROR_NONE)
        return fail(e);
    if (line.check) {
        (void)printf("%s is fine\n", k.config_path);
        return 0;
    }
    status = serve(&k);
    arena_free(&k.arena);
    return status;
}
