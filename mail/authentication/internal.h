/* mail/authentication/internal.h -- the syntax of SPF records and their macros, shared by the files of this folder */
#ifndef KANTOR_MAIL_AUTHENTICATION_INTERNAL_H
#define KANTOR_MAIL_AUTHENTICATION_INTERNAL_H

#include "mail/authentication/spf.h"

/* --- spf_term.c: RFC 7208 12 */

/* Takes the next term off *rest; kind SPF_END at the end. A static text that says what is wrong with it, or NULL. */
const char *spf_term_next(struct slice *rest, struct spf_term *out);
/* Is this TXT record one of SPF (4.5)? *terms gets what stands behind the version. */
bool spf_record_is(struct slice text, struct slice *terms);

/* --- spf_macro.c: RFC 7208 7 */

enum spf_macros { SPF_MACROS_DOMAIN, SPF_MACROS_ALL }; /* ALL: c, r and t, too (7.2) */

/* macro-string without blanks; with SPF_MACROS_ALL blanks are allowed when `blanks` (explain-string). */
bool spf_macros_valid(struct slice s, enum spf_macros allowed, bool blanks);
/* domain-spec: macro-string that ends in a macro or a top label. */
bool spf_domain_spec_valid(struct slice s);
/* Does it want the validated name of the client? */
bool spf_macros_want_name(struct slice s);

enum { SPF_TEXT_MAX = 1024 };

struct spf_text {
    char bytes[SPF_TEXT_MAX];
    size_t n;
};

/* Expands a valid spec for `domain`: the name to ask for, at most 253 bytes, bare. */
void spf_expand_name(const struct spf *s, struct slice spec, struct slice domain, struct spf_text *out);
/* Expands a valid explain-string: at most SPF_EXPLANATION_MAX printable characters of ASCII. */
void spf_expand_text(const struct spf *s, struct slice text, struct slice domain, struct spf_text *out);
/* The name under in-addr.arpa or ip6.arpa. */
void spf_reverse_name(const struct spf *s, struct spf_text *out);

#endif
