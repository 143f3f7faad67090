/* mail/authentication/spf.h -- may this address send mail for this domain? check_host() of RFC 7208
 *
 * A state machine that asks: the caller answers each question from its cache, a resolver, a table of a test. Work and memory are bounded whatever the
 * records say: 10 terms that ask, 2 terms without an answer, 10 names of an MX or PTR (4.6.4), a stack of 11 records instead of recursion, names
 * cut to 253 bytes from the left, an explanation of at most 255 printable characters. The 20 seconds of 4.6.4 are the caller's: spf_give_up().
 *
 *     struct spf spf;
 *     struct dns_question q;
 *     TRY(spf_begin(&spf, arena, &request));
 *     while (spf_step(&spf, &q) == SPF_NEED)
 *         spf_answer(&spf, look_up(q));
 *     log(spf_result_word(spf.result), spf.mechanism);
 *
 * An empty sender is judged by its HELO name (2.4); a check of HELO beside that of MAIL FROM (2.3) is a second evaluation with an empty sender. One
 * struct, one thread at a time.
 */
#ifndef KANTOR_MAIL_AUTHENTICATION_SPF_H
#define KANTOR_MAIL_AUTHENTICATION_SPF_H

#include "core/dns/dns.h"

enum { SPF_TERMS_MAX = 10, SPF_VOID_MAX = 2, SPF_HOSTS_MAX = 10, SPF_EXPLANATION_MAX = 255, SPF_DEPTH_MAX = SPF_TERMS_MAX + 1 };

enum spf_result { SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR };

/* Static: "none", "softfail", ... as Authentication-Results has them (RFC 8601 2.7.2). */
const char *spf_result_word(enum spf_result r);

struct spf_request {
    unsigned char address[16]; /* of the client; an IPv4 address in the first four bytes. An IPv4-mapped one counts as IPv4 */
    size_t address_bytes;      /* 4 or 16 */
    struct slice helo;         /* as the client said it */
    struct slice sender;       /* of MAIL FROM, without <>; empty: HELO is judged */
    struct slice receiver;     /* our name, for %{r}; empty: "unknown" */
    int64_t now_at;            /* for %{t} */
};

enum spf_kind {
    SPF_END, /* of the record */
    SPF_ALL,
    SPF_INCLUDE,
    SPF_ADDRESS,   /* a */
    SPF_EXCHANGER, /* mx */
    SPF_REVERSE,   /* ptr */
    SPF_IP4,
    SPF_IP6,
    SPF_EXISTS,
    SPF_REDIRECT,
    SPF_EXPLAIN, /* exp */
    SPF_OTHER,   /* an unknown modifier */
};

/* One term of a record, read; private to this folder. */
struct spf_term {
    enum spf_kind kind;
    enum spf_result hit; /* the result when it matches: its qualifier */
    struct slice text;   /* as it stands in the record */
    struct slice spec;   /* domain-spec, network or value of a modifier; empty when there is none */
    unsigned prefix4, prefix6;
};

/* One check_host() on the stack; private. */
struct spf_frame {
    struct slice domain, record, rest; /* rest: terms not yet looked at */
    struct slice redirect, explain;    /* specs; p NULL when absent */
    struct spf_term term;              /* the one that is evaluated */
    bool redirected;
};

enum spf_phase { SPF_AT_RECORD, SPF_AT_NEXT, SPF_AT_TERM, SPF_AT_REDIRECT, SPF_AT_EXPLAIN, SPF_AT_TEXT, SPF_AT_END };
enum spf_wait {
    SPF_WAIT_NONE,
    SPF_WAIT_RECORD,
    SPF_WAIT_ADDRESS,
    SPF_WAIT_EXISTS,
    SPF_WAIT_MX,
    SPF_WAIT_MX_ADDRESS,
    SPF_WAIT_PTR,
    SPF_WAIT_PTR_ADDRESS,
    SPF_WAIT_EXPLANATION,
};

struct spf {
    /* what is known at the end */
    enum spf_result result;
    struct slice domain;      /* that was judged: of MAIL FROM or HELO; empty when it was no domain */
    struct slice mechanism;   /* the term that decided, "-all"; "default" when none did; empty without a record */
    struct slice explanation; /* of the domain's owner, printable ASCII; p NULL: none. Never trust it: it is theirs */
    const char *problem;      /* static: what is wrong, for permerror and temperror; NULL otherwise */
    bool of_helo;             /* the sender was empty */
    bool wide;                /* decided by "all" or a network wider than /16 (IPv6: /32): says little about who sent it (attacks.md MA-21) */

    /* private */
    struct arena *arena;
    struct spf_request request;
    struct slice local, sender_domain;
    enum spf_phase phase;
    enum spf_wait wait;
    struct dns_question question;
    struct spf_frame frames[SPF_DEPTH_MAX];
    unsigned depth, terms, voids; /* depth: frames in use */
    bool counted, voided;         /* of the term that is evaluated */
    struct slice hosts[SPF_HOSTS_MAX], names[SPF_HOSTS_MAX]; /* of an MX or PTR answer; validated names of the client (5.5) */
    size_t n_hosts, at_host, n_names;
    bool names_known;
    struct slice text; /* of exp=, before its macros */
};

/* Slices of the request are copied. ERROR_MEMORY. */
struct error spf_begin(struct spf *s, struct arena *a, const struct spf_request *request);

enum spf_step { SPF_NEED, SPF_DONE };
/* What next; the same again until it is answered. q->name lives in the arena. */
enum spf_step spf_step(const struct spf *s, struct dns_question *q);
/* The answer to the question of spf_step; nothing when there is none. Want of memory ends it with temperror. */
void spf_answer(struct spf *s, const struct dns_answer *answer);
/* The time is up: temperror (4.6.4). Nothing when it was done. */
void spf_give_up(struct spf *s);

#endif
