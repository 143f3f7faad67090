/* mail/pop3/maildrop.c -- INBOX as POP3 sees it: locked for one session, frozen, changed at QUIT only (RFC 1939 3, 6) */
#include <stdlib.h>

#include "mail/pop3/internal.h"

enum { SESSIONS_MAX = 20000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t locked[SESSIONS_MAX]; /* accounts with a session; freed at once when its connection goes */
static size_t n_locked;

static struct error take_lock(int64_t account)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    for (size_t i = 0; i < n_locked; i++)
        if (locked[i] == account)
            return error_make(ERROR_BUSY, "[IN-USE] another POP3 session has this mailbox");
    if (n_locked == SESSIONS_MAX)
        return error_make(ERROR_BUSY, "[SYS/TEMP] too many sessions");
    locked[n_locked++] = account;
    return OK;
}

static void give_lock(int64_t account)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    for (size_t i = 0; i < n_locked; i++)
        if (locked[i] == account) {
            locked[i] = locked[--n_locked];
            return;
        }
}

static struct error read_list(struct pop3_session *s, struct arena *a)
{
    struct collection inbox;
    struct item item;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(collection_find_role(db, s->account, COLLECTION_MAILBOX, ROLE_INBOX, a, &inbox));
    s->collection = inbox.id;
    s->uidvalidity = inbox.uidvalidity;
    s->messages = calloc((size_t)inbox.n_all + 1, sizeof *s->messages);
    if (!s->messages)
        return error_make(ERROR_MEMORY, "no memory for the list of messages");
    SCOPED(item_scan_end) struct item_scan scan;
    item_scan_begin(db, inbox.id, 1, UINT32_MAX, -1, &scan);
    while (s->n < (size_t)inbox.n_all && item_next(&scan, &item))
        s->messages[s->n++] = (struct pop3_message){.uid = item.uid, .blob = item.blob, .size = item.size};
    return item_scan_result(&scan);
}

struct error maildrop_open(struct pop3_session *s, struct arena *a)
{
    TRY(take_lock(s->account));
    struct error e = read_list(s, a);
    if (e.code != ERROR_NONE)
        maildrop_close(s);
    return e;
}

void maildrop_close(struct pop3_session *s)
{
    if (!s->account)
        return;
    give_lock(s->account);
    free(s->messages);
    s->messages = NULL;
    s->n = 0;
    s->account = 0;
}

struct removing {
    struct pop3_session *s;
    struct uid_set uids;
};

static struct error remove_change(struct sql *db, void *arg)
{
    struct removing *r = arg;
    return item_expunge(db, (struct actor){r->s->account, 0}, r->s->collection, &r->uids, 0, NULL);
}

struct error maildrop_update(struct pop3_session *s)
{
    struct removing r = {.s = s};
    for (size_t i = 0; i < s->n; i++)
        if (s->messages[i].deleted)
            uid_set_add(&r.uids, s->messages[i].uid, s->messages[i].uid);
    struct error e = r.uids.n ? store_change(s->server->store, remove_change, &r) : OK;
    uid_set_free(&r.uids);
    return e;
}
