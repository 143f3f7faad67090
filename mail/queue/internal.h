/* mail/queue/internal.h -- the statements that a million waiting messages must not make slow: the tests look at their plans */
#ifndef KANTOR_MAIL_QUEUE_INTERNAL_H
#define KANTOR_MAIL_QUEUE_INTERNAL_H

#include "mail/queue/queue.h"

/* From one name of the index to the next: a plain GROUP BY would read every recipient that waits. The inner LIMIT is QUEUE_COUNTED. */
#define QUEUE_SQL_DESTINATIONS                                                                                                          \
    "WITH RECURSIVE d (dest) AS (SELECT min(dest) FROM rcpt WHERE state = 0 AND dest > $1 "                                             \
    "UNION ALL SELECT (SELECT min(dest) FROM rcpt WHERE state = 0 AND dest > d.dest) FROM d WHERE d.dest IS NOT NULL) "                 \
    "SELECT d.dest, (SELECT min(due) FROM rcpt WHERE state = 0 AND dest = d.dest), "                                                    \
    "(SELECT count(*) FROM (SELECT 1 FROM rcpt WHERE state = 0 AND dest = d.dest LIMIT 100) AS counted) "                                  \
    "FROM d WHERE d.dest IS NOT NULL AND NOT EXISTS (SELECT 1 FROM domain WHERE name = d.dest) LIMIT $2"

#define QUEUE_SQL_TAKE                                                                                                                  \
    "SELECT queue, n, tries, due, address, orcpt, notify FROM rcpt WHERE state = 0 AND dest = $1 AND due <= $2 ORDER BY due, queue, n LIMIT $3"

#define QUEUE_SQL_TO_LOOK "SELECT id FROM queue WHERE look <= $1 ORDER BY look, id LIMIT $2"

/* Destinations of which somebody would be tried later than $1. */
#define QUEUE_SQL_FAR                                                                                                                   \
    "WITH RECURSIVE d (dest) AS (SELECT min(dest) FROM rcpt WHERE state = 0 "                                                           \
    "UNION ALL SELECT (SELECT min(dest) FROM rcpt WHERE state = 0 AND dest > d.dest) FROM d WHERE d.dest IS NOT NULL) "                 \
    "SELECT d.dest FROM d WHERE d.dest IS NOT NULL AND (SELECT max(due) FROM rcpt WHERE state = 0 AND dest = d.dest) > $1"

#endif
