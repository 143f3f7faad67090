/* mail/relay/route.h -- from a domain to the addresses of the servers that take its mail, in the order of trying, and what TLS each must show
 *
 * The administrator names a host (transport.h, relay.smarthost), or the DNS does: MX records by preference, without any the domain's own addresses (RFC 5321
 * 5.1, RFC 7505). For DANE the TLSA records belong to it (RFC 7672 2.2). An evaluator: it gives questions to the DNS and is called with their answers, so
 * it knows no network and is tested as a function.
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
#include "mail/relay/transport.h"

enum { ROUTE_HOSTS_MAX = 10, ROUTE_TARGETS_MAX = 30, ROUTE_QUESTIONS_MAX = 2 * ROUTE_HOSTS_MAX }; /* attacks.md SO-08 */

enum route_status {
    ROUTE_ASKING,
    ROUTE_FOUND,     /* at least one target */
    ROUTE_TEMPORARY, /* nothing is known now */
    ROUTE_PERMANENT  /* no mail goes there, now or later */
};

struct route_rules {
    const char *own_name;  /* an MX of that name is we: what it prefers no more than us would loop */
    const char *smarthost; /* "host", "host:port", "[192.0.2.1]:port": all mail goes there that has no transport; or "" */
    int port;              /* of hosts from the DNS: 25 */
    int own_port;          /* where we listen: a transport or smart host that leads there is a loop; 0: nowhere */
    bool allow_loopback;   /* addresses of this machine may be servers of others (demonstrations, tests) */
    enum transport_tls tls;            /* where no transport says otherwise */
    const struct transport *transport; /* copied; NULL: none */
    uint64_t seed;                     /* for the order of equal preferences */
    bool (*is_own)(const struct sockaddr *address); /* an address of this machine; NULL: asks the machine */
};

/* A host, and what the handshake with it must show (tls.h). MAY: TLS where it is offered, clear text otherwise. ENCRYPT, DANE, VERIFY: never clear text. */
struct route_host {
    struct slice name; /* for the log and the certificate; of an address literal "[192.0.2.1]" */
    unsigned preference, port;
    bool secure; /* MX and addresses (without an MX, the addresses) are signed by our own validation: DANE may be asked for */
    enum transport_tls tls;
    const struct dns_record *tlsa; /* DANE: the usable ones of base */
    size_t n_tlsa;
    struct slice base;             /* DANE: the name that they stand at: SNI and first name of the certificate */
    struct slice next_hop;         /* the domain, where its MX is signed: the certificate of a DANE-TA host may name it (RFC 7672 3.2.2); or empty */
    struct slice user, password;   /* of a smart host; user.n 0: none. Sent only behind TLS that was verified (attacks.md SO-19) */
    struct route_address *addresses; /* route.c's own */
    size_t n;
};

struct route_target {
    struct slice name; /* the host's, or the address where the domain is a literal */
    bool secure;       /* the host's */
    struct sockaddr_storage to;
    socklen_t to_length;
    const struct route_host *host;
};

struct route {
    enum route_status status;
    struct slice reply; /* TEMPORARY, PERMANENT: "556 5.1.10 ..."; one printable line */
    struct dns_question *questions;
    size_t n_questions;
    struct route_target *targets;
    size_t n_targets;
    /* --- route.c's own */
    struct arena arena;
    struct route_rules rules;
    struct transport transport;
    bool by_hand; /* a host that the administrator named */
    struct slice dest;
    struct route_host *hosts;
    size_t n_hosts;
    struct slice *bases; /* of each host two names at which TLSA records may stand; empty: none */
    enum { ROUTE_ASK_MX, ROUTE_ASK_ADDRESSES, ROUTE_ASK_TLSA, ROUTE_OVER } stage;
    bool mx_secure, unknown, looped; /* unknown: an address was not to be had now; looped: one was refused as ours */
};

/* `dest`: a domain or an address literal. Texts of the rules must live as long as the route. A failure is a status, ROUTE_TEMPORARY. */
void route_begin(struct route *r, struct slice dest, const struct route_rules *rules);
/* One answer for each question, in their order; copies what it keeps. */
void route_answer(struct route *r, const struct dns_answer *const *answers);
void route_end(struct route *r);

#endif
