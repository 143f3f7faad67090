/* core/account/sasl.h -- the SASL mechanisms, as one table for all protocols
 *
 * A protocol strips its own framing (base64, "+ ", "334 ") and passes decoded bytes. PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS.
 * SCRAM is offered to every name alike: an unknown one, or one without a verifier, gets a salt made from a server secret and fails at the end.
 *
 *     struct sasl *x = sasl_new(service, mechanism, &context, arena);       // NULL: no such mechanism
 *     TRY(sasl_step(x, client_bytes, &challenge, &state));
 */
#ifndef KANTOR_CORE_ACCOUNT_SASL_H
#define KANTOR_CORE_ACCOUNT_SASL_H

#include "core/account/login.h"
#include "core/buffer.h"

struct sasl_context {
    int scope;
    struct slice peer;
    int tls;                       /* the connection is encrypted */
    struct slice binding_exporter; /* RFC 9266 tls-exporter bytes; empty without TLS 1.3 */
    struct slice binding_unique;   /* RFC 5929 tls-unique (TLS 1.2), or empty */
    struct slice binding_endpoint; /* RFC 5929 tls-server-end-point, or empty */
};

enum sasl_state { SASL_MORE, SASL_DONE };

struct sasl;

/* "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", those that fit: without TLS no PLUS. Writes names with one `before` in front of each. */
void sasl_names(const struct sasl_context *context, struct slice before, struct buffer *out);
/* Memory from the arena, which must live as long as the exchange. NULL when the name is unknown or does not fit the connection. */
struct sasl *sasl_new(struct login_service *service, struct slice mechanism, const struct sasl_context *context, struct arena *a);
/* Does the client speak first (so that without an initial response an empty challenge is sent)? */
int sasl_client_first(const struct sasl *x);
/* One round. `input` p NULL: no initial response was given. *challenge (in the arena) goes to the client when SASL_MORE; at SASL_DONE it may hold last data
 * for the client (SCRAM's server-final: sent as a challenge, or with 235 where the protocol has no place). sasl_result is valid after SASL_DONE.
 * ERROR_AUTH (also malformed: same answer), ERROR_INVALID only for a cancelled exchange ("*"), ERROR_BUSY. Thread: worker (PLAIN and LOGIN hash). */
struct error sasl_step(struct sasl *x, struct slice input, struct slice *challenge, enum sasl_state *state);
const struct login *sasl_result(const struct sasl *x);
/* The name that was tried, for the delay of a failure; empty when none was given yet. */
struct slice sasl_name(const struct sasl *x);

#endif
