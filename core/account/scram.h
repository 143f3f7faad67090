/* core/account/scram.h -- the arithmetic of SCRAM-SHA-256 (RFC 5802 3, RFC 7677), without any protocol; for this folder */
#ifndef KANTOR_CORE_ACCOUNT_SCRAM_H
#define KANTOR_CORE_ACCOUNT_SCRAM_H

#include "core/account/login.h"

/* keys = StoredKey, ServerKey of a password. ERROR_MEMORY. Slow on purpose: a worker's work. */
struct error scram_keys_make(struct slice password, struct slice salt, int rounds, unsigned char keys[SCRAM_KEYS]);
/* Does ClientProof belong to StoredKey and this AuthMessage? In constant time. */
bool scram_proof_fits(const unsigned char keys[SCRAM_KEYS], struct slice auth, const unsigned char proof[32]);
/* ServerSignature. */
void scram_sign(const unsigned char keys[SCRAM_KEYS], struct slice auth, unsigned char signature[32]);

#endif
