/* mail/relay/internal.h -- what the files of this folder share: destinations, jobs, sessions */
#ifndef KANTOR_MAIL_RELAY_INTERNAL_H
#define KANTOR_MAIL_RELAY_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/buffer.h"
#include "core/dns/resolver.h"
#include "core/net/outgoing.h"
#include "core/options.h"
#include "core/server.h"
#include "mail/delivery/report.h"
#include "mail/queue/queue.h"
#include "mail/relay/outgoing.h"
#include "mail/relay/relay.h"
#include "mail/relay/reply.h"
#include "mail/relay/route.h"

enum { RELAY_LOOPBACK_REFUSE, RELAY_LOOPBACK_ALLOW }; /* relay.loopback */
enum { JOB_RCPTS_MAX = 100, WINDOW_FIRST = 5, HELD_MAX = 128 };

/* One message for one destination, and what came of each of its recipients. Belongs to who took it. */
struct job {
    struct job *next; /* of those whose results could not be written yet */
    struct destination *of;
    struct arena arena;
    struct queue_entry entry;
    struct outgoing out; /* session.c asks for it */
    struct queue_taken rcpts[JOB_RCPTS_MAX];
    struct queue_result results[JOB_RCPTS_MAX];
    size_t n;
};

enum routing { ROUTING_NONE, ROUTING_ASKED, ROUTING_ANSWERED, ROUTING_DONE };

/* Where mail goes: a domain. Everything under relay->lock, but for what says otherwise. */
struct destination {
    struct relay *relay;
    struct destination *next; /* in its chain of the table */
    size_t heap_at;           /* 0: not in the heap */
    int64_t look_ms;          /* when to look at it: clock_ms */
    struct slice name;        /* behind the struct */

    int64_t blocked_until_ms; /* it rests after a failure */
    int failures;             /* in a row, without a session that worked */
    int sessions, window;     /* now, and at most */
    int empty;                /* of them: without a message yet */
    struct relay_session *idle; /* of these: those that wait for one, as a list */
    bool settling;            /* a worker writes that nothing works */

    enum routing routing;
    struct dns_asked *asked;
    struct route route;
    int64_t route_until_ms;
    size_t next_target;       /* to try */
    unsigned plain;           /* targets whose TLS failed, as bits: next time in clear text */
    char why[REPLY_TEXT_MAX + 100]; /* of the last failure */
    char why_host[320];
    char rests_for[REPLY_TEXT_MAX + 100];

    int64_t held[HELD_MAX];   /* messages that are being sent */
    size_t n_held;
};

struct relay {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock, taking; /* taking: held while a session reads what is due */
    pthread_cond_t wake;
    struct watch *watches[2];
    bool started, stop, all_fresh, new_mail;
    struct destination **table;
    size_t n_table, n_destinations;
    struct destination **heap; /* by look_ms, from 1 on */
    size_t n_heap, room_heap;
    int64_t last_queue; /* messages up to here were seen */
    struct job *unwritten; /* the store could not take their results: held, so that nobody gets them twice, and written later */
    int64_t unwritten_ms;  /* when that is tried again */
    _Atomic int sessions;
};

/* destination.c: under relay->lock unless it says otherwise */
struct destination *destination_find(struct relay *r, struct slice name, bool make); /* NULL: unknown, or no memory */
void destination_look_at(struct destination *d, int64_t ms); /* look at it then, or sooner if that was planned */
void destination_forget(struct destination *d);
struct destination *destination_due(struct relay *r, int64_t now); /* the next to look at, taken out of the heap, or NULL */
int64_t destination_first_ms(const struct relay *r);               /* INT64_MAX: none */
void destinations_free(struct relay *r);

/* job.c: a worker, or the relay's thread; without the lock */
struct job *job_take(struct destination *d); /* the next message that is due, NULL: none */
/* What became of recipient i, if it has no result yet; texts are copied. */
void job_set_one(struct job *j, size_t i, enum queue_state state, struct slice reply, struct slice host);
void job_set(struct job *j, enum queue_state state, struct slice reply, struct slice host); /* the same of all */
void job_finish(struct destination *d, struct job *j); /* writes what became of it, now or later, and frees it */
void job_write_again(void *relay);                     /* those that could not be written: a worker */
void jobs_free(struct relay *r);

/* transfer.c: the message as DATA wants it, piece by piece */
struct transfer {
    int64_t at; /* of the blob */
    int head_sent, line_start, ended_by_line;
};
void transfer_begin(struct transfer *x, const struct job *j);
/* Adds up to a piece to `out`; *over: that was the last, the final dot included. Worker. */
struct error transfer_more(struct transfer *x, struct server *server, const struct job *j, struct buffer *out, bool *over);

/* dispatch.c */
void relay_wake(struct relay *r); /* under the lock */
enum session_end { SESSION_WORKED, SESSION_TLS_FAILED, SESSION_FAILED };
void relay_session_ended(struct destination *d, size_t target, enum session_end how, bool empty, const char *why, const char *host); /* any thread, no lock */
void relay_session_took(struct destination *d);     /* a session without a message has one now: any thread, no lock */
void relay_session_delivered(struct destination *d); /* a message went: it may have one session more */

/* tls.c: what the other side's certificate proved */
struct relay_proof {
    bool needed; /* without it the handshake fails */
    int wrong;   /* the first X509_V_ERR_*; 0 behind a handshake: the name is proven */
};
/* A client's SSL for a host; NULL: no memory. `proof` is written during the handshake and must outlive it. */
struct ssl_st *relay_tls_new(const struct route_host *h, struct relay_proof *proof);
const char *relay_tls_wrong(const struct relay_proof *proof); /* words for the log and the sender; static */
bool relay_tls_must(const struct route_host *h);             /* never in clear text */

/* auth.c: AUTH of a session with a smart host (RFC 4954) */
enum { HAS_AUTH_PLAIN = 1024, HAS_AUTH_LOGIN = 2048 }; /* beside the keywords of session.c */
int auth_keywords(struct slice methods);               /* of "PLAIN LOGIN XOAUTH2" */
/* The first command, false: no method that we know. */
bool auth_begin(const struct route_host *h, int keywords, struct buffer *out);
/* The answer to the other side's n-th 334, from 0 on; false: none is left. */
bool auth_step(const struct route_host *h, int keywords, int n, struct buffer *out);

/* session.c */
struct relay_session {
    struct relay_session *next_idle;
    struct connection *c;
    struct destination *d;
    size_t target;
    char host[340]; /* "mx.example [192.0.2.1]" */
    const struct route_host *at; /* of the destination's route, which stays while it has sessions */
    struct relay_proof proof;
    int auth_steps;
    bool authenticated;
    int state, keywords, worked, tls_failed, empty, idling, plain;
    int64_t size_limit, idle_since_ms;
    struct job *job;
    size_t reply_at, accepted; /* of the envelope: 0 MAIL, 1 to n RCPT, n + 1 DATA */
    size_t sent;               /* commands of the envelope that are on their way */
    struct transfer transfer;
    char why[REPLY_TEXT_MAX + 100];
};
/* Opens a connection to one of the destination's targets; ERROR_BUSY, ERROR_IO. Under the lock. */
struct error session_open(struct destination *d, size_t target);
void session_wake(struct relay_session *s); /* under the lock: there may be a message for it */

#endif
