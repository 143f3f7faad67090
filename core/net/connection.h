/* core/net/connection.h -- a client's connection, and who owns it
 *
 * Half-sync/half-async. A loop thread owns a connection while it waits; a worker owns it while a command runs; never both, and one
 * atomic state says who. The protocol gives two functions: `frame` looks at the input and says whether a whole command is there and
 * where it must run; `run` runs one command as straight-line blocking code (on a worker) and writes its reply into the output. After each
 * command the owner goes on with pipelined input until the socket would block, then gives the connection back.
 *
 *     static enum frame imap_frame(struct connection *c)  { ... return FRAME_WORKER; }        // a whole line is there
 *     static enum run   imap_run(struct connection *c)    { ... buffer_printf(&c->out, "%s OK done\r\n", tag); return RUN_NEXT; }
 *
 * What a protocol may touch: c->in (take what was consumed), c->out (add the reply), c->arena (reset by the driver before each frame), c->session
 * (its own memory), and the functions below. Only from frame, run, notice and close, which never run at the same time for one connection.
 *
 * A large body: `frame` returns FRAME_WORKER whenever c->want bytes are there (at most CONNECTION_INPUT_MAX) and `run` consumes
 * them piece by piece (into a blob_put); the loop never reads more than the input may hold, so a connection's memory is bounded.
 */
#ifndef KANTOR_CORE_NET_CONNECTION_H
#define KANTOR_CORE_NET_CONNECTION_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "core/arena.h"
#include "core/buffer.h"
#include "core/error.h"

enum {
    CONNECTION_INPUT_MAX = 128 * 1024,  /* bytes of unconsumed input */
    CONNECTION_OUTPUT_HIGH = 64 * 1024 /* past this a handler returns RUN_MORE; what stays below is still in the core's cache when it is sent */
};

enum frame {
    FRAME_MORE,   /* nothing whole yet: wait for input */
    FRAME_LOOP,   /* a command that needs neither disk nor hash: run it here, wherever we are */
    FRAME_WORKER, /* a command for a worker */
    FRAME_CLOSE   /* flush the output, then close */
};

enum run {
    RUN_NEXT,    /* done: look for the next command */
    RUN_MORE,    /* the output is past its high-water mark: call run again (same command) when the client has drained it */
    RUN_PARK,    /* nothing to say now (IDLE): go on when input or a notice comes; the arena does not stay (4 KB for each of 10,000) */
    RUN_TLS,     /* the reply was written: flush it, then do the handshake; leftover input is refused (the connection closes) */
    RUN_COMPRESS,/* the reply was written: flush it, then DEFLATE both ways (RFC 4978) */
    RUN_WAIT,    /* asked somebody (DNS, a filter, another server): call run again (same command, same arena) once connection_answered was called; no worker waits */
    RUN_DELAY,   /* hold the output and the next command for c->delay_ms (a failed login), no worker waits meanwhile */
    RUN_CLOSE    /* flush, then close */
};

struct connection;

/* A protocol on connections. */
struct protocol {
    const char *name; /* "imap": log and metrics */
    /* Allocates c->session and writes the greeting into c->out. Loop thread. After TLS where implicit. ERROR_BUSY: say nothing, close. */
    struct error (*open)(struct connection *c);
    /* Looks only; a FRAME_MORE may set c->want. Loop or worker. Must cope with any cut of the input, and bound it: an endless line is answered and FRAME_CLOSE. */
    enum frame (*frame)(struct connection *c);
    enum run (*run)(struct connection *c); /* worker, or loop after FRAME_LOOP */
    /* connection_notice was called (a watched mailbox changed, a deadline of the session): the connection is idle. May write. Worker. */
    enum run (*notice)(struct connection *c);
    /* Handshake after RUN_TLS finished: forget what was said before (RFC 3207 4.2). Loop. NULL allowed. */
    void (*secured)(struct connection *c);
    /* Writes the farewell for the reason: CLOSE_IDLE "* BYE Autologout", CLOSE_SHUTDOWN "421 4.3.2", ... into c->out. NULL allowed. Loop. */
    void (*farewell)(struct connection *c, int reason);
    /* Frees the session. Any thread, the last call. */
    void (*close)(struct connection *c);
    /* Outgoing connections: the client's SSL (without descriptor) for RUN_TLS or a connection that begins with TLS; NULL ends it. Worker or loop. */
    struct ssl_st *(*tls)(struct connection *c);
};

enum close_reason { CLOSE_PEER, CLOSE_IDLE, CLOSE_SHUTDOWN, CLOSE_LIMIT, CLOSE_ERROR, CLOSE_KILLED };

struct listener; /* core/net/service.h */
struct net;

struct connection {
    /* --- the protocol's */
    struct buffer in;   /* decoded (after TLS and inflate) */
    struct buffer out;  /* before deflate and TLS */
    size_t want;        /* do not call run/frame again before so many input bytes are there; reset to 0 before each frame */
    struct arena arena; /* of the running command, and of RUN_MORE's steps; gone before the next frame or notice */
    void *session;
    int64_t delay_ms; /* for RUN_DELAY */
    int64_t idle_ms;  /* closes with CLOSE_IDLE after so long without input; the protocol may change it (login, IDLE). Default from the service */
    /* --- read only for the protocol */
    const struct protocol *protocol;
    const struct listener *listener;
    struct net *net;
    char id[12];          /* one word for the log */
    char peer[64];        /* the client's address as text, after PROXY where trusted */
    int peer_port;
    int loopback;         /* peer and local address are loopback */
    int tls;              /* encrypted now */
    int input_ended;      /* the peer sends no more */
    int early_input;      /* bytes were there before the greeting (attacks.md SI-24) */
    int outgoing;         /* we opened it (core/net/outgoing.h) */
    char why[160];        /* outgoing: why it ended, where core/net knows ("connection refused"); for close */
    /* --- core/net's own: connection_internal in internal.h */
    struct connection_inner *inner;
};

/* Makes `notice` run soon, once for any number of calls. Any thread, also the writer's (it only posts). The connection must be alive: whoever holds a pointer
 * (a watch) leaves before `close` returns. */
void connection_notice(struct connection *c);

/* The answer that RUN_WAIT waits for is there. Any thread; the connection must be alive, as for connection_notice. Also before run has returned RUN_WAIT; answers that
 * nobody waits for are forgotten at the next RUN_WAIT's end. */
void connection_answered(struct connection *c);

/* A command of the client's is about to run: counts against what its account, or before login its address, may give in a second (net_options). Past that the driver
 * sends this command's reply and holds the next one back, without a worker. Called once a command, not for pieces of a body. From run. */
void connection_command(struct connection *c);

/* A line of HTTP that somebody's page made a browser send to a line protocol (attacks.md SI-23): close, what follows would be read as commands. Any thread. */
bool connection_line_is_http(struct slice line);

/* Channel binding of the TLS connection (RFC 9266, 5929); empty slices where there is none; in the arena. Worker or loop while owned. */
void connection_bindings(struct connection *c, struct arena *a, struct slice *exporter, struct slice *unique, struct slice *endpoint);
/* "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits)" for Received, NULL without TLS. */
const char *connection_tls_text(struct connection *c, struct arena *a);
/* The name the session logged in as: shown by `kantorctl sessions`, counted for the limit by account. ERROR_LIMIT when the account has too many: the
 * protocol refuses the login with [LIMIT]. Call with account 0 to log out. */
struct error connection_login(struct connection *c, int64_t account, struct slice name);

#endif
