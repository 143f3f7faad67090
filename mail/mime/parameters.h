/* mail/mime/parameters.h -- "value; name=value; name*0*=…" of Content-Type and Content-Disposition (RFC 2045 5.1, 2183, 2231)
 *
 * Used by parse.c only, apart so that it can be tested and fuzzed alone. Thread: any.
 */
#ifndef KANTOR_MAIL_MIME_PARAMETERS_H
#define KANTOR_MAIL_MIME_PARAMETERS_H

#include "mail/mime/parse.h"

/* `value` is a field's unfolded value; *word gets what stands before the first ';' ("text/plain"), blanks and comments cut. At most 100 parameters
 * and 64 pieces of one; what is odd (gaps, a second piece of one number) ends the joining there. ERROR_MEMORY. */
struct error parameters_read(struct slice value, struct arena *a, struct slice *word, struct mime_params *out);

#endif
