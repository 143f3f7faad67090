/* core/kantord/start.c -- the order of start and of stop
 *
 * Bind, (the helper of heavy formats will be forked here), own user, no new privileges, Landlock, seccomp; only then threads, and only then bytes from
 * strangers. The kernel keeps these rights per thread: whoever starts a thread earlier starts one without the sandbox.
 */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/account/account.h"
#include "core/dns/resolver.h"
#include "mail/authentication/suffix.h"
#include "core/kantord/internal.h"
#include "core/log.h"
#include "core/process/notify.h"
#include "core/process/privilege.h"
#include "mail/delivery/deliver.h"
#include "mail/delivery/filter.h"
#include "mail/delivery/report.h"
#include "mail/filter/dnsbl.h"
#include "mail/filter/peer.h"
#include "mail/delivery/list.h"
#include "mail/relay/relay.h"
#include "mail/trace/trace.h"

enum { DRAIN_MS = 30000, DRAIN_DEMO_MS = 3000, SECOND_MS = 1000, MINUTE_MS = 60000, TRACE_FLUSH_MS = 2000, OWN_DESCRIPTORS = 1000 };

static sem_t stop_wanted;

static void on_stop(void *arg)
{
    (void)arg;
    (void)sem_post(&stop_wanted);
}

static void every_minute(void *arg)
{
    struct kantord *k = arg;
    login_flush_used(k->server.login);
    delivery_retry(&k->server);
}

static void sweep_queue(void *arg)
{
    static _Atomic int sweeping;
    struct kantord *k = arg;
    if (atomic_exchange(&sweeping, 1))
        return;
    report_sweep(&k->server);
    sweeping = 0;
}

static void distribute(void *arg)
{
    struct kantord *k = arg;
    const struct config *c = k->server.config;
    list_work(k->server.store, &(struct list_around){k->server.hostname, c->queue_lifetime / 1000});
}

static void deliver_here(void *arg)
{
    struct kantord *k = arg;
    delivery_retry(&k->server);
}

/* What a script sent to people of ours goes at once, else with the next minute. */
static void wake_delivery(void *arg)
{
    struct kantord *k = arg;
    struct error e = net_submit(k->server.net, deliver_here, k);
    if (e.code != ERROR_NONE)
        LOG_EVENT(LOG_DEBUG, "delivery-waits", LOG_FAILURE(e));
}

static void wake_lists(void *arg)
{
    struct kantord *k = arg;
    struct error e = net_submit(k->server.net, distribute, k);
    if (e.code != ERROR_NONE)
        LOG_EVENT(LOG_WARN, "lists-wait", LOG_FAILURE(e)); /* the minute's timer comes */
}

static void check_lists(void *arg)
{
    struct kantord *k = arg;
    dnsbl_check(&k->server);
}

static void tick_filters(void *arg)
{
    (void)arg;
    peer_tick();
}

static void flush_trace(void *arg)
{
    struct kantord *k = arg;
    trace_flush(k->server.store);
}

static void index_trace(void *arg)
{
    struct kantord *k = arg;
    struct error e = trace_index(k->server.store);
    if (e.code != ERROR_NONE)
        LOG_EVENT(LOG_WARN, "trace-not-indexed", LOG_FAILURE(e));
}

/* On a worker, by a timer of the first loop: both live, and each loop says whether it does. */
static void watchdog(void *arg)
{
    struct kantord *k = arg;
    if (net_alive(k->server.net))
        notify_send("WATCHDOG=1");
}

/* A descriptor for each connection and some for ourselves; where the hard limit is lower, which setting to change. */
static void take_descriptors(const struct config *c)
{
    int64_t wanted = c->max_connections + OWN_DESCRIPTORS, have = privilege_raise_descriptors(wanted);
    if (have < wanted)
        LOG_EVENT(LOG_WARN, "few-descriptors", LOG_NUMBER("open-files", have), LOG_NUMBER("limit.connections", c->max_connections),
                  LOG_WORD("why", "the hard limit of open files is too low for limit.connections: raise LimitNOFILE= in the unit (or `ulimit -Hn`), or lower limit.connections"));
}

/* What needs rights that go afterwards. */
static struct error bind_ports(struct kantord *k)
{
    struct net_options options = net_options_of(&k->config);
    take_descriptors(&k->config);
    TRY(net_new(&options, &k->server.net));
    net_set_user(k->server.net, &k->server);
    return services_listen(k);
}

static struct error submit_for_login(void *net, void (*task)(void *), void *arg)
{
    return net_submit(net, task, arg);
}

/* Everything behind the sandbox: the store with its threads, certificates, people. Nothing is accepted yet. */
static struct error open_all(struct kantord *k)
{
    const struct config *c = &k->config;
    struct certificate_files *files;
    size_t n;
    struct store_options store = {.path = c->data_dir, .readers = (int)c->readers, .retention_s = c->retention ? c->retention / 1000 : -1};
    TRY(store_open(&store, &k->server.store));
    TRY(certificate_files_of(c, k->server.hostname, &k->arena, &files, &n));
    TRY(net_certificates(k->server.net, files, n, &k->arena));
    TRY(login_service_new(k->server.store, &k->server.login));
    login_upgrade_by(k->server.login, submit_for_login, k->server.net);
    login_upgrade_allow(k->server.login, (enum login_upgrade)c->scram_upgrade);
    return k->demo ? demo_fill(k) : OK;
}

static struct error begin(struct kantord *k)
{
    gauges_register(k);
    list_wake_by(wake_lists, k);
    filter_wake_by(wake_delivery, k);
    filter_configure(&(struct filter_options){k->server.hostname, k->config.queue_lifetime / 1000, k->config.sieve_day});
    nightly_gauges(k);
    TRY(net_signal(k->server.net, SIGTERM, on_stop, k));
    TRY(net_signal(k->server.net, SIGINT, on_stop, k));
    TRY(net_signal(k->server.net, SIGHUP, reload_wanted, k));
    TRY(net_start(k->server.net)); /* behind the signals: who waits for `ready` may end us at once */
    TRY(net_timer(k->server.net, MINUTE_MS, every_minute, k));
    TRY(net_timer(k->server.net, MINUTE_MS, sweep_queue, k));
    TRY(net_timer(k->server.net, MINUTE_MS, distribute, k));
    TRY(net_submit(k->server.net, distribute, k)); /* what was taken before a crash */
    TRY(net_timer(k->server.net, MINUTE_MS, index_trace, k));
    TRY(net_submit(k->server.net, check_lists, k)); /* lists of the DNS are used once they proved that they live */
    TRY(net_timer(k->server.net, MINUTE_MS, check_lists, k));
    TRY(net_timer(k->server.net, SECOND_MS, tick_filters, k));
    TRY(net_timer(k->server.net, TRACE_FLUSH_MS, flush_trace, k));
    TRY(domain_keys_start(k));
    TRY(nightly_start(k));
    TRY(relay_start(&k->server, &k->server.relay));
    int64_t watch = notify_watchdog_ms();
    if (watch > 0)
        TRY(net_timer(k->server.net, watch, watchdog, k));
    return control_start(k);
}

static struct error start(struct kantord *k)
{
    const struct config *c = &k->config;
    k->server.config = c;
    k->server.config_path = k->config_path;
    address_set_separators(c->plus_separator);
    TRY(bind_ports(k));
    TRY(privilege_make_folder(c->data_dir, c->user, &k->arena));
    if (c->backup_folder[0]) /* it must be there when the sandbox closes */
        TRY(privilege_make_folder(c->backup_folder, c->user, &k->arena));
    struct resolver_options dns = {.table = c->dns_table, .forward = c->dns_forward, .trust_anchor = c->dns_trust_anchor, .timeout_ms = c->dns_timeout};
    TRY(resolver_new(&dns, &k->arena, &k->server.resolver));
    if (suffix_list_open(NULL, &k->server.suffixes).code != ERROR_NONE) /* before the sandbox */
        LOG_EVENT(LOG_WARN, "no-public-suffix-list", LOG_WORD("why", "incoming mail is not authenticated; install publicsuffix"));
    TRY(privilege_drop(c->user, &k->arena));
    TRY(confine(k));
    TRY(resolver_start(k->server.resolver));
    TRY(open_all(k));
    return begin(k);
}

struct error prepare(struct kantord *k)
{
    struct certificate_files *files;
    size_t n;
    TRY(privilege_make_folder(k->config.data_dir, k->config.user, &k->arena));
    TRY(privilege_drop(k->config.user, &k->arena));
    return certificate_files_of(&k->config, k->server.hostname, &k->arena, &files, &n);
}

static void stop(struct kantord *k)
{
    notify_send("STOPPING=1");
    k->stopping = 1;
    control_stop(k);
    relay_stop(k->server.relay);
    if (k->server.net)
        net_stop(k->server.net, k->demo ? DRAIN_DEMO_MS : DRAIN_MS);
    domain_keys_stop();
    if (k->server.login)
        login_flush_used(k->server.login);
    if (k->server.store)
        trace_flush(k->server.store); /* refusals of the last sessions */
    dnsbl_stop(); /* it submits tasks */
    net_free(k->server.net);
    relay_free(k->server.relay);
    resolver_free(k->server.resolver);
    suffix_list_close(k->server.suffixes);
    login_service_free(k->server.login);
    store_close(k->server.store);
}

/* Log lines and replies to vanished readers must never end the server. Signals are for the loops: libevent hears them wherever they arrive. */
static void quiet_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

struct error run_server(struct kantord *k)
{
    quiet_signals();
    (void)sem_init(&stop_wanted, 0, 0);
    log_setup(2, (enum log_level)k->config.log_level);
    notify_open();
    struct error e = start(k);
    if (e.code != ERROR_NONE) {
        stop(k);
        return e;
    }
    services_print(k);
    if (k->demo)
        demo_print(k);
    (void)printf("ready\n");
    (void)fflush(stdout);
    notify_send("READY=1");
    if (k->config.queue_send == QUEUE_SEND_NO)
        LOG_EVENT(LOG_WARN, "queue-not-sent", LOG_WORD("why", "queue.send = no: mail for other servers waits"));
    LOG_EVENT(LOG_INFO, "ready", LOG_WORD("version", KANTOR_VERSION), LOG_WORD("hostname", k->server.hostname));
    while (sem_wait(&stop_wanted) != 0 && errno == EINTR) {
    }
    LOG_EVENT(LOG_INFO, "stopping", LOG_NUMBER("connections", net_connection_count(k->server.net)));
    stop(k);
    LOG_EVENT(LOG_INFO, "stopped", LOG_WORD("version", KANTOR_VERSION));
    return OK;
}
