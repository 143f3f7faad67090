/* mail/smtp/internal.h -- one SMTP session; owned by whoever drives its connection */
#ifndef KANTOR_MAIL_SMTP_INTERNAL_H
#define KANTOR_MAIL_SMTP_INTERNAL_H

#include "core/account/sasl.h"
#include "core/net/service.h"
#include "core/options.h"
#include "core/server.h"
#include "mail/delivery/deliver.h"
#include "mail/filter/filter.h"
#include "mail/filter/sending.h"
#include "mail/smtp/path.h"
#include "mail/smtp/smtp.h"

enum { LINE_MAX_BYTES = 2048, AUTH_LINE_MAX = 12288, HEAD_MAX = 256 * 1024, TINY_CHUNKS_MAX = 10000, TINY_CHUNK = 1024 };
enum { BAD_COMMANDS_MAX = 20, IDLE_COMMANDS_MAX = 100, AUTH_ABORTS_FREE = 10, UNKNOWN_RCPTS_MAX = 20, UNKNOWN_RCPTS_FREE = 5 };
/* The whole of a command line, and of a message, may take that many times the idle time, a message a second more for each so many bytes. */
enum { STAGE_IDLE_TIMES = 2, SLOWEST_BYTES_A_SECOND = 512 };

enum { SMTP_FILTERS_MAX = 16 };

enum smtp_mode { MODE_COMMAND, MODE_AUTH, MODE_DATA, MODE_BDAT };
enum body_type { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };

/* Where the reader of DATA stands (RFC 5321 4.5.2): only CR LF . CR LF ends. */
enum data_state { DATA_LINE_START, DATA_TEXT, DATA_CR, DATA_DOT, DATA_DOT_CR, DATA_LF_START, DATA_LF_DOT };

/* What is wrong with a message: it is read to its end, then refused. */
enum { WRONG_SIZE = 1, WRONG_NUL = 2, WRONG_LINES = 4, WRONG_HEAD = 8 };

struct smtp_session {
    struct server *server;
    enum smtp_kind kind;
    enum smtp_mode mode;
    int bad_commands, idle_commands, unknown_rcpts, tiny_chunks, auth_aborts;
    int64_t stage_ms; /* when the last whole command came, or the message began: attacks.md SI-28 */
    char helo[256];
    int greeted, esmtp;

    int64_t account, credential; /* logged in */
    char login[256];
    struct arena sasl_arena;
    struct sasl *sasl;
    int sasl_last; /* the last challenge was sent: only the empty answer is missing */

    /* the transaction; its memory is `arena` */
    struct arena arena;
    int has_sender, bdat_started;
    struct slice sender;      /* canonical text, "" for <> */
    enum body_type body;
    int64_t size;             /* as MAIL declared it, or 0 */
    int flags;                /* DELIVERY_* */
    struct slice envid;
    struct delivery_rcpt *rcpts;
    size_t n_rcpts, room_rcpts;
    uint32_t *places;         /* recipient.c: finds a recipient by its address */
    size_t room_places;
    char job[24];
    /* filters.c */
    unsigned filters;         /* those wanted in this transaction */
    int filter_waits;         /* one of them waits for an answer: run goes on there */
    size_t filter_at;
    enum filter_stage filter_stage;
    enum run (*filtered)(struct connection *c); /* the command's second half */
    void *filter_states[SMTP_FILTERS_MAX];
    struct filter_mail mail;
    struct delivery_rcpt pending; /* RCPT: until the filters have said yes */
    size_t on_top;            /* bytes of the message that this server put in front of what came; of them the first line is Return-Path */
    size_t return_path;       /* its length */
    struct slice arrived;     /* the head before fields were taken away at the border; p NULL: none was */

    struct sending_count sending;   /* of the account, as MAIL found it */
    int sending_told;

    bool at_border;           /* the message comes from a stranger: fields that only this server may write are taken away */
    int on_behalf;            /* From holds an address on whose behalf the account sends */
    int64_t sent_for;         /* the shared mailbox that gets a copy in its Sent */

    /* the message that is coming in */
    struct message message;
    int receiving;
    enum data_state data;
    uint64_t chunk_left;
    int head_code; /* of WRONG_HEAD */
    const char *head_enhanced, *head_text;
    int chunk_last, wrong, discard; /* discard: the chunk is swallowed; a reply of an error was or will be given */
    struct buffer head;       /* until its empty line */
    size_t head_looked;       /* no empty line begins before this place */
    int head_done;
    int64_t received;         /* content bytes so far */
};

/* reply.c */
void smtp_reply(struct connection *c, int code, const char *enhanced, const char *text);
void smtp_reply_error(struct connection *c, struct error e);
/* commands.c */
void smtp_transaction_reset(struct smtp_session *s);
enum run smtp_bad(struct connection *c, int code, const char *enhanced, const char *text);
/* RUN_CLOSE, with its reply, when the stage that brought so many bytes is too slow. */
enum run smtp_slow(struct connection *c, int64_t bytes);
/* envelope.c */
enum run smtp_mail(struct connection *c, struct slice args);
bool smtp_has_8bit(struct slice s);
/* recipient.c */
enum run smtp_rcpt(struct connection *c, struct slice args);
/* sending.c: what an account may send. Its refusal was answered: false. */
bool smtp_sending_mail(struct connection *c);
bool smtp_sending_rcpt(struct connection *c);
void smtp_sending_refuse(struct connection *c, const struct sending_count *s);
/* filters.c: runs a stage, then `then`, which looks at s->mail.code; all of the session's filters may wait in between. */
enum run smtp_filters(struct connection *c, enum filter_stage stage, enum run (*then)(struct connection *c));
enum run smtp_filters_go_on(struct connection *c);
void smtp_filter_refuse(struct connection *c, struct slice rcpt);
void smtp_filters_reset(struct smtp_session *s);
void smtp_filters_close(struct smtp_session *s);
/* auth.c */
enum run smtp_auth(struct connection *c, struct slice args);
enum run smtp_auth_line(struct connection *c, struct slice line);
int smtp_auth_allowed(const struct connection *c);
struct sasl_context smtp_sasl_context(struct connection *c, struct arena *a);
/* data.c */
enum run smtp_data(struct connection *c, struct slice args);
enum run smtp_bdat(struct connection *c, struct slice args);
enum run smtp_data_more(struct connection *c);
enum run smtp_bdat_more(struct connection *c);
/* trace.c */
struct error trace_head(struct connection *c, struct smtp_session *s);

#endif
