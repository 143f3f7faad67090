/* core/account/password.h -- crypt(3) hashes; for this folder (password_hash is public, in login.h) */
#ifndef KANTOR_CORE_ACCOUNT_PASSWORD_H
#define KANTOR_CORE_ACCOUNT_PASSWORD_H

#include "core/account/login.h"

enum { PASSWORD_MAX = 256 };

/* What is hashed: UTF-8 in NFC (RFC 8265 4.2's OpaqueString, of which only the composition matters between an iPhone and a Mac); other bytes
 * as they are. p NULL when memory is out. The copy is in the arena: clean it with password_forget. */
struct slice password_prepare(struct slice typed, struct arena *a);
void password_forget(struct slice prepared);
/* Does a prepared password fit? Slow. False also for a hash that crypt(3) does not know. */
bool password_fits(const char *hash, struct slice password, struct arena *a);
/* A form and a cost that we are willing to pay at every login (attacks.md AC-08). */
bool password_hash_is_fair(struct slice hash);

#endif
