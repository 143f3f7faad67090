/* core/kantord/manual.h -- the manual pages, made of the tables they describe */
#ifndef KANTOR_CORE_KANTORD_MANUAL_H
#define KANTOR_CORE_KANTORD_MANUAL_H

#include "core/buffer.h"

/* `page` is kantord.8, kantorctl.1 or kantor.conf.5; false: no other is there. `help` is what `kantord --help` prints:
 * its options become kantord(8)'s. */
bool manual_write(const char *page, const char *help, struct buffer *out);

#endif
