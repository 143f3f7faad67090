/* mail/relay/route.h -- from a domain to the addresses of the servers that take its mail (RFC 5321 5.1, RFC 7505)
 *
 * An evaluator: it gives questions to the DNS and is called with their answers, so it knows no network.
 *
 *     route_begin(&route, dest, &rules);
 *     while (route.status == ROUTE_ASKING) { ask route.questions[0 .. route.n_questions - 1]; route_answer(&route, answers); }
 *     ... route.targets in the order of trying, or route.reply for the sender ...
 *     route_end(&route);
 */
#ifndef KANTOR_MAIL_RELAY_ROUTE_H
#define KANTOR_MAIL_RELAY_ROUTE_H

#include <sys/socket.h>

#include "core/dns/dns.h"

enum { ROUTE_HOSTS_MAX = 10, ROUTE_TARGETS_MAX = 30, ROUTE_QUESTIONS_MAX = 2 * ROUTE_HOSTS_MAX };

enum route_status { ROUTE_ASKING, ROUTE_FOUND, ROUTE_TEMPORARY, ROUTE_PERMANENT };

struct route_rules {
    const char *own_name;  /* an MX of that name is we: what it prefers no more than us would loop */
    const char *smarthost; /* "host", "host:port", "[192.0.2.1]:port": all mail goes there; or "" */
    int port;              /* of the others: 25 */
    bool allow_loopback;   /* 127/8, ::1 and link-local addresses may be servers of others (demonstrations, tests) */
};

struct route_target {
    struct slice name; /* of the host: for TLS; the address where the domain is a literal */
    bool secure;       /* MX and address are DNSSEC-validated: DANE may be asked for (RFC 7672 2.2) */
    struct sockaddr_storage to;
    socklen_t to_length;
};

struct route {
    enum route_status status;
    struct slice reply; /* TEMPORARY, PERMANENT: "556 5.1.10 ..." */
    struct dns_question questions[ROUTE_QUESTIONS_MAX];
    size_t n_questions;
    struct route_target targets[ROUTE_TARGETS_MAX];
    size_t n_targets;
    /* --- route.c's own */
    struct arena arena;
    struct route_rules rules;
    struct slice dest;
    struct route_host {
        struct slice name;
        unsigned preference, order;
        bool secure;
    } hosts[ROUTE_HOSTS_MAX];
    size_t n_hosts;
    bool mx_asked;
    int port;
};

void route_begin(struct route *r, struct slice dest, const struct route_rules *rules);
/* One answer for each question, in their order; copies what it keeps. */
void route_answer(struct route *r, const struct dns_answer *const *answers);
void route_end(struct route *r);

#endif
