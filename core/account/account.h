/* core/account/account.h -- domains, accounts, addresses, groups
 *
 * An account is a person, a group, a shared mailbox, a room or a piece of equipment. Addresses map to accounts; a group's members are
 * accounts or foreign addresses, nested to depth 10. Functions that read take a reader or a change's connection; those that write run
 * inside a change. Names: local parts are compared without ASCII case in NFC, domains as lower-case A-labels (address_parse does both).
 */
#ifndef KANTOR_CORE_ACCOUNT_ACCOUNT_H
#define KANTOR_CORE_ACCOUNT_ACCOUNT_H

#include <stdbool.h>

#include "core/store/collection.h"
#include "core/store/store.h"

enum account_kind { ACCOUNT_PERSON = 1, ACCOUNT_GROUP, ACCOUNT_SHARED, ACCOUNT_ROOM, ACCOUNT_EQUIPMENT };
/* REMOVED: no login, no mail, everything kept until a date (account_restore brings it back), its addresses stay reserved. DELETED: for good; the row and its id stay, so
 * the id never comes again. Stored, never renumbered. */
enum account_state { ACCOUNT_ACTIVE, ACCOUNT_SUSPENDED, ACCOUNT_DELETED, ACCOUNT_REMOVED };
static inline int account_is_gone(enum account_state state) { return state == ACCOUNT_DELETED || state == ACCOUNT_REMOVED; }
enum domain_state { DOMAIN_ACTIVE, DOMAIN_SUSPENDED };

struct account {
    int64_t id, domain;
    enum account_kind kind;
    enum account_state state;
    struct slice name;    /* the whole primary address, canonical: budi@kantor.example */
    struct slice title;   /* what people read: Budi Santoso */
    int64_t used, items;  /* bytes and number of all its items */
    int64_t quota, quota_items; /* 0: none */
    int64_t until;              /* REMOVED: when it is deleted */
};

struct domain {
    int64_t id;
    enum domain_state state;
    struct slice name;
    struct slice alias_of; /* domain_list and domain_row: every address of that domain exists in this one, too; or empty */
};

/* --- addresses in canonical form */

struct address {
    struct slice local, domain; /* NFC, ASCII lower case; A-label lower case */
};
/* "Budi+news@KANTOR.example." → budi+news, kantor.example. Quoted local parts are unquoted. ERROR_INVALID. Result in the arena. */
struct error address_parse(struct slice text, struct arena *a, struct address *out);
/* local@domain, the local part quoted when it must be (RFC 5321 4.1.2). */
char *address_text(const struct address *address, struct arena *a);

/* --- domains */
/* What an address of this domain means: follows an alias to the domain behind it. `name` canonical. */
struct error domain_find(struct sql *db, struct slice name, struct arena *a, struct domain *out);
struct error domain_row(struct sql *db, struct slice name, struct arena *a, struct domain *out); /* the row of this very name */
struct error domain_list(struct sql *db, struct arena *a, struct domain **all, size_t *n);
struct error domain_add(struct sql *db, struct slice name, int64_t *id);
struct error domain_remove(struct sql *db, int64_t id); /* ERROR_CONFLICT while accounts or aliases stand in it */
/* Every address of `target` (a domain, not an alias) exists at `name`, too. ERROR_EXISTS, ERROR_NOT_FOUND, ERROR_INVALID. */
struct error domain_alias_add(struct sql *db, struct slice name, struct slice target);

/* --- accounts */
struct error account_get(struct sql *db, int64_t id, struct arena *a, struct account *out);
/* By primary address or alias (canonical), persons and all other kinds; no plus-addressing, no catch-all. What a login name means. */
struct error account_find(struct sql *db, struct slice address, struct arena *a, struct account *out);
struct error account_list(struct sql *db, int64_t domain, struct arena *a, struct account **all, size_t *n); /* domain 0: all */
/* Makes the account, its primary address and, for persons and shared mailboxes, the default mailboxes INBOX, Drafts, Sent, Trash, Junk,
 * Archive (with roles, subscribed: clients.md I4, I29). */
struct error account_add(struct sql *db, struct actor who, enum account_kind kind, const struct address *primary, struct slice title, int64_t *id);
/* prefix1@domain to prefixN@domain, persons with one password hash (empty: none; no SCRAM keys: 100,000 rounds for each would take minutes), in batches of 50
 * a change; names that stand are passed over. Not inside a change. *added also after a failure: those that are durable. Thread: worker. */
struct error account_add_many(struct store *store, struct slice prefix, int64_t count, struct slice domain, struct slice hash, int64_t *added);
/* ACCOUNT_DELETED is for good: its addresses (free for others at once), credentials, memberships and grants go; mail goes with account_purge. ERROR_NOT_FOUND. */
struct error account_set_state(struct sql *db, int64_t id, enum account_state state);
/* Until `until` it can be brought back; nobody logs in and no mail is taken. account_restore: ERROR_CONFLICT when it was not removed. */
struct error account_remove(struct sql *db, int64_t id, int64_t until);
struct error account_restore(struct sql *db, int64_t id);
/* Another primary address; the old one stays as an alias, or goes. Logins go on: the salt of SCRAM keeps the first name (account_salt_name). ERROR_EXISTS. */
enum account_old_name { ACCOUNT_KEEP_OLD_NAME, ACCOUNT_DROP_OLD_NAME };
struct error account_rename(struct sql *db, int64_t id, const struct address *primary, enum account_old_name old);
struct error account_salt_name(struct sql *db, const struct account *account, struct arena *a, struct slice *name);
/* Deletes what was removed longer ago than its date (all: now, for one account), and moves the mail of deleted accounts to the tombstones, whose retention then
 * counts. Steps of one mailbox a change. *n accounts. Thread: worker, by a timer. */
struct error account_purge(struct store *store, int64_t only, int64_t *n);
struct error account_set_quota(struct sql *db, int64_t id, int64_t bytes, int64_t items);
struct error account_set_title(struct sql *db, int64_t id, struct slice title);

enum address_kind { ADDRESS_PRIMARY, ADDRESS_ALIAS, ADDRESS_FORWARD }; /* FORWARD: target is a foreign address */
struct error address_add(struct sql *db, const struct address *address, int64_t account, enum address_kind kind, struct slice target);
/* What leads to this account (0: its forwards, all of them; -1: whatever it leads to), not a primary address. ERROR_NOT_FOUND. */
struct error address_remove(struct sql *db, const struct address *address, int64_t account);
/* A further target of an alias that leads to addresses (here or elsewhere). ERROR_EXISTS: an account's address, or it leads there already; ERROR_CONFLICT: it would
 * go round in circles. */
struct error alias_target_add(struct sql *db, const struct address *alias, struct slice target, struct arena *a);
struct error alias_has_targets(struct sql *db, const struct address *alias, bool *yes);
struct error alias_target_remove(struct sql *db, const struct address *alias, struct slice target, struct arena *a);
struct address_row {
    struct slice address; /* whole; "*@domain" is the catch-all */
    enum address_kind kind;
    struct slice target;
};
struct error address_list(struct sql *db, int64_t account, struct arena *a, struct address_row **all, size_t *n);
/* All aliases and forwards; `target` is where each leads. */
struct error address_list_aliases(struct sql *db, struct arena *a, struct address_row **all, size_t *n);
/* Where the catch-all of a domain leads, p NULL: nowhere; how many accounts stand in it. */
struct error domain_facts(struct sql *db, int64_t domain, struct arena *a, struct slice *catch_all, int64_t *accounts);

/* --- forwarding: the account's mail goes to these addresses, and stays here as well or not */
enum forward_copy { FORWARD_ONLY, FORWARD_KEEP_COPY };
/* In place of what was set before; n 0: none. ERROR_INVALID, ERROR_LIMIT (1,000), ERROR_CONFLICT: it would come back to this account. In a change. */
struct error forward_set(struct sql *db, int64_t account, const struct slice *targets, size_t n, enum forward_copy copy, struct arena *a);
struct error forward_list(struct sql *db, int64_t account, struct arena *a, struct slice **targets, size_t *n, enum forward_copy *copy);

/* ERROR_NOT_FOUND: no such group or member; ERROR_CONFLICT: the group would contain itself, directly or through others. Adding twice is no error. */
struct error member_add(struct sql *db, int64_t group, int64_t member, struct slice foreign); /* member 0: the foreign address */
struct error member_remove(struct sql *db, int64_t group, int64_t member, struct slice foreign);
struct member_row {
    int64_t member;
    struct slice foreign;
};
struct error member_list(struct sql *db, int64_t group, struct arena *a, struct member_row **all, size_t *n);

/* --- where mail for an address goes */

/* What may stand between a local part and its detail (option mail.detail_separator), "" for nothing; "+" until it is called. Before threads. */
void address_set_separators(const char *text);

enum list_role { LIST_NONE, LIST_POST, LIST_BOUNCES, LIST_OWNER, LIST_LEAVE, LIST_LEFT }; /* list.h; stored, never renumbered */
struct resolved_list {
    int64_t account;
    enum list_role role;
    struct slice token; /* LIST_LEFT */
};

struct resolved {
    int64_t *accounts; /* whose INBOX gets it (persons, shared mailboxes, rooms), each once; in the arena */
    size_t n_accounts;
    struct slice *foreign; /* canonical foreign addresses (forwards, foreign members) */
    size_t n_foreign;
    struct resolved_list *lists; /* whose posts, bounces or leave requests take it (list.h) */
    size_t n_lists;
    struct slice detail; /* the part behind the separator, or empty */
};
/* Exact address, then without "+detail", then the domain's catch-all; groups are unfolded (nested ≤ 10, a cycle is cut, at most 10,000); forwards and
 * foreign members whose domain is ours are followed, at most 10 after each other (ERROR_LOOP). Suspended members of a group are passed over.
 * ERROR_NOT_FOUND: no such user here; ERROR_UNSUPPORTED: the domain is not ours; ERROR_DENIED: suspended account or domain, a group that is
 * nested too deeply or too large, an address that leads to nobody. postmaster exists in every domain (RFC 5321 4.5.1): its own address, the catch-all, or the
 * domain's first person. <postmaster> without a domain is address {postmaster, ""}: the first domain's. */
struct error address_resolve(struct sql *db, const struct address *address, struct arena *a, struct resolved *out);

/* How may the account send with this address: its own (or alias, with +detail), as the account it belongs to (RIGHT_SEND_AS), or on its behalf, which
 * needs the account's own address in Sender (RIGHT_SEND_ON_BEHALF; RFC 5322 3.6.2). ERROR_DENIED: not at all. */
enum sending_how { SEND_NOT, SEND_OWN, SEND_AS, SEND_ON_BEHALF };
struct sending {
    enum sending_how how;
    int64_t owner; /* account that the address belongs to */
    enum account_kind kind;
};
struct error address_sending(struct sql *db, int64_t account, const struct address *address, struct sending *out);
/* May the account send with this address in MAIL FROM and From (own address or alias, with +detail; RIGHT_SEND_AS on the account it belongs to)? */
struct error address_owned(struct sql *db, int64_t account, const struct address *address); /* OK or ERROR_DENIED */

#endif
