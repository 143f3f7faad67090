/* mail/delivery/list_internal.h -- what the files of lists share: one post that is being worked on */
#ifndef KANTOR_MAIL_DELIVERY_LIST_INTERNAL_H
#define KANTOR_MAIL_DELIVERY_LIST_INTERNAL_H

#include "mail/delivery/list.h"

struct list_job {
    struct store *store;
    const struct list_around *around;
    struct arena *arena; /* of this post */
    struct post post;
    struct list list;
    struct account account;
    struct address own; /* the list's primary address */
    const char *name;   /* its text */
    struct slice author, author_name; /* of the post: its one From, canonical, or empty; the name as it stands there */
    bool author_ours;                 /* his domain is served here: what leaves is signed for it */
};

/* list_head.c: LOCAL-ending@DOMAIN; the list's envelope sender. NULL: no memory. */
char *list_address(const struct list_job *j, const char *ending);
char *list_sender(const struct list_job *j);
/* The head of the list's message, from the head of the post (its empty line is not part of either). */
void list_head_write(const struct list_job *j, struct slice head, struct buffer *out);

/* list_mail.c: a short mail of the list itself to one address, in one change with `also`; it never has an answer. */
struct list_notice {
    const char *to, *subject, *text; /* text: lines with LF */
    const char *reply_to;            /* or NULL: the owner, by From */
    struct error (*also)(struct sql *db, void *arg);
    void *arg;
};
struct error list_tell(const struct list_job *j, const struct list_notice *notice);
/* The post itself to the list's owner, in one change with its removal. */
struct error list_to_owner(const struct list_job *j);
/* For `also`: arg is the list_job; the post goes, ERROR_NOT_FOUND when somebody else was faster. */
struct error list_post_done(struct sql *db, void *list_job);
struct error list_post_told(struct sql *db, void *list_job);
/* All bytes of the post into a new put, from `from` on; scratch memory only. */
struct error list_copy_from(const struct list_job *j, int64_t from, struct blob_put *put);
/* Its first bytes (head, report). */
struct error list_read_first(const struct list_job *j, struct slice *bytes);

/* list_service.c: the author of a post's head; bounces, and members who leave. */
struct error list_author(struct list_job *j, struct slice head);
struct error list_bounced(const struct list_job *j);
struct error list_leave(struct list_job *j);

#endif
