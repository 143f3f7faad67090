/* core/account/credential.h -- rows of credentials; for this folder */
#ifndef KANTOR_CORE_ACCOUNT_CREDENTIAL_H
#define KANTOR_CORE_ACCOUNT_CREDENTIAL_H

#include "core/account/login.h"

enum { CREDENTIAL_PASSWORD = 1, CREDENTIAL_APP_PASSWORD = 2 };

struct credential {
    int64_t id;
    int kind, scope;
    struct slice secret; /* crypt(3) text, or the digest of an app password */
    struct slice keys;   /* SCRAM, or empty */
    struct slice name;
    int64_t created, used;
};

struct error credential_list(struct sql *db, int64_t account, struct arena *a, struct credential **all, size_t *n);
struct error credential_used(struct sql *db, int64_t id, int64_t at);
/* How many slow hashes were made for logins: tests count work, not time. */
uint64_t login_hashes(struct login_service *s);
/* SHA-256 of the letters and digits of what was typed: blanks and dashes between the groups do not count. */
void app_password_lookup(struct slice typed, unsigned char out[32]);

#endif
