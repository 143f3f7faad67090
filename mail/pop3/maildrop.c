/* mail/pop3/maildrop.c -- INBOX as POP3 sees it: locked for one session, frozen, changed at QUIT only (RFC 1939 3, 6)
 *
 * One session a mailbox at a time: two programs that fetch and delete at once would each bring every message, which the lock of RFC 1939 prevents. But a
 * phone that vanished in a tunnel must not lock out its owner until TCP gives up: whoever has been silent for timeout.pop3_takeover loses the maildrop to the next
 * login, and with it all marks; its next command is told so. Two that are both alive cannot meet: the second gets [IN-USE].
 */
#include <stdlib.h>

#include "core/clock.h"
#include "mail/pop3/internal.h"

enum { SESSIONS_MAX = 20000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct {
    int64_t account; /* 0: free */
    uint64_t token;
    int64_t active_ms;
} locked[SESSIONS_MAX];
static size_t n_touched; /* places that were ever used */
static uint64_t last_token;

static struct error take_lock(struct pop3_session *s)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    size_t place = SESSIONS_MAX;
    for (size_t i = 0; i < n_touched && (place == SESSIONS_MAX || locked[place].account == 0); i++)
        if (locked[i].account == s->account || (locked[i].account == 0 && place == SESSIONS_MAX))
            place = i;
    if (place == SESSIONS_MAX && n_touched < SESSIONS_MAX)
        place = n_touched++;
    if (place == SESSIONS_MAX)
        return error_make(ERROR_BUSY, "[SYS/TEMP] too many sessions");
    if (locked[place].account && clock_ms() - locked[place].active_ms < s->server->config->pop3_takeover)
        return error_make(ERROR_BUSY, "[IN-USE] another POP3 session has this mailbox");
    s->place = place;
    s->token = locked[place].token = ++last_token;
    locked[place].account = s->account;
    locked[place].active_ms = clock_ms();
    return OK;
}

static void give_lock(struct pop3_session *s)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    if (locked[s->place].token == s->token)
        locked[s->place].account = 0;
}

bool maildrop_alive(struct pop3_session *s)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    if (locked[s->place].token != s->token)
        return false;
    locked[s->place].active_ms = clock_ms();
    return true;
}

static struct error read_list(struct pop3_session *s, struct arena *a)
{
    struct collection inbox;
    struct item item;
    SCOPED(store_reader_return) struct sql *db = store_reader(s->server->store);
    TRY(collection_find(db, s->account, COLLECTION_MAILBOX, 0, SLICE("INBOX"), a, &inbox));
    s->collection = inbox.id;
    s->uidvalidity = inbox.uidvalidity;
    s->messages = calloc((size_t)inbox.n_all + 1, sizeof *s->messages);
    if (!s->messages)
        return error_make(ERROR_MEMORY, "no memory for the list of messages");
    SCOPED(item_scan_end) struct item_scan scan;
    item_scan_begin(db, inbox.id, 1, UINT32_MAX, -1, &scan);
    while (s->n < (size_t)inbox.n_all && item_next(&scan, &item)) {
        s->messages[s->n++] = (struct pop3_message){.uid = item.uid, .blob = item.blob, .size = item.size};
        s->bytes_left += item.size;
    }
    s->n_left = s->n;
    return item_scan_result(&scan);
}

struct error maildrop_open(struct pop3_session *s, struct arena *a)
{
    s->bytes_left = 0;
    TRY(take_lock(s));
    struct error e = read_list(s, a);
    if (e.code != ERROR_NONE)
        maildrop_close(s);
    return e;
}

void maildrop_close(struct pop3_session *s)
{
    if (!s->account)
        return;
    give_lock(s);
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
