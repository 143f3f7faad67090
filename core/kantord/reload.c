/* core/kantord/reload.c -- SIGHUP: configuration and certificates anew, all or nothing
 *
 * Everything is read and checked first; what is wrong (a line of kantor.conf, a certificate without its key) leaves the running server as it is and is said in the
 * log. Live connections keep what they have: their TLS context, their deadlines. Limits count from the next connection or login on.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "core/kantord/internal.h"
#include "core/log.h"
#include "core/process/notify.h"
#include "mail/delivery/filter.h"
#include "mail/relay/relay.h"

enum { CONFIG_MAX_BYTES = 16 * 1024 * 1024, LOOPBACK_BURST_S = 10 };

/* A configuration that was read. It is never freed once it is in use: a worker may be reading it, and there is one for each changed file only. */
struct generation {
    struct arena arena;
    struct config config;
};

struct net_options net_options_of(const struct config *c)
{
    return (struct net_options){.loops = (int)c->loops,
                                .workers = (int)c->workers,
                                .max_connections = (int)c->max_connections,
                                .max_per_address = (int)c->max_per_address,
                                .max_per_account = (int)c->max_per_account,
                                .max_per_address_loopback = (int)c->max_loopback,
                                .max_per_account_loopback = (int)c->max_loopback,
                                .commands = c->commands,
                                .burst = c->commands_burst,
                                .commands_loopback = c->commands_loopback,
                                .burst_loopback = c->commands_loopback * LOOPBACK_BURST_S,
                                .proxy_trusted = c->proxy_trusted};
}

static void tell_fixed(const char *name, void *arg)
{
    (void)arg;
    LOG_EVENT(LOG_WARN, "reload-needs-restart", LOG_WORD("option", name),
              LOG_WORD("why", "this option is read at start only: the running value stays until `systemctl restart kantor`"));
}

static struct error read_anew(struct kantord *k, struct generation *g, struct certificate_files **files, size_t *n)
{
    TRY(config_read(k->config_path, &g->arena, &g->config));
    if (k->demo)
        demo_settle(&g->config, (int)k->config.port_base);
    config_keep_fixed(&k->config, &g->config, tell_fixed, NULL);
    return certificate_files_of(&g->config, k->server.hostname, &g->arena, files, n);
}

static void put_in_place(struct kantord *k, struct generation *g)
{
    struct net_options options = net_options_of(&g->config);
    log_setup(2, (enum log_level)g->config.log_level);
    services_configure(&g->config);
    login_upgrade_allow(k->server.login, (enum login_upgrade)g->config.scram_upgrade);
    net_configure(k->server.net, &options);
    filter_configure(&(struct filter_options){k->server.hostname, g->config.queue_lifetime / 1000, g->config.sieve_day});
    atomic_store(&k->server.config, &g->config);
    relay_look_again(k->server.relay);
}

static void reload(void *arg)
{
    struct kantord *k = arg;
    struct certificate_files *files;
    struct generation *g = calloc(1, sizeof *g);
    size_t n = 0;
    if (!g) {
        LOG_EVENT(LOG_ERROR, "reload-refused", LOG_WORD("why", "no memory"));
        return;
    }
    notify_reloading();
    arena_init(&g->arena, CONFIG_MAX_BYTES);
    struct error e = read_anew(k, g, &files, &n);
    if (e.code == ERROR_NONE)
        e = net_certificates(k->server.net, files, n, &g->arena);
    if (e.code == ERROR_NONE)
        LOG_EVENT(LOG_INFO, "reloaded", LOG_NUMBER("certificates", n));
    else
        LOG_EVENT(LOG_ERROR, "reload-refused", LOG_FAILURE(e), LOG_WORD("now", "the configuration and certificates from before stay"));
    if (e.code == ERROR_NONE && !config_equal(&g->config, atomic_load(&k->server.config))) {
        put_in_place(k, g);
    } else {
        arena_free(&g->arena);
        free(g);
    }
    notify_send("READY=1");
}

/* One reload at a time; a signal that comes meanwhile makes one more, so that the last state of the files counts. */
static void reload_work(void *arg)
{
    struct kantord *k = arg;
    do {
        atomic_store(&k->reloads, 1);
        reload(k);
    } while (atomic_fetch_sub(&k->reloads, 1) > 1);
}

void reload_wanted(void *arg)
{
    struct kantord *k = arg;
    if (atomic_fetch_add(&k->reloads, 1) == 0 && net_submit(k->server.net, reload_work, k).code != ERROR_NONE)
        atomic_store(&k->reloads, 0);
}
