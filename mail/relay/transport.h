/* mail/relay/transport.h -- what the administrator says about destinations: another host, a port, credentials, how much TLS
 *
 * Rows of the store, changed while the server runs (`kantorctl route …`). The domain of a row is a name, *.name (all below it) or * (everything else);
 * the most exact one counts.
 */
#ifndef KANTOR_MAIL_RELAY_TRANSPORT_H
#define KANTOR_MAIL_RELAY_TRANSPORT_H

#include "core/store/store.h"

/* How much TLS is asked of the other side. */
enum transport_tls {
    TRANSPORT_TLS_NONE,    /* never */
    TRANSPORT_TLS_MAY,     /* where it is offered */
    TRANSPORT_TLS_ENCRYPT, /* always, whoever it is */
    TRANSPORT_TLS_DANE,    /* as its DNS says (RFC 7672) or its policy (RFC 8461), where it is offered otherwise */
    TRANSPORT_TLS_VERIFY,  /* always, with a certificate for its name */
    TRANSPORT_TLS_DEFAULT  /* a row that does not say: relay.tls */
};

extern const char *const transport_tls_words[]; /* "none", "may", "encrypt", "dane", "verify", "default" */

struct transport {
    struct slice domain; /* lower case, A-labels */
    struct slice host;   /* a name or an address literal [192.0.2.1]; empty: as the DNS says */
    unsigned port;       /* 0: relay.port */
    enum transport_tls tls;
    struct slice user, password; /* empty: none */
};

/* The row for a destination in lower case; *found false when there is none. Any connection. ERROR_*. */
struct error transport_find(struct sql *db, struct slice destination, struct arena *a, struct transport *out, bool *found);
struct error transport_list(struct sql *db, struct arena *a, struct transport **all, size_t *n);
/* In a change. Replaces the row of that domain. ERROR_INVALID (a sentence): credentials without `verify` or `dane`. */
struct error transport_set(struct sql *db, const struct transport *t);
/* In a change. ERROR_NOT_FOUND. */
struct error transport_delete(struct sql *db, struct slice domain);

#endif
