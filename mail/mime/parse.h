/* mail/mime/parse.h -- the tree of parts of a message
 *
 * One pass over the bytes, iterative, never failing on real mail: what is malformed becomes text/plain or an opaque part, and the message
 * stays fetchable whole. Parts stand in order (each before its children); a child lies inside its parent, brothers do not overlap. Offsets are
 * from the start of the message. The boundary of the innermost open multipart counts first.
 *
 *     struct mime_tree t;
 *     TRY(mime_parse(message, &arena, &t));
 *     t.parts[0] is the message itself.
 */
#ifndef KANTOR_MAIL_MIME_PARSE_H
#define KANTOR_MAIL_MIME_PARSE_H

#include "core/arena.h"
#include "core/error.h"
#include "core/slice.h"

enum { MIME_DEPTH_MAX = 50, MIME_PARTS_MAX = 1000, MIME_PARAMS_MAX = 100 };

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE /* holds a message: one child, its root */ };
enum mime_encoding { MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_BASE64, MIME_QP, MIME_UNKNOWN_ENCODING };

struct mime_param {
    struct slice name, value; /* value without quotes and escapes; RFC 2231 pieces joined under "name" or, when encoded, "name*" */
};

struct mime_params {
    struct mime_param *all;
    size_t n;
};

struct mime_part {
    enum mime_kind kind;
    enum mime_encoding encoding;
    uint32_t parent; /* the root's is itself */
    uint32_t n_children;
    uint64_t header_start, body_start, body_end; /* body_start is behind the empty line */
    uint64_t lines;                              /* line ends in the body */
    struct slice type, subtype;                  /* as written; "text", "plain" when absent */
    struct slice encoding_text;                  /* as written, or "7BIT" */
    struct slice id, description, md5, disposition, language, location; /* unfolded; p NULL when absent */
    struct mime_params params, disposition_params;
};

struct mime_tree {
    struct mime_part *parts;
    size_t n;
};

/* ERROR_MEMORY only. Slices point into the message or the arena. Thread: any. */
struct error mime_parse(struct slice message, struct arena *a, struct mime_tree *out);

/* The value of a parameter, ASCII case does not count; p NULL when absent. */
struct slice mime_param(const struct mime_params *params, struct slice name);

#endif
