/* core/account/upgrade.h -- SCRAM verifiers for main passwords that have none; for this folder
 *
 * Accounts made in bulk or imported have a hash only, and clients that take the strongest mechanism offered are refused (docs/decisions/0010-scram.md). Behind a
 * login that proved such a password its verifier is made: on a worker, one at a time in the whole process, while the answer is on its way. What waits is bounded;
 * what finds no place waits for the next login. Thread: any.
 */
#ifndef KANTOR_CORE_ACCOUNT_UPGRADE_H
#define KANTOR_CORE_ACCOUNT_UPGRADE_H

#include "core/account/credential.h"

struct upgrades;
struct upgrades *upgrades_new(struct login_service *s, struct store *store); /* NULL: no memory */
void upgrades_free(struct upgrades *u);
/* See login_upgrade_by and login_upgrade_allow. */
void upgrades_by(struct upgrades *u, login_submit *submit, void *arg);
void upgrades_allow(struct upgrades *u, enum login_upgrade how);
/* This password fitted that main password of the account of this canonical name. Copies what it needs; never fails, never waits for work. */
void upgrades_proved(struct upgrades *u, int64_t account, struct slice name, const struct credential *main_password, struct slice password);

#endif
