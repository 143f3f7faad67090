/* mail/smtp/harvest.h -- networks that guess names, remembered over their connections (attacks.md SI-26, SI-35)
 *
 * A table of fixed size, by /24 and /64, with a key of the process: nobody can choose addresses that collide, and a million networks cost what one costs: a
 * stranger's row is taken over by the next one, and a row is over after a quarter of an hour. Thread: any.
 */
#ifndef KANTOR_MAIL_SMTP_HARVEST_H
#define KANTOR_MAIL_SMTP_HARVEST_H

enum { HARVEST_NETWORK_MAX = 100 };

/* One more unknown recipient from this peer: how many there were in its quarter of an hour. */
int harvest_note(const char *peer);

#endif
