/* mail/imap/search.h -- a SEARCH as a program: shared by search_parse.c (reads it) and search.c (runs it over the rows) */
#ifndef KANTOR_MAIL_IMAP_SEARCH_H
#define KANTOR_MAIL_IMAP_SEARCH_H

#include "mail/imap/internal.h"

enum { SEARCH_KEYS_MAX = 200, SEARCH_DEPTH_MAX = 50 };
enum { RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8, RETURN_SAVE = 16 };

enum search_kind {
    KEY_AND, KEY_OR, KEY_NOT, /* of the keys below it */
    KEY_ALL, KEY_SET, KEY_FLAGS /* (flags & mask) == value */, KEY_KEYWORD, KEY_MODSEQ, KEY_LARGER, KEY_SMALLER,
    KEY_BEFORE, KEY_ON, KEY_SINCE, KEY_SENTBEFORE, KEY_SENTON, KEY_SENTSINCE,
    KEY_FROM, KEY_TO, KEY_CC, KEY_SUBJECT, /* from the index */
    KEY_HEADER, KEY_BODY, KEY_TEXT         /* from the message */
};

struct search_key {
    enum search_kind kind;
    uint32_t first, next; /* its first child, and its next brother; 0: none */
    int64_t mask, value;
    struct slice name, text; /* text is folded */
    struct uid_set *set;
};

struct search {
    struct search_key keys[SEARCH_KEYS_MAX + 1]; /* keys[0] is the AND over all */
    uint32_t n;
    int returns, extended; /* ESEARCH */
    int needs_index, uses_modseq;
    struct slice charset;
    struct uid_set sets[SEARCH_KEYS_MAX]; /* memory of the sets: freed by search_free */
    size_t n_sets;
    /* the walk */
    uint32_t next;
    struct uid_set found;
    int64_t modseq, first_modseq, last_modseq; /* the highest among what was found; of its first and last message */
};

struct error search_read(struct imap_session *s, struct imap_args *a, struct search *x);
void search_free(struct search *x);

#endif
