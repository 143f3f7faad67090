/* mail/pop3/internal.h -- one POP3 session: a maildrop that is frozen at login */
#ifndef KANTOR_MAIL_POP3_INTERNAL_H
#define KANTOR_MAIL_POP3_INTERNAL_H

#include "core/account/sasl.h"
#include "core/cleanup.h"
#include "core/net/service.h"
#include "core/options.h"
#include "core/server.h"
#include "core/store/item.h"
#include "mail/pop3/pop3.h"

enum { POP3_LINE_MAX = 512, POP3_AUTH_MAX = 16384, POP3_BAD_MAX = 20 };

struct pop3_message {
    uint32_t uid;
    int deleted;
    int64_t blob, size;
};

struct pop3_session {
    struct server *server;
    int bad;
    struct slice user;
    char user_bytes[320];
    int64_t account;
    struct arena sasl_arena;
    struct sasl *sasl;
    int sasl_last, want_tls;

    int utf8; /* UTF8 was said: then STLS is out of order (RFC 6856 2.1) */

    /* the maildrop */
    int64_t collection;
    uint32_t uidvalidity;
    struct pop3_message *messages;
    size_t n, n_left; /* n_left, bytes_left: not marked for removal */
    int64_t bytes_left;
    size_t place;   /* in the table of locks */
    uint64_t token; /* what stands there while the lock is ours */

    /* LIST and UIDL in steps */
    size_t listing; /* the next place + 1; 0: none */
    int list_uids;

    /* RETR and TOP in steps */
    size_t sending; /* its place + 1; 0: none */
    int64_t offset;
    uint64_t body_lines;         /* of TOP still to send; UINT64_MAX: all */
    int in_head;
    enum { ENDING_NONE, ENDING_CR, ENDING_CRLF } ending; /* what was sent last */
    enum pop3_line { LINE_EMPTY, LINE_CR, LINE_TEXT } line; /* what of the current line went out: a line may come in two pieces */
};

void pop3_ok(struct connection *c, const char *text);
enum run pop3_err(struct connection *c, const char *text);

/* maildrop.c: takes the lock, reads the list. ERROR_BUSY: [IN-USE]. */
struct error maildrop_open(struct pop3_session *s, struct arena *a);
/* A sign of life of this session. False: it was silent for so long that another one took the maildrop. */
bool maildrop_alive(struct pop3_session *s);
void maildrop_close(struct pop3_session *s);
/* Removes what was marked. Worker. */
struct error maildrop_update(struct pop3_session *s);

/* retrieve.c: begins RETR, or TOP with so many lines of the body; -ERR when the message cannot be read (removed for good meanwhile). */
enum run retrieve_begin(struct connection *c, const struct pop3_message *m, uint64_t body_lines);
/* The next step; RUN_NEXT when the message is through. */
enum run retrieve_step(struct connection *c);

#endif
