/* mail/delivery/rules.h -- transport rules of a domain: conditions, and what is done to mail that meets all of them
 *
 * A rule belongs to a domain of ours and is kept as lines of "key value". It is asked for each recipient: of mail that comes `in` by the recipient's domain, of
 * mail that goes `out` or stays `inside` (its sender logged in) by the sender's. All rules that match act, in the order of their places, up to one with `stop`.
 * What our server writes itself (lists, reports, journals) passes them by. Rules are read once and kept until rules_changed().
 *
 *   conditions  direction in|out|inside|any, sender PATTERN, recipient PATTERN (* is anything), header NAME:TEXT, larger BYTES, attachment
 *   actions     disclaimer TEXT (\n: a new line), add-header NAME: VALUE, redirect ADDRESS, reject TEXT, journal ADDRESS, stop
 *
 * reject in a transaction that gives one answer for all (SMTP) refuses the message for all recipients, so that nothing goes back later.
 * journal sends a report (who, to whom, blind copies too, and the message as it came) in the same change as the delivery.
 */
#ifndef KANTOR_MAIL_DELIVERY_RULES_H
#define KANTOR_MAIL_DELIVERY_RULES_H

#include "mail/delivery/deliver.h"
#include "mail/trace/trace.h"

enum rule_direction { RULE_ANY, RULE_IN, RULE_OUT, RULE_INSIDE };

struct rule {
    int64_t id, domain, place;
    struct slice name, body;
    enum rule_direction direction;
    struct slice sender, recipient;         /* patterns; p NULL: any */
    struct slice header_name, header_text;  /* p NULL: not asked */
    int64_t larger;                         /* 0: not asked */
    bool attachment, stop;
    struct slice disclaimer, add_header, redirect, reject, journal; /* p NULL: not so */
};

/* Reads the lines; ERROR_INVALID says which is wrong. Slices of the body, or the arena's. */
struct error rule_read(struct slice body, struct arena *a, struct rule *out);
/* In a change. ERROR_EXISTS: the domain has one of that name; ERROR_NOT_FOUND. */
struct error rule_add(struct sql *db, const struct rule *rule, int64_t *id);
struct error rule_delete(struct sql *db, int64_t domain, struct slice name);
/* In order; domain 0: all. A row that cannot be read any more has only its name and body. */
struct error rule_list(struct sql *db, int64_t domain, struct arena *a, struct rule **all, size_t *n);
/* After a change of theirs. Any thread. */
void rules_changed(void);

/* What the rules make of a delivery: parts with a message and recipients of their own, to be delivered in one change. No rule acts: one part, the delivery itself,
 * and nothing was made. Thread: worker, without a reader. */
struct ruled {
    struct delivery **parts; /* the first is what was sent in, or its first variant */
    size_t n_parts, n_first; /* parts behind n_first are journals: only when somebody of the others got it */
    size_t **from;           /* of each part: the place of each recipient in the delivery; NULL: the delivery itself, or a journal */
    bool refused;            /* every recipient has its result already */
};
struct error rules_apply(struct store *s, struct delivery *d, struct trace *t, struct arena *a, struct ruled *out);
/* Drops the messages that were made. */
void rules_done(struct ruled *r, const struct delivery *d);

#endif
