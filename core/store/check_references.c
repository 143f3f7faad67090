/* core/store/check_references.c -- rows that name a row which is not there: a table of what to look for, how to say it, how to mend it */
#include "core/cleanup.h"
#include "core/store/check_internal.h"

#define NO_ACCOUNT " NOT IN (SELECT id FROM account)"
#define NO_COLLECTION " NOT IN (SELECT id FROM collection)"
#define NO_BLOB " NOT IN (SELECT id FROM blob)"

/* `mend` NULL: an administrator must decide; the sentence says what he can do. Nothing here removes mail. */
static const struct reference {
    const char *count, *sentence, *mend;
} references[] = {
    {"SELECT count(*) FROM address WHERE kind < 2 AND account" NO_ACCOUNT, "addresses lead to an account that does not exist", "DELETE FROM address WHERE kind < 2 AND account" NO_ACCOUNT},
    {"SELECT count(*) FROM address WHERE domain NOT IN (SELECT id FROM domain)", "addresses belong to a domain that does not exist", "DELETE FROM address WHERE domain NOT IN (SELECT id FROM domain)"},
    {"SELECT count(*) FROM member WHERE account" NO_ACCOUNT " OR (member <> 0 AND member" NO_ACCOUNT ")", "memberships name a group or a member that does not exist",
     "DELETE FROM member WHERE account" NO_ACCOUNT " OR (member <> 0 AND member" NO_ACCOUNT ")"},
    {"SELECT count(*) FROM credential WHERE account" NO_ACCOUNT, "passwords belong to an account that does not exist", "DELETE FROM credential WHERE account" NO_ACCOUNT},
    {"SELECT count(*) FROM keyword WHERE account" NO_ACCOUNT, "keywords belong to an account that does not exist", "DELETE FROM keyword WHERE account" NO_ACCOUNT},
    {"SELECT count(*) FROM subscription WHERE account" NO_ACCOUNT, "subscriptions belong to an account that does not exist", "DELETE FROM subscription WHERE account" NO_ACCOUNT},
    {"SELECT count(*) FROM acl WHERE account" NO_ACCOUNT " OR grantee" NO_ACCOUNT " OR (collection <> 0 AND collection" NO_COLLECTION ")", "grants name an account or a mailbox that does not exist",
     "DELETE FROM acl WHERE account" NO_ACCOUNT " OR grantee" NO_ACCOUNT " OR (collection <> 0 AND collection" NO_COLLECTION ")"},
    {"SELECT count(*) FROM collection WHERE parent > 0 AND parent" NO_COLLECTION, "mailboxes stand under a mailbox that does not exist",
     "UPDATE collection SET name = name || '-' || id, parent = 0 WHERE parent > 0 AND parent" NO_COLLECTION},
    {"SELECT count(*) FROM item WHERE collection" NO_COLLECTION, "messages stand in a mailbox that does not exist; restore the account from a backup, they stay as they are", NULL},
    {"SELECT count(*) FROM gone WHERE blob IS NOT NULL AND blob" NO_BLOB, "kept versions have no content any more", "UPDATE gone SET blob = NULL WHERE blob IS NOT NULL AND blob" NO_BLOB},
    {"SELECT count(*) FROM blobhash h LEFT JOIN blob b ON b.id = h.blob WHERE b.id IS NULL OR b.hash <> h.hash", "hashes lead to no content or to a wrong one",
     "DELETE FROM blobhash WHERE hash IN (SELECT h.hash FROM blobhash h LEFT JOIN blob b ON b.id = h.blob WHERE b.id IS NULL OR b.hash <> h.hash)"},
    {"SELECT count(*) FROM doomed WHERE blob" NO_BLOB, "contents marked for removal do not exist", "DELETE FROM doomed WHERE blob" NO_BLOB},
    {"SELECT count(*) FROM mail WHERE blob" NO_BLOB, "indexes of messages have no content", "DELETE FROM mail WHERE blob" NO_BLOB},
    {"SELECT count(*) FROM upload WHERE blob" NO_BLOB, "uploads have no content", "DELETE FROM upload WHERE blob" NO_BLOB},
    {"SELECT count(*) FROM queue WHERE blob" NO_BLOB, "messages of the queue have no content; `kantorctl queue list` and `queue delete` take them out", NULL},
    {"SELECT count(*) FROM post WHERE blob" NO_BLOB " OR list NOT IN (SELECT account FROM list)", "posts of lists have no content or no list", "DELETE FROM post WHERE blob" NO_BLOB " OR list NOT IN (SELECT account FROM list)"},
    {"SELECT count(*) FROM forward WHERE account" NO_ACCOUNT, "forwards belong to an account that does not exist", "DELETE FROM forward WHERE account" NO_ACCOUNT},
    {"SELECT count(*) FROM list WHERE account" NO_ACCOUNT, "lists belong to an account that does not exist", "DELETE FROM list WHERE account" NO_ACCOUNT},
    {"SELECT count(*) FROM rcpt WHERE queue NOT IN (SELECT id FROM queue)", "recipients belong to no message of the queue", "DELETE FROM rcpt WHERE queue NOT IN (SELECT id FROM queue)"},
    {"SELECT count(*) FROM change WHERE first > modseq OR prev >= modseq OR cprev >= modseq OR lo > hi", "rows of the change log are damaged",
     "DELETE FROM change WHERE first > modseq OR prev >= modseq OR cprev >= modseq OR lo > hi"},
};

static struct error mend(struct sql *db, void *arg)
{
    const struct reference *r = arg;
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, r->mend);
    return sql_run(st);
}

static struct error count(struct store *s, const char *literal, int64_t *n)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(s);
    SCOPED(sql_done) struct sql_stmt *st = sql_use(db, literal);
    *n = sql_row(st) ? sql_int(st, 0) : 0;
    return sql_result(st);
}

struct error check_references(struct checking *k)
{
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        struct reference r = references[i];
        int64_t n;
        TRY(count(k->store, r.count, &n));
        if (n == 0)
            continue;
        check_found(k, "%lld %s", (long long)n, r.sentence);
        if (r.mend && check_mends(k))
            TRY(store_change(k->store, mend, &r));
    }
    return OK;
}
