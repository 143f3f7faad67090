/* core/kantord/operations_forward.c -- where the mail of an account is sent on to */
#include "core/account/account.h"
#include "core/cleanup.h"
#include "core/kantord/operations_internal.h"

static struct error set_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct account account;
    TRY(operation_account(k, db, k->words[2], &account));
    if (account.kind == ACCOUNT_GROUP)
        return error_make(ERROR_INVALID, "a group has members, here or elsewhere: `kantorctl group join`");
    enum forward_copy copy = operation_option(k, "keep-copy").p ? FORWARD_KEEP_COPY : FORWARD_ONLY;
    return forward_set(db, account.id, k->words + 3, k->n_words - 3, copy, k->arena);
}

struct error run_forward_set(struct operation_call *k)
{
    TRY(store_change(k->server->store, set_change, k));
    report_say(&k->report, "mail for %.*s is sent on%s", SLICE_ARG(k->words[2]), operation_option(k, "keep-copy").p ? " and stays here as well" : "; no copy stays here");
    return OK;
}

static struct error remove_change(struct sql *db, void *arg)
{
    struct operation_call *k = arg;
    struct account account;
    TRY(operation_account(k, db, k->words[2], &account));
    return forward_set(db, account.id, NULL, 0, FORWARD_ONLY, k->arena);
}

struct error run_forward_remove(struct operation_call *k)
{
    TRY(store_change(k->server->store, remove_change, k));
    report_say(&k->report, "mail for %.*s stays here", SLICE_ARG(k->words[2]));
    return OK;
}

static struct error report_account(struct operation_call *k, struct sql *db, const struct account *account)
{
    struct slice *targets;
    enum forward_copy copy;
    size_t n;
    TRY(forward_list(db, account->id, k->arena, &targets, &n, &copy));
    for (size_t i = 0; i < n; i++) {
        report_text(&k->report, account->name);
        report_text(&k->report, targets[i]);
        report_word(&k->report, copy == FORWARD_KEEP_COPY ? "yes" : "no");
    }
    return OK;
}

struct error run_forward_list(struct operation_call *k)
{
    struct account one, *all = &one;
    size_t n = 1;
    SCOPED(store_reader_return) struct sql *db = store_reader(k->server->store);
    report_list(&k->report, "account forwards_to keeps_copy");
    if (k->n_words > 2)
        TRY(operation_account(k, db, k->words[2], &one));
    else
        TRY(account_list(db, 0, k->arena, &all, &n));
    for (size_t i = 0; i < n; i++)
        TRY(report_account(k, db, &all[i]));
    return OK;
}
