/* core/net/internal.h -- what the files of this folder share
 *
 * Who may touch what: fields marked "owner" belong to whoever drives the connection (state BUSY: one loop or one worker, handed over through
 * the state or the worker queue); fields marked "loop" to the connection's own loop thread; the rest says so.
 */
#ifndef KANTOR_CORE_NET_INTERNAL_H
#define KANTOR_CORE_NET_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>
#include <zlib.h>

#include "core/net/service.h"

enum { HANDSHAKE_MS = 30000 }; /* until TLS or a PROXY header must be done (attacks.md TL-04) */

enum state { STATE_IDLE, STATE_BUSY, STATE_AGAIN };

enum phase {
    PHASE_CONNECT,   /* outgoing: until the kernel is connected */
    PHASE_PROXY,     /* a PROXY header must come first */
    PHASE_HANDSHAKE, /* TLS */
    PHASE_OPEN,      /* call protocol->open */
    PHASE_READY,     /* commands */
    PHASE_MORE,      /* run wants to be called again when the output has drained */
    PHASE_WAIT,      /* run wants to be called again when it was answered */
    PHASE_TLS,       /* flush, then handshake */
    PHASE_COMPRESS,  /* flush, then deflate */
    PHASE_DELAY,     /* the timer goes on */
    PHASE_CLOSING,   /* flush, then linger */
    PHASE_LINGER,    /* our half is shut; read and drop until the peer closes, so that no reset overtakes the last reply */
    PHASE_DEAD
};

enum { POST_START = 1, POST_NOTICE = 2, POST_DEAD = 4, POST_DELAY = 8, POST_SHUT = 16 };

/* deflate both ways (RFC 4978); the sending stream exists only while something is being sent */
struct compress {
    z_stream inflate, deflate;
    int deflate_live;
    struct buffer raw;  /* received, not inflated yet */
    struct buffer wire; /* deflated, not sent yet */
};

struct loop;

struct connection_inner {
    int fd;
    _Atomic int state;
    _Atomic unsigned posts; /* bits; not 0: stands in the loop's queue */
    _Atomic int killed;     /* close reason, or -1 */
    _Atomic int noticed;
    _Atomic int answered;
    _Atomic int64_t active_ms;
    _Atomic int64_t timer_ms; /* what POST_DELAY asks the timer for */
    _Atomic int logged_in;
    enum phase phase; /* owner */
    SSL *ssl;         /* owner */
    struct compress *compress;
    struct loop *loop;
    struct sockaddr_storage to; /* outgoing */
    socklen_t to_length;
    struct event io, timer; /* loop */
    struct connection *post_next, *job_next, *list_next, *list_prev;
    int64_t opened_ms, opened_at;
    int64_t account; /* under net->lock */
    char name[128];  /* under net->lock */
    uint64_t address_key; /* under net->lock; 0: not counted (a trusted proxy before its header) */
    int64_t delay_until_ms;                  /* owner: of PHASE_DELAY and PHASE_LINGER */
    int64_t hold_until_ms;                   /* owner: its account or address gave too many commands; the next one waits */
    int64_t lingered;                        /* bytes dropped */
    int64_t idle_before_ms;                  /* owner: c->idle_ms behind the last command */
    int counted, zombie;                     /* loop */
    int opened, framed, from_plain;          /* owner */
    int read_full;                           /* owner: the last read took all it was given room for */
};

struct call {
    struct call *next;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    struct net *net;
    int index;
    struct event_base *base;
    pthread_t thread;
    pthread_mutex_t lock; /* guards posted, calls */
    struct connection *posted, *posted_last;
    struct call *calls;
    int wake_fd;
    struct event wake;
    uint64_t answered; /* loop thread: commands run here, for the short look-again */
    _Atomic int stop;
    _Atomic int asked; /* net_alive asked and it has not answered */
};

struct worker {
    pthread_t thread;
    sem_t wake;
    struct pool *pool;
    struct worker *below; /* in the stack of idle workers */
};

struct pool {
    pthread_mutex_t lock; /* guards all but workers */
    struct connection *first, *last;
    struct call *calls, *calls_last;
    struct worker *idle; /* the one that fell idle last is woken first: its stack and cache are warm */
    int waiting_calls, stop, n;
    struct worker *workers;
};

/* counts by key: connections of an address, of an account */
struct guard {
    uint64_t seed;
    struct guard_slot {
        uint64_t key;
        uint32_t count;
    } * slots;
    size_t size, used;
};

struct accept_event {
    struct net *net;
    struct listener listener;
    struct event event;
    struct event pause;
    struct accept_event *next;
};

/* Head of what lives until net_free: timers and signals. */
struct kept {
    struct kept *next;
};

struct tls_set; /* tls.c */
struct rates;   /* rate.c */

struct net {
    struct net_options options; /* the limits: under lock; the numbers of threads never change */
    const char *_Atomic proxy_trusted;
    struct loop *loops;
    struct pool pool;
    struct accept_event *listeners;
    void *user;
    pthread_mutex_t lock; /* guards the list of connections, the guards, accounts and names */
    struct connection *connections;
    struct guard by_address, by_account;
    struct kept *kept; /* under lock */
    struct rates *rates;
    _Atomic int64_t commands, burst, commands_loopback, burst_loopback; /* limits of options, read at every command */
    _Atomic int64_t count;
    _Atomic int busy; /* workers that drive a connection now */
    _Atomic int stopping;
    _Atomic unsigned next_loop;
    uint64_t next_id;
    int reserve_fd, started;
    pthread_rwlock_t tls_lock;
    struct tls_set *tls;
};

/* drive.c */
enum place { ON_LOOP, ON_WORKER };
void drive(struct connection *c, enum place place); /* caller owns it (state BUSY) */
void drive_wake(struct connection *c);              /* loop: something happened on it */
void drive_expired(struct connection *c);           /* loop: its timer */

/* stream.c: owner */
enum flow { FLOW_DONE, FLOW_BLOCKED, FLOW_ENDED };
enum flow stream_flush(struct connection *c);                /* FLOW_DONE: all is with the kernel */
enum flow stream_read(struct connection *c);                 /* FLOW_DONE: something was added to c->in */
enum flow stream_handshake(struct connection *c);
struct error stream_compress(struct connection *c);
void stream_park(struct connection *c);                      /* frees what an idle connection does not need */
void stream_close(struct connection *c);

/* tls.c */
SSL *tls_new(struct connection *c); /* as the server, or as the client of an outgoing connection; NULL: it cannot be */
void tls_free(struct net *n);

/* listener.c */
void listener_start(struct net *n);
void listener_stop(struct net *n);
void connection_destroy(struct connection *c); /* its loop; state DEAD */
struct connection *connection_new(struct net *n, const struct listener *listener, int fd, const struct sockaddr_storage *peer); /* not seen by anybody yet; NULL: no memory, or we stop */
int connection_enter(struct connection *c); /* into the list and the limits; 0: too many. From here on others see it: net_stop, net_kill */
void connection_launch(struct connection *c); /* its loop drives it from here on */
void connection_discard(struct connection *c); /* one that was never launched; closes its descriptor */
int connection_count_address(struct connection *c); /* counts it for c->peer; 0: that address has too many (it was told so) */

/* proxy.c */
enum flow proxy_read(struct connection *c); /* FLOW_DONE: header taken, peer set */
int proxy_trusts(const char *networks, const char *address);

/* guard.c: under net->lock */
void guard_init(struct guard *g);
void guard_free(struct guard *g);
uint32_t guard_count(const struct guard *g, uint64_t key);
int guard_enter(struct guard *g, uint64_t key); /* 0: no memory */
void guard_leave(struct guard *g, uint64_t key);
uint64_t guard_address_key(const char *address); /* an IPv6 /64 is one */

/* rate.c: any thread */
enum rate_owner { RATE_ADDRESS, RATE_ACCOUNT };
struct rates *rates_new(void); /* NULL: no memory */
void rates_free(struct rates *r);
/* Counts one command; microseconds until the next one may run (0: at once). per_second 1 to 1,000,000. */
int64_t rate_take(struct rates *r, enum rate_owner owner, uint64_t id, int64_t per_second, int64_t burst);

/* loop.c */
struct error loop_start(struct loop *l);
void loop_post(struct connection *c, unsigned bit); /* any thread */
struct error loop_call(struct loop *l, void (*fn)(void *), void *arg);
void loop_stop(struct loop *l);
void loop_free(struct loop *l); /* behind loop_stop, or never started: its base and what still stands in its queue */

/* worker.c */
struct error pool_start(struct pool *p, int workers);
void pool_add(struct pool *p, struct connection *c);
struct error pool_call(struct pool *p, void (*fn)(void *), void *arg);
void pool_stop(struct pool *p);

#endif
