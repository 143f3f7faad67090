/* mail/delivery/list.h -- lists: what is taken for them, and how it is distributed
 *
 * The delivery's change only decides (may he post, is it in a loop, is it moderated) and writes a row of `post` with the message: that is what "250" promises, and
 * who may not post hears it in the session (no mail goes back to forged senders). A worker then makes the list's own message of it (fields of RFC 2369, 2919,
 * 8058's forerunner by mailto, prefix, Reply-To) and delivers that to all members in the change that removes the row: each post is distributed once.
 * It leaves with an envelope sender of the list: what comes back is counted by the list, never told to the author. Its Delivered-To is the mark
 * against loops: a list that is its own member, directly or through other servers, ends there.
 *
 * Docs: docs/decisions/0047-lists.md.
 */
#ifndef KANTOR_MAIL_DELIVERY_LIST_H
#define KANTOR_MAIL_DELIVERY_LIST_H

#include "core/account/list.h"
#include "mail/delivery/deliver.h"
#include "mail/trace/trace.h"

/* In the delivery's change. ERROR_DENIED: who may not post; ERROR_LOOP. `marked`: it left for this address before; `automatic`: Auto-Submitted says it is an answer. */
struct list_arrival {
    const struct delivery *d;
    const struct delivery_rcpt *r;
    int64_t blob;
    bool marked, automatic;
    struct trace *trace;
    struct arena *scratch;
};
struct error list_take(struct sql *db, const struct list_arrival *x, const struct resolved_list *to);
/* At RCPT TO: the same question without a message. */
struct error list_check(struct sql *db, const struct resolved_list *to, struct slice sender, int64_t submitter, struct arena *a);

/* Whom to wake when a post was taken: called behind the commit, on a worker; must only see to it that list_work runs soon. Before threads. */
void list_wake_by(void (*wake)(void *arg), void *arg);
void list_wake(void);

/* Distributes what is ready, tells moderators, counts bounces, lets members leave. One at a time in the process (a second call makes the first look again). A
 * post that fails for a passing reason stays. Thread: worker, without a reader. */
struct list_around {
    const char *hostname;
    int64_t lifetime_s; /* in the queue */
};
void list_work(struct store *s, const struct list_around *around);

/* The moderator said no: the post goes; its sender is told, unless `reason` has p NULL. ERROR_NOT_FOUND. Thread: worker, without a reader. */
struct error list_reject(struct store *s, const struct list_around *around, int64_t post, struct slice reason);

#endif
