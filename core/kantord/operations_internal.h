/* core/kantord/operations_internal.h -- what the files of operations share */
#ifndef KANTOR_CORE_KANTORD_OPERATIONS_INTERNAL_H
#define KANTOR_CORE_KANTORD_OPERATIONS_INTERNAL_H

#include "core/kantord/operations.h"

/* The value of --name; p NULL when it was not given. */
struct slice operation_option(const struct operation_call *k, const char *name);
void operation_date(int64_t at, struct buffer *out);
/* By address, with a sentence when there is none. */
struct error operation_account(struct operation_call *k, struct sql *db, struct slice name, struct account *out);

/* operations_people.c */
struct error run_alias_add(struct operation_call *k);
struct error run_alias_remove(struct operation_call *k);
struct error run_alias_list(struct operation_call *k);
struct error run_group_join(struct operation_call *k);
struct error run_group_leave(struct operation_call *k);
struct error run_group_members(struct operation_call *k);
struct error run_app_password_add(struct operation_call *k);
struct error run_app_password_list(struct operation_call *k);
struct error run_app_password_remove(struct operation_call *k);
struct error run_grant_set(struct operation_call *k);
struct error run_grant_list(struct operation_call *k);

/* operations_mail.c */
struct error run_queue_list(struct operation_call *k);
struct error run_queue_show(struct operation_call *k);
struct error run_queue_delete(struct operation_call *k);
struct error run_import_mbox(struct operation_call *k);
struct error run_import_eml(struct operation_call *k);
struct error run_import_maildir(struct operation_call *k);
struct error run_export_mbox(struct operation_call *k);

#endif
