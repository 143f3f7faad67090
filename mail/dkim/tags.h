/* mail/dkim/tags.h -- tag lists: "v=1; a=rsa-sha256; ..." (RFC 6376 3.2)
 *
 * One reader for signatures, key records and ARC fields. Strict as the RFC: a tag that stands twice, an empty tag between two ';' or a byte that no
 * value may hold makes the whole list invalid. UTF-8 is taken in values (RFC 8616). Nothing is copied. Thread: any.
 */
#ifndef KANTOR_MAIL_DKIM_TAGS_H
#define KANTOR_MAIL_DKIM_TAGS_H

#include "core/slice.h"

enum { DKIM_TAGS_MAX = 32 };

struct dkim_tag {
    struct slice name;
    struct slice value; /* blanks at both ends cut; folds inside stay */
    struct slice raw; /* all between '=' and ';' */
};

struct dkim_tags {
    struct dkim_tag tags[DKIM_TAGS_MAX];
    size_t n;
};

/* False when the text is no tag list, or has more than DKIM_TAGS_MAX tags. */
bool dkim_tags_parse(struct slice text, struct dkim_tags *out);
/* NULL when there is no such tag. Names are case-sensitive. */
const struct dkim_tag *dkim_tags_find(const struct dkim_tags *tags, const char *name);

/* Takes the next item of a list with ':' off *rest, blanks cut; false at the end. Start with more = true. */
bool dkim_list_next(struct slice *rest, bool *more, struct slice *item);
/* Whether the item stands in the list (ASCII case does not count). */
bool dkim_list_has(struct slice list, struct slice item);

#endif
