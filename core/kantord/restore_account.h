/* core/kantord/restore_account.h -- mail of one person from a backup into the running server
 *
 * What is missing is added, nothing is removed or changed: a message whose content stands in the same mailbox already is left alone, so a second run adds
 * nothing. Added messages get new uids and numbers, as an APPEND would give them, so no client sees a uid twice.
 */
#ifndef KANTOR_CORE_KANTORD_RESTORE_ACCOUNT_H
#define KANTOR_CORE_KANTORD_RESTORE_ACCOUNT_H

#include "core/store/backup.h"

struct account_restore {
    const char *from;       /* the backup's folder */
    struct slice address;   /* whose mail; the account must exist here */
    struct slice mailbox;   /* a path; p NULL: all */
    void (*progress)(void *arg, const char *line); /* or NULL */
    void *arg;
    int64_t mailboxes, added, were_there, unreadable; /* out */
};

/* Verifies the backup first. ERROR_NOT_FOUND (address, mailbox), ERROR_CORRUPT (the backup), ERROR_QUOTA (what was added stays). Thread: any worker. */
struct error account_restore_run(struct store *s, struct account_restore *r, struct arena *a);

#endif
