/* core/net/service.h -- listeners, loops and workers
 *
 * The table of services (core/kantord/services.c) says name, port, TLS mode and protocol; net_start binds them all, or fails with a sentence; net_run
 * serves until net_stop. Adding a protocol adds a row.
 */
#ifndef KANTOR_CORE_NET_SERVICE_H
#define KANTOR_CORE_NET_SERVICE_H

#include "core/net/connection.h"

enum tls_mode { TLS_NONE, TLS_IMPLICIT, TLS_STARTTLS };

struct service {
    const char *name; /* "imaps": configuration, log */
    int port;         /* well-known; --port-base is added for the demo */
    enum tls_mode tls;
    const struct protocol *protocol;
    int kind;           /* the protocol's own number: which of its services this is (port 25, submission, LMTP) */
    _Atomic int64_t idle_ms;  /* default deadline without input; a reload changes it for new connections */
    _Atomic int64_t login_ms; /* whole time until a login must have come; 0: none */
    _Atomic int64_t total_ms; /* whole time of a session; 0: none */
    int local_only;     /* only loopback (LMTP, admin) unless configured */
};

struct listener {
    const struct service *service;
    int fd;
    int proxy; /* PROXY protocol v1/v2 is expected from trusted peers */
    char address[64];
    int port;
};

struct net_options {
    int loops, workers;
    int max_connections, max_per_address, max_per_account, max_per_address_loopback, max_per_account_loopback;
    int64_t commands, burst, commands_loopback, burst_loopback; /* a second, of one account or (before login) address, and at once; 0: no limit */
    const char *proxy_trusted; /* comma-separated networks, or NULL; lives as long as the process */
};

/* Certificates: pairs of files; the first is the default, the others are chosen by SNI (names from the certificate, a trailing dot is ignored). */
struct certificate_files {
    const char *chain, *key;
};

struct error net_new(const struct net_options *options, struct net **out);
/* New limits and trusted proxies, for connections and logins from now on (loops and workers stay). Any thread. */
void net_configure(struct net *n, const struct net_options *options);
/* Every loop has answered since the call before last, or there was none: the watchdog's question, asked from net_timer. */
int net_alive(struct net *n);
/* Loads or reloads certificates: all or nothing, old ones stay on failure; running connections keep theirs. Any thread. */
struct error net_certificates(struct net *n, const struct certificate_files *files, size_t count, struct arena *a);
/* Binds one service to an address ("127.0.0.1", "::1", "0.0.0.0", "::"). fd >= 0: an inherited socket (systemd), taken instead. The error's text is a sentence with the way out. */
struct error net_listen(struct net *n, const struct service *service, const char *address, int port, int fd, struct arena *a);
/* Starts loops and workers. Before it nothing is accepted. */
struct error net_start(struct net *n);
/* Runs `task` on a worker, for the server's own work (timers, control socket). ERROR_BUSY. Any thread. */
struct error net_submit(struct net *n, void (*task)(void *arg), void *arg);
/* Calls `tick` on a worker every period_ms, never twice at a time. After net_start. */
struct error net_timer(struct net *n, int64_t period_ms, void (*tick)(void *arg), void *arg);
/* Calls `handler` on the first loop when the signal comes. Before net_start, or after it. */
struct error net_signal(struct net *n, int signal_number, void (*handler)(void *arg), void *arg);
/* Stops accepting, says farewell to idle connections, lets running commands finish (at most drain_ms), joins the threads. */
void net_stop(struct net *n, int64_t drain_ms);
void net_free(struct net *n);

/* A line for each live connection, for `kantorctl sessions`. Any thread. */
struct net_session {
    char id[12], service[16], peer[64], name[128];
    int64_t since_at, idle_s, account;
    int tls;
};
struct error net_sessions(struct net *n, struct arena *a, struct net_session **all, size_t *count);
/* Closes a session by id, or all of an account (id NULL). How many. Any thread. */
int net_kill(struct net *n, const char *id, int64_t account);
int64_t net_connection_count(const struct net *n);
/* Those of one service ("imaps"); walks the list. Any thread. */
int64_t net_service_count(struct net *n, const char *service);
/* Workers that run a command now. Any thread. */
int64_t net_workers_busy(const struct net *n);

/* What a protocol's open() can reach: the server's own pointer (struct server of core/kantord, given to sessions as protocol data). */
void net_set_user(struct net *n, void *user);
void *net_user(const struct net *n);

#endif
