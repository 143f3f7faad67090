/* core/kantord/operations_internal.h -- what the files of operations share */
#ifndef KANTOR_CORE_KANTORD_OPERATIONS_INTERNAL_H
#define KANTOR_CORE_KANTORD_OPERATIONS_INTERNAL_H

#include "core/kantord/operations.h"

/* By address, with a sentence when there is none. */
struct error operation_account(struct operation_call *k, struct sql *db, struct slice name, struct account *out);
/* The same with a reader of its own. */
struct error operation_account_now(struct operation_call *k, struct slice name, struct account *out);
/* Forgets what is remembered of an account and ends its sessions: who is logged in must not go on with what was taken from him. */
void operation_throw_out(struct operation_call *k, int64_t account);
/* "5G", "300M", "1000"; "none" is 0. */
struct error operation_size(struct operation_call *k, struct slice text, int64_t *bytes);
extern const char *const operation_kind_words[];

/* operations_account.c */
struct error run_account_add(struct operation_call *k);
struct error run_group_add(struct operation_call *k);
struct error run_shared_add(struct operation_call *k);
struct error run_account_list(struct operation_call *k);
struct error run_account_show(struct operation_call *k);
struct error run_account_rename(struct operation_call *k);
struct error run_account_title(struct operation_call *k);
struct error run_account_password(struct operation_call *k);
struct error run_account_suspend(struct operation_call *k);
struct error run_account_resume(struct operation_call *k);
struct error run_account_remove(struct operation_call *k);
struct error run_account_restore(struct operation_call *k);
struct error run_account_quota(struct operation_call *k);

struct error run_account_block_sending(struct operation_call *k); /* operations_sending.c */
struct error run_account_allow_sending(struct operation_call *k);
struct error run_account_sending(struct operation_call *k);

/* operations_domain.c: domains, and the addresses in them */
struct error run_domain_add(struct operation_call *k);
struct error run_domain_list(struct operation_call *k);
struct error run_domain_remove(struct operation_call *k);
struct error run_domain_alias(struct operation_call *k);
struct error run_domain_catch_all(struct operation_call *k);
struct error run_alias_add(struct operation_call *k);
struct error run_alias_remove(struct operation_call *k);
struct error run_alias_list(struct operation_call *k);
struct error run_forward_set(struct operation_call *k); /* operations_forward.c */
struct error run_forward_list(struct operation_call *k);
struct error run_forward_remove(struct operation_call *k);
struct error operation_read_alias(struct operation_call *k, struct slice text, struct address *out); /* "*@domain" too */

struct error run_domain_dkim(struct operation_call *k); /* operations_dkim.c */
struct error run_domain_dns(struct operation_call *k);  /* operations_dns.c */

/* operations_people.c */
struct error run_group_join(struct operation_call *k);
struct error run_group_leave(struct operation_call *k);
struct error run_group_members(struct operation_call *k);
struct error run_app_password_add(struct operation_call *k);
struct error run_app_password_list(struct operation_call *k);
struct error run_app_password_remove(struct operation_call *k);
struct error run_grant_set(struct operation_call *k);
struct error run_grant_list(struct operation_call *k);
struct error run_grant_remove(struct operation_call *k);

/* operations_server.c */
struct error run_sessions_list(struct operation_call *k);
struct error run_sessions_kill(struct operation_call *k);
struct error run_reload(struct operation_call *k);
struct error run_counters(struct operation_call *k);

/* operations_list.c */
struct error run_list_add(struct operation_call *k);
struct error run_list_set(struct operation_call *k);
struct error run_list_list(struct operation_call *k);
struct error run_list_remove(struct operation_call *k);
struct error run_list_pending(struct operation_call *k);
struct error run_list_approve(struct operation_call *k);
struct error run_list_reject(struct operation_call *k);
struct error run_list_bounces(struct operation_call *k);
struct error run_list_resume(struct operation_call *k);

/* operations_rule.c */
struct error run_rule_add(struct operation_call *k);
struct error run_rule_list(struct operation_call *k);
struct error run_rule_delete(struct operation_call *k);
struct error run_domain_archive(struct operation_call *k);

/* operations_sieve.c */
struct error run_sieve_list(struct operation_call *k);
struct error run_sieve_show(struct operation_call *k);
struct error run_sieve_put(struct operation_call *k);
struct error run_sieve_activate(struct operation_call *k);
struct error run_sieve_delete(struct operation_call *k);
struct error run_vacation_set(struct operation_call *k);
struct error run_vacation_show(struct operation_call *k);
struct error run_vacation_off(struct operation_call *k);

/* operations_route.c */
struct error run_route_list(struct operation_call *k);
struct error run_route_set(struct operation_call *k);
struct error run_route_delete(struct operation_call *k);

/* operations_queue.c */
struct error run_queue_list(struct operation_call *k);
struct error run_queue_show(struct operation_call *k);
struct error run_queue_summary(struct operation_call *k);
struct error run_queue_hold(struct operation_call *k);
struct error run_queue_release(struct operation_call *k);
struct error run_queue_retry(struct operation_call *k);
struct error run_queue_bounce(struct operation_call *k);
struct error run_queue_delete(struct operation_call *k);
struct error run_queue_export(struct operation_call *k);

/* operations_trace.c */
struct error run_trace(struct operation_call *k);

/* operations_store.c */
struct error run_check(struct operation_call *k);
struct error run_backup(struct operation_call *k);
struct error run_restore(struct operation_call *k);
struct error run_gc(struct operation_call *k);

/* operations_import.c, operations_export.c: the server's side of messages in and out */
struct error run_import(struct operation_call *k);
struct error run_export(struct operation_call *k);
struct error run_account_export(struct operation_call *k);
struct error run_account_import(struct operation_call *k);

#endif
