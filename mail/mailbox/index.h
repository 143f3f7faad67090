/* mail/mailbox/index.h -- what is derived from a message's bytes, once for each blob
 *
 * Computed by a worker before the change (message_prepare), stored with the blob by the change, never touched again: listing a mailbox reads these
 * rows and never opens a body. Everything here can be made again from the blobs (message_index_mend, used by `kantorctl check --repair`).
 */
#ifndef KANTOR_MAIL_MAILBOX_INDEX_H
#define KANTOR_MAIL_MAILBOX_INDEX_H

#include "core/store/blob.h"
#include "core/store/item.h"
#include "core/store/keyword.h"

/* A sort text shorter than this is the whole field. */
enum { MESSAGE_KEY_WHOLE = 2048 };

struct message_index {
    int64_t sent;            /* Date: field as the sender's civil time (its day is the day SENTON means); 0 when there is none that can be read */
    struct slice envelope;   /* IMAP ENVELOPE as sent */
    struct slice bodystructure; /* IMAP BODYSTRUCTURE as sent, with extension data */
    struct slice structure;  /* mail/mime/index.h: the part tree with offsets, for BODY[1.2] and BODY */
    struct slice sortkey;    /* folded From, To, Cc, base subject as display text, each ended by NUL: SORT and SEARCH */
    struct slice refs;       /* 64-bit hashes of Message-ID, In-Reply-To, References */
    struct slice preview;    /* RFC 8970, at most 200 characters */
};

/* A message ready to be put: bytes hashed (and synced, when large), parsed once. */
struct message {
    struct blob_put put;
    struct message_index index;
    int64_t blob;  /* after message_enter */
};

/* After blob_put_end(&m->put): parses and derives. Texts in the arena. Never fails on real mail; ERROR_MEMORY. Thread: worker. */
struct error message_prepare(struct message *m, struct arena *a);
/* In a change: the blob and, when it is new, its index row. */
struct error message_enter(struct sql *db, struct message *m, int64_t *blob);

/* The row of a blob; slices in the arena. ERROR_NOT_FOUND: not indexed (yet): the caller reads the blob. */
struct error message_index_get(struct sql *db, int64_t blob, struct arena *a, struct message_index *out);

/* Rows of a mailbox joined with that of their index which `parts` names; slices valid until the next call. A message that is not indexed has NULL slices. */
enum message_parts {
    MESSAGE_TEXTS = 1,     /* envelope, bodystructure */
    MESSAGE_STRUCTURE = 2, /* structure */
    MESSAGE_BOTH = 3,
    MESSAGE_KEYS = 4       /* sent, sortkey */
};
struct message_scan {
    struct sql_stmt *st;
    enum message_parts parts;
};
void message_scan_begin(struct sql *db, int64_t collection, uint32_t lo, uint32_t hi, int64_t after, enum message_parts parts, struct message_scan *scan);
bool message_next(struct message_scan *scan, struct item *item, struct message_index *index);
struct error message_scan_result(struct message_scan *scan);
void message_scan_end(struct message_scan *scan);

/* What is derived of these bytes; texts in the arena. ERROR_MEMORY. Thread: any. */
struct error message_index_make(struct slice bytes, struct arena *a, struct message_index *out);

/* What the row of a blob would hold, from its bytes: for a message that is not indexed yet. Texts in the arena. */
struct error message_derive(struct sql *db, int64_t blob, struct arena *a, struct message_index *out);

/* For store_check: is the row of a blob what its bytes say? Mends it: parsed by the calling worker, written in a change. ERROR_NOT_FOUND: no such blob. */
struct error message_index_look(struct sql *db, int64_t blob, struct arena *a, enum derived *state);
struct error message_index_mend(struct store *s, int64_t blob);

#endif
