/* mail/imap/fetch.h -- a FETCH, parsed: shared by fetch_args.c (reads it), fetch.c (walks the rows) and fetch_body.c (sections) */
#ifndef KANTOR_MAIL_IMAP_FETCH_H
#define KANTOR_MAIL_IMAP_FETCH_H

#include "mail/imap/internal.h"
#include "mail/mailbox/index.h"
#include "mail/mime/index.h"

enum { FETCH_ITEMS_MAX = 100, SECTION_DEPTH_MAX = 50, FIELDS_MAX = 200 };

enum fetch_kind { FETCH_UID, FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE, FETCH_ENVELOPE, FETCH_BODY, FETCH_BODYSTRUCTURE, FETCH_MODSEQ, FETCH_SECTION, FETCH_BINARY, FETCH_BINARY_SIZE };

struct fetch_item {
    enum fetch_kind kind;
    struct slice label; /* as the answer names it: "RFC822.TEXT", or empty: made from the section */
    uint32_t numbers[SECTION_DEPTH_MAX];
    size_t n_numbers;
    enum mime_section what;
    enum { FIELDS_ALL, FIELDS_ONLY, FIELDS_NOT } filter;
    struct slice *fields;
    size_t n_fields;
    int partial;
    uint64_t offset, length;
};

/* A large body on its way: what is left of its literal, and where its message goes on behind it. Nothing of it depends on rows that others may remove meanwhile. */
struct fetch_rest {
    int64_t blob, offset, left;
    struct item item;
    struct message_index index;
    size_t next; /* of items */
};

struct fetch {
    struct fetch_rest rest;
    struct arena *arena;      /* the request's */
    struct fetch_item *items; /* in it: a FETCH of one item should not pay for a hundred */
    size_t n, room;
    int by_uid;
    int sets_seen;    /* a section without PEEK */
    enum message_parts parts; /* what is needed of the rows of `mail`; 0: nothing */
    int64_t changed_since;
    int vanished;
    struct uid_set *uids; /* the session owns it: it outlives a step */
    struct keyword_map map;
    struct error failed; /* a part that could not be decoded: told when the walk is over */
    /* where the walk is */
    size_t range;        /* of uids */
    uint32_t next;       /* uid */
    size_t view_range;   /* the cursor in the view: */
    uint64_t view_before; /* messages before that range */
};

/* BODY[], RFC822: all the bytes, whatever parts they have. */
static inline bool fetch_is_whole(const struct fetch_item *x) { return x->n_numbers == 0 && x->what == SECTION_WHOLE && x->kind == FETCH_SECTION; }

struct error fetch_read_items(struct imap_session *s, struct imap_args *a, struct fetch *f);
/* Writes " BODY[1]<0> {5}\r\n…" of one message. `structure` may be empty: the blob is parsed. Of a large body only the beginning is written; *rest says what is left. */
struct error fetch_write_section(struct sql *db, const struct item *item, struct slice structure, const struct fetch_item *x, struct arena *a, struct fetch_rest *rest, struct buffer *out);
/* The next piece of it. */
struct error fetch_write_rest(struct sql *db, struct fetch_rest *rest, struct buffer *out);

#endif
