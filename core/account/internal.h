/* core/account/internal.h -- what the files of this folder share */
#ifndef KANTOR_CORE_ACCOUNT_INTERNAL_H
#define KANTOR_CORE_ACCOUNT_INTERNAL_H

#include "core/account/account.h"

/* Does what `target` stands for lead through this account (its forward), or through this address? Asked before a forward or an alias is written. */
struct resolve_watch {
    int64_t account;
    int64_t domain; /* with local: an address */
    struct slice local;
};
struct error resolve_comes_back(struct sql *db, const struct address *target, struct resolve_watch watch, struct arena *a, bool *back);

#endif
