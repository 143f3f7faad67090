/* core/kantorctl/sender.h -- messages from files to the server, a piece at a time
 *
 *     sender_begin(&s, "message 17", SENDER_LINES);
 *     sender_data(&s, piece) ...;
 *     sender_end(&s, &about);
 *
 * What a source finds malformed it tells with sender_skip; it is shown with its place and counted, and the work goes
 * on.
 */
#ifndef KANTOR_CORE_KANTORCTL_SENDER_H
#define KANTOR_CORE_KANTORCTL_SENDER_H

#include "core/kantorctl/call.h"
#include "core/kantorctl/progress.h"

enum { SENDER_LABELS = 2048, SENDER_LABEL_BYTES = 120, SENDER_FLAGS_MAX = 128 };
enum sender_form { SENDER_LINES, SENDER_EXACT }; /* EXACT: no line end is touched */

struct sender {
    struct call *call;
    struct progress progress;
    int64_t number; /* of the message that is coming, as the server counts */
    int64_t skipped;
    struct buffer piece;                /* bytes of the message that are not sent yet */
    char (*labels)[SENDER_LABEL_BYTES]; /* of the last messages: the server names one by its number */
};

/* What is known about a message beside its bytes. */
struct about {
    struct slice mailbox;
    int64_t received; /* 0: from its header */
    struct slice flags[SENDER_FLAGS_MAX];
    size_t n_flags;
    int drop; /* it turned out to be none */
};
void about_flag(struct about *about, struct slice name);

struct error sender_open(struct sender *s, struct call *call);
void sender_close(struct sender *s);
struct error sender_begin(struct sender *s, const char *label, enum sender_form form);
struct error sender_data(struct sender *s, struct slice bytes);
struct error sender_end(struct sender *s, const struct about *about);
void sender_skip(struct sender *s, const char *label, const char *why);
/* A frame about a mailbox or an account. */
struct error sender_file(struct sender *s, struct slice json);
/* No more come: waits for the result. The status of the whole. */
int sender_finish(struct sender *s);

/* --- sources. `path` is opened here; messages of its root go to `mailbox`, deeper ones below it or, where `under` is
 * given, below that. */
struct source {
    const char *path;
    struct slice mailbox, under; /* p NULL: INBOX; no prefix */
};
struct error import_mbox(struct sender *s, const struct source *source);
struct error import_maildir(struct sender *s, const struct source *source);
struct error import_eml(struct sender *s, const struct source *source);
/* What `account export` wrote, account.json first. The status of the whole. */
int import_account(struct call *call, const char *path);
/* The mailbox's name for a level below the root: "Work/Old" → under + "/" + it. In the arena. */
struct slice source_mailbox(const struct source *source, struct slice below, struct arena *a);

#endif
