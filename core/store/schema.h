/* core/store/schema.h -- the numbered steps from an empty database to today's tables */
#ifndef KANTOR_CORE_STORE_SCHEMA_H
#define KANTOR_CORE_STORE_SCHEMA_H

#include "core/store/internal.h"

/* The newest version this program knows. */
int schema_version(void);
/* Runs step 1 … schema_version(), inside the caller's transaction. */
struct error schema_step(struct sql *db, int step);

#endif
