/* core/kantord/services.c -- the table of services: adding a protocol adds a row */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/kantord/internal.h"
#include "core/log.h"
#include "mail/imap/imap.h"
#include "mail/managesieve/managesieve.h"
#include "mail/pop3/pop3.h"
#include "mail/smtp/smtp.h"

enum addresses { ADDRESSES_ALL, ADDRESSES_LMTP, ADDRESSES_ADMIN };
enum idle { IDLE_SMTP, IDLE_IMAP, IDLE_POP3, IDLE_MANAGESIEVE, IDLE_ADMIN };

/*    name           port  TLS           protocol              kind            addresses        idle */
static const struct row {
    const char *name;
    int port;
    enum tls_mode tls;
    const struct protocol *protocol;
    int kind;
    enum addresses addresses;
    enum idle idle;
} rows[] = {
    {"smtp",        25,   TLS_STARTTLS, &smtp_protocol,       SMTP_MX,         ADDRESSES_ALL,   IDLE_SMTP},
    {"submission",  587,  TLS_STARTTLS, &smtp_protocol,       SMTP_SUBMISSION, ADDRESSES_ALL,   IDLE_SMTP},
    {"submissions", 465,  TLS_IMPLICIT, &smtp_protocol,       SMTP_SUBMISSION, ADDRESSES_ALL,   IDLE_SMTP},
    {"lmtp",        24,   TLS_STARTTLS, &smtp_protocol,       SMTP_LMTP,       ADDRESSES_LMTP,  IDLE_SMTP},
    {"imap",        143,  TLS_STARTTLS, &imap_protocol,       0,               ADDRESSES_ALL,   IDLE_IMAP},
    {"imaps",       993,  TLS_IMPLICIT, &imap_protocol,       0,               ADDRESSES_ALL,   IDLE_IMAP},
    {"pop3",        110,  TLS_STARTTLS, &pop3_protocol,       0,               ADDRESSES_ALL,   IDLE_POP3},
    {"pop3s",       995,  TLS_IMPLICIT, &pop3_protocol,       0,               ADDRESSES_ALL,   IDLE_POP3},
    {"managesieve", 4190, TLS_STARTTLS, &managesieve_protocol, 0,              ADDRESSES_ALL,   IDLE_MANAGESIEVE},
    {"admin",       9090, TLS_NONE,     &admin_http_protocol, 0,               ADDRESSES_ADMIN, IDLE_ADMIN},
};

enum { N_ROWS = sizeof rows / sizeof rows[0] };

static struct service services[N_ROWS]; /* the rows with what the configuration adds */

/* The words of a comma-separated list, one a call. */
static bool next_word(struct slice *list, struct slice *word)
{
    while (list->n) {
        *word = slice_first(*list, slice_find(*list, ','));
        *list = slice_after(*list, word->n + 1);
        *word = slice_trim(*word);
        if (word->n)
            return true;
    }
    return false;
}

static bool is_listed(const char *list, const char *name)
{
    struct slice rest = slice_of(list), word;
    while (next_word(&rest, &word))
        if (slice_eq(word, slice_of(name)))
            return true;
    return false;
}

/* The port that an inherited socket is bound to; -1: it is no listening TCP socket. */
static int port_of(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t length = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &length) != 0)
        return -1;
    if (at.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&at)->sin6_port);
    return at.ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)&at)->sin_port) : -1;
}

/* A socket that systemd bound for this service: sd_listen_fds(3), LISTEN_FDS from descriptor 3 on. Its name in LISTEN_FDNAMES says whose it is,
 * and where that is no service's name (a socket unit without FileDescriptorName=) its port does. -1: none. */
static int inherited(const struct row *row, int64_t port_base, int nth)
{
    const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID"), *names = getenv("LISTEN_FDNAMES");
    uint64_t n, owner;
    if (!count || !pid || !slice_number(slice_of(count), 64, &n) || !slice_number(slice_of(pid), INT32_MAX, &owner) || (int64_t)owner != getpid())
        return -1;
    struct slice rest = slice_of(names ? names : "");
    for (int fd = 3; fd < 3 + (int)n; fd++) {
        struct slice one = slice_first(rest, slice_find(rest, ':'));
        rest = slice_after(rest, one.n + 1);
        if ((slice_eq(one, slice_of(row->name)) || port_of(fd) == row->port + port_base) && nth-- == 0)
            return fd;
    }
    return -1;
}

static const char *addresses_of(const struct config *c, enum addresses which)
{
    return which == ADDRESSES_LMTP ? c->lmtp_listen : which == ADDRESSES_ADMIN ? c->admin_listen : c->listen;
}

static int64_t idle_of(const struct config *c, enum idle which)
{
    return which == IDLE_SMTP ? c->idle_smtp : which == IDLE_IMAP ? c->idle_imap : which == IDLE_POP3 ? c->idle_pop3 : which == IDLE_MANAGESIEVE ? c->idle_managesieve : 30000;
}

static int64_t login_of(const struct config *c, enum idle which)
{
    return which == IDLE_IMAP || which == IDLE_POP3 || which == IDLE_MANAGESIEVE ? c->login_timeout : 0;
}

static int64_t total_of(const struct config *c, enum idle which)
{
    return which == IDLE_SMTP ? c->total_smtp : which == IDLE_ADMIN ? 60000 : 0;
}

void services_configure(const struct config *c)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        services[i].idle_ms = idle_of(c, rows[i].idle);
        services[i].login_ms = login_of(c, rows[i].idle);
        services[i].total_ms = total_of(c, rows[i].idle);
    }
}

static struct error listen_one(struct kantord *k, size_t i)
{
    const struct config *c = &k->config;
    struct slice rest = slice_of(addresses_of(c, rows[i].addresses)), address;
    int bound = 0, fd;
    services[i] = (struct service){.name = rows[i].name, .port = rows[i].port, .tls = rows[i].tls, .protocol = rows[i].protocol, .kind = rows[i].kind, .idle_ms = idle_of(c, rows[i].idle),
                                   .login_ms = login_of(c, rows[i].idle), .total_ms = total_of(c, rows[i].idle)};
    while ((fd = inherited(&rows[i], c->port_base, bound)) >= 0) {
        TRY(net_listen(k->server.net, &services[i], "systemd", rows[i].port, fd, &k->arena));
        bound++;
    }
    while (!bound && next_word(&rest, &address)) {
        const char *text = arena_string(&k->arena, address);
        struct error e = net_listen(k->server.net, &services[i], text, rows[i].port + (int)c->port_base, -1, &k->arena);
        if (e.code == ERROR_UNSUPPORTED) { /* a machine without IPv6, or without that address */
            LOG_EVENT(LOG_WARN, "address-skipped", LOG_WORD("service", rows[i].name), LOG_WORD("why", e.text));
            continue;
        }
        TRY(e);
    }
    return OK;
}

/* A word that names no service would be a service that is silently not offered. */
static struct error check_words(struct kantord *k)
{
    struct slice rest = slice_of(k->config.services), word;
    while (next_word(&rest, &word)) {
        size_t i = 0;
        while (i < N_ROWS && !slice_eq(word, slice_of(rows[i].name)))
            i++;
        if (i == N_ROWS)
            return error_make(ERROR_INVALID, arena_printf(&k->arena, "%s: listen.services: there is no service \"%.*s\"; write some of smtp, submission, submissions, lmtp, imap, imaps, pop3, pop3s, managesieve, admin",
                                                          k->config_path, SLICE_ARG(slice_first(word, 40))));
    }
    return OK;
}

struct error services_listen(struct kantord *k)
{
    TRY(check_words(k));
    for (size_t i = 0; i < N_ROWS; i++)
        if (is_listed(k->config.services, rows[i].name))
            TRY(listen_one(k, i));
    return OK;
}

void services_print(const struct kantord *k)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (services[i].name)
            (void)printf("  %-12s port %-6lld %s\n", rows[i].name, (long long)(rows[i].port + k->config.port_base), rows[i].tls == TLS_IMPLICIT ? "TLS" : rows[i].tls == TLS_STARTTLS ? "STARTTLS" : "loopback only");
}

const char *services_name(size_t n)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (services[i].name && n-- == 0)
            return services[i].name;
    return NULL;
}
