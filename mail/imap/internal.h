/* mail/imap/internal.h -- one IMAP session, and what the files of this folder share
 *
 * A handler returns OK or an error; the dispatcher writes the tagged reply. An error's text may begin with a response code ("[TRYCREATE] …"); else
 * the error's kind gives one (reply.c). A handler that cannot finish in one step sets s->more: it is called again when the client has drained
 * the output, with the same arena.
 */
#ifndef KANTOR_MAIL_IMAP_INTERNAL_H
#define KANTOR_MAIL_IMAP_INTERNAL_H

#include "core/account/sasl.h"
#include "core/cleanup.h"
#include "core/net/service.h"
#include "core/options.h"
#include "core/server.h"
#include "core/store/keyword.h"
#include "core/store/watch.h"
#include "mail/imap/args.h"
#include "mail/imap/imap.h"
#include "mail/mailbox/index.h"
#include "mail/mailbox/mailbox.h"

enum { COMMAND_MAX = 64 * 1024, COMMAND_MAX_BEFORE_LOGIN = 8 * 1024, TAG_MAX = 63, BAD_BEFORE_LOGIN_MAX = 10, STEP_MS = 20 };
enum { LINE_END_MAX = 1000 }; /* octets behind an APPEND's literal until its line must end */

enum { STATE_GREETED = 1, STATE_LOGGED_IN = 2, STATE_SELECTED = 4 };
enum { ENABLED_CONDSTORE = 1, ENABLED_QRESYNC = 2, ENABLED_UTF8 = 4, ENABLED_REV2 = 8 };

/* The mailbox a session has open. */
struct imap_box {
    int64_t collection;
    int64_t account; /* the mailbox's, not the session's: keywords are its */
    int read_only, rights;
    uint32_t uidvalidity, uidnext; /* uids below uidnext are in the view */
    int64_t modseq, gone_modseq;   /* flags and arrivals, and expunges, shown up to here */
    int64_t heard;                 /* the watch's number that has been looked at */
    int gone_pending;              /* expunges wait for a command that may tell them */
    struct uid_set view;           /* the session's numbering */
    struct uid_set told;           /* flags that a STORE has shown already, as of told_modseq */
    int64_t told_modseq;
    int64_t keywords;              /* announced in FLAGS */
    struct watch *watch;
};

struct imap_session;
struct search;
struct imap_row;
typedef struct error (*imap_handler)(struct connection *c, struct imap_session *s, struct imap_args *a);


struct imap_append {
    int active, discard; /* discard: the literal is swallowed, `failed` is answered behind it */
    uint64_t left;
    int64_t collection, account;
    struct slice *flags;
    size_t n_flags;
    int64_t received;
    int utf8; /* UTF8 (~{n}…): a ')' follows */
    struct message message;
    struct error failed;
};

struct imap_session {
    struct server *server;
    int state, enabled, bad;
    int64_t account;
    char login[256];
    struct arena sasl_arena;
    struct sasl *sasl;
    int sasl_last;

    char tag[TAG_MAX + 1];
    size_t scanned;       /* of the input: whole lines and literals of the running command */
    size_t promised;      /* literals up to here have had their "+" */
    size_t append_head;   /* the command is APPEND and its message begins here; 0: no */
    uint64_t append_size;
    int append_sync;
    const struct imap_row *row;
    imap_handler more;    /* the running command goes on here */
    void *more_state;
    const char *ok;       /* text of the tagged OK; default "done" */
    struct slice ok_code; /* "[…]" before it */
    int hold_expunge; /* the running command counts in message numbers though it is a UID command (RFC 7162 3.2.10.2) */
    int condstore_told; /* a first CONDSTORE enabling command has been answered with HIGHESTMODSEQ */
    int idling, want_tls, want_compress, compressed, logged_out;
    struct search *search; /* the running one; its memory is the command's arena, its sets are freed by search_drop */
    struct imap_append append;
    struct arena append_arena; /* of a running APPEND */
    struct imap_box box;
    struct uid_set saved; /* RFC 5182 $ */
    struct uid_set walking; /* of the running FETCH or SEARCH */
    struct arena walking_row; /* of the message whose large body a FETCH is sending */
};

struct imap_row {
    struct slice name;
    int states;
    imap_handler run;
    enum { BY_NUMBER, BY_UID } by;
    enum { ON_LOOP, ON_WORKER } place;
    enum { EXPUNGE_NO, EXPUNGE_OK } expunge; /* may EXPUNGE responses come with its answer (RFC 9051 7.5.1) */
    const char *capability;
    const char *specification;
};

/* commands.c */
const struct imap_row *imap_row_find(struct slice verb, struct slice second);
void imap_capabilities(struct connection *c, struct buffer *out);

/* reply.c */
void imap_tagged(struct connection *c, struct error e);
struct error imap_no(const char *text);
struct error imap_bad(const char *text);
struct error imap_internal(struct error e); /* what a handler passes on from the store, unchanged */

/* frame.c */
enum frame imap_frame(struct connection *c);
/* session_commands.c */
struct error imap_capability_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_noop_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_logout_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_id_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_enable_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_starttls_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_compress_run(struct connection *c, struct imap_session *s, struct imap_args *a);
/* session.c */
struct error imap_idle_run(struct connection *c, struct imap_session *s, struct imap_args *a);
void imap_box_close(struct imap_session *s);
struct actor imap_actor(const struct imap_session *s);
/* login.c */
struct error imap_login_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_authenticate_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_authenticate_line(struct connection *c, struct imap_session *s, struct slice line);
int imap_login_allowed(const struct connection *c);
struct sasl_context imap_sasl_context(struct connection *c, struct arena *a);
/* select.c */
struct error imap_select_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_close_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_unselect_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_status_run(struct connection *c, struct imap_session *s, struct imap_args *a);
/* Reads "(MESSAGES UNSEEN …)" to bits, and writes the pairs of a mailbox. */
struct error imap_status_items(struct imap_args *a, int *items);
void imap_status_write(struct imap_session *s, const struct mailbox *m, int items, struct buffer *out);
/* list.c */
struct error imap_list_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_lsub_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_namespace_run(struct connection *c, struct imap_session *s, struct imap_args *a);
/* mailbox_commands.c */
struct error imap_create_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_delete_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_rename_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_subscribe_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_unsubscribe_run(struct connection *c, struct imap_session *s, struct imap_args *a);
/* A mailbox argument: UTF-8, or modified UTF-7 unless UTF8=ACCEPT or rev2 are on; canonical. */
struct error imap_mailbox_arg(struct imap_session *s, struct imap_args *a, struct slice *path);
void imap_mailbox_write(const struct imap_session *s, struct slice path, struct buffer *out);
/* fetch.c, fetch_items.c */
struct error imap_fetch_run(struct connection *c, struct imap_session *s, struct imap_args *a);
/* store.c */
struct error imap_store_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_copy_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_move_run(struct connection *c, struct imap_session *s, struct imap_args *a);
struct error imap_expunge_run(struct connection *c, struct imap_session *s, struct imap_args *a);
/* append.c */
enum run imap_append_begin(struct connection *c);
enum run imap_append_more(struct connection *c);
void imap_append_drop(struct imap_session *s);
/* search.c */
void search_drop(struct imap_session *s);
struct error imap_search_run(struct connection *c, struct imap_session *s, struct imap_args *a);
/* sync.c */
enum imap_sync { SYNC_NO_EXPUNGE, SYNC_ALL };
struct error imap_sync(struct connection *c, struct imap_session *s, enum imap_sync how);
/* Another person's mailbox: may this session still read it? If not, says BYE (attacks.md IM-17). */
struct error imap_still_allowed(struct connection *c, struct imap_session *s);
/* The tagged OK gets [HIGHESTMODSEQ n] behind `code` (RFC 7162 3.2.7), when the client knows QRESYNC. */
struct error imap_highest_code(struct connection *c, struct imap_session *s);
/* *some: a message with \Deleted is there. Clients CLOSE and EXPUNGE mailboxes all day that have none: the writer need not hear of it. ERROR_DENIED without the right. */
struct error imap_look_for_deleted(struct imap_session *s, int *some);
void imap_expunged(struct imap_session *s, const struct uid_set *gone, struct buffer *out);
int imap_has_news(const struct imap_session *s);
/* The uids that a sequence-set argument names in this session's view. */
struct error imap_set_arg(struct imap_session *s, struct imap_args *a, int by_uid, struct uid_set *out);
void imap_flags_write(const struct keyword_map *map, int64_t flags, struct slice kw, struct buffer *out);

#endif
