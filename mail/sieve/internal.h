/* mail/sieve/internal.h -- the tree of a script, the rows of the tables, and one run, shared by the files of this folder */
#ifndef KANTOR_MAIL_SIEVE_INTERNAL_H
#define KANTOR_MAIL_SIEVE_INTERNAL_H

#include "mail/sieve/sieve.h"

/* --- lexer.c */
enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_TAG, TOKEN_NUMBER, TOKEN_STRING, TOKEN_PUNCTUATION };

struct token {
    enum token_kind kind;
    uint32_t line;
    struct slice text; /* a name, a tag without ':', a string as it means */
    uint64_t number;
    char c; /* punctuation */
};

struct lexer {
    struct slice rest;
    uint32_t line;
    struct arena *arena;
    struct sieve_fault *fault;
};

struct error lexer_next(struct lexer *l, struct token *out);
/* ERROR_INVALID with its fault set. */
struct error sieve_fail(struct sieve_fault *fault, uint32_t line, const char *text);
struct error sieve_no_memory(void);
/* A sentence may quote a script or a sender: what is no visible character becomes '?', so that it fits on one line of any protocol. */
void fault_clean(struct sieve_fault *fault, struct arena *a);

/* --- the tree (parse.c) */
enum value_kind { VALUE_NONE, VALUE_NUMBER, VALUE_STRINGS, VALUE_TAG };

struct sieve_value {
    enum value_kind kind;
    bool list; /* written in brackets */
    uint32_t line;
    uint64_t number;
    struct slice tag;
    struct slice *strings;
    size_t n;
    bool expand; /* a string has "${": look for variables at run time */
};

struct sieve_bound {
    const struct sieve_tag *tag;
    struct sieve_value value;
};

enum { POSITIONAL_MAX = 3 };

struct sieve_node {
    const struct sieve_row *row; /* check.c */
    uint32_t line;
    struct slice name;
    struct sieve_value *args; /* as written */
    size_t n_args;
    struct sieve_value at[POSITIONAL_MAX]; /* check.c: positional arguments by place in the row */
    struct sieve_bound *bound;             /* check.c: tags */
    size_t n_bound;
    struct sieve_node *tests; /* list by next */
    size_t n_tests;
    bool parentheses;
    bool has_block;
    struct sieve_node *block; /* list by next */
    struct sieve_node *next;
    const char *fault; /* with ihave: what is wrong with it, said only when it is reached (RFC 5463 4) */
};

struct sieve_script {
    struct sieve_node *first;
    uint32_t extensions; /* required */
};

struct error sieve_parse(struct slice text, struct arena *a, struct sieve_node **first, struct sieve_fault *fault);

/* --- tables.c */
enum sieve_extension {
    X_FILEINTO = 1 << 0, X_ENVELOPE = 1 << 1, X_ENCODED = 1 << 2, X_COPY = 1 << 3, X_VARIABLES = 1 << 4, X_FLAGS = 1 << 5,
    X_SUBADDRESS = 1 << 6, X_RELATIONAL = 1 << 7, X_REJECT = 1 << 8, X_EREJECT = 1 << 9, X_VACATION = 1 << 10, X_SECONDS = 1 << 11,
    X_BODY = 1 << 12, X_DATE = 1 << 13, X_INDEX = 1 << 14, X_MAILBOX = 1 << 15, X_ENVIRONMENT = 1 << 16, X_DUPLICATE = 1 << 17,
    X_IHAVE = 1 << 18, X_NUMERIC = 1 << 19, X_EDITHEADER = 1 << 20, X_ALWAYS = 1 << 21, X_SPAM = 1 << 22, X_SPAMPLUS = 1 << 23,
    X_VIRUS = 1 << 24, X_SPECIAL = 1 << 25
};

enum tag_group {
    G_COMPARATOR = 1 << 0, G_MATCH = 1 << 1, G_PART = 1 << 2, G_SIZE = 1 << 3, G_COPY = 1 << 4, G_CREATE = 1 << 5, G_FLAGS = 1 << 6,
    G_PERIOD = 1 << 7, G_SUBJECT = 1 << 8, G_FROM = 1 << 9, G_ADDRESSES = 1 << 10, G_MIME = 1 << 11, G_HANDLE = 1 << 12,
    G_CASE = 1 << 13, G_FIRST = 1 << 14, G_QUOTE = 1 << 15, G_LENGTH = 1 << 16, G_BODY = 1 << 17, G_ZONE = 1 << 18, G_INDEX = 1 << 19,
    G_LAST = 1 << 20, G_UNIQUE = 1 << 21, G_PERCENT = 1 << 22, G_SPECIAL = 1 << 23
};

enum tag_id {
    TAG_COMPARATOR, TAG_IS, TAG_CONTAINS, TAG_MATCHES, TAG_COUNT, TAG_VALUE, TAG_ALL, TAG_LOCALPART, TAG_DOMAIN, TAG_USER, TAG_DETAIL,
    TAG_OVER, TAG_UNDER, TAG_COPY, TAG_CREATE, TAG_FLAGS, TAG_DAYS, TAG_SECONDS, TAG_SUBJECT, TAG_FROM, TAG_ADDRESSES, TAG_MIME,
    TAG_HANDLE, TAG_LOWER, TAG_UPPER, TAG_LOWERFIRST, TAG_UPPERFIRST, TAG_QUOTEWILDCARD, TAG_LENGTH, TAG_RAW, TAG_CONTENT, TAG_TEXT,
    TAG_ZONE, TAG_ORIGINALZONE, TAG_INDEX, TAG_LAST, TAG_HEADER, TAG_UNIQUEID, TAG_PERCENT, TAG_SPECIALUSE
};

struct sieve_tag {
    struct slice name;
    enum tag_id id;
    uint32_t group;
    char argument; /* 0: none, N number, S string, L list of strings */
    uint32_t needs; /* one of these extensions; 0: base, or that of its command */
};

enum row_tests { NO_TEST, ONE_TEST, MANY_TESTS };
enum row_block { NO_BLOCK, BLOCK };

struct sieve_run;
struct checker;

struct sieve_row {
    struct slice name;
    const char *positional; /* N, S or L each; '?' before one that may be missing */
    uint32_t groups;        /* tags it takes */
    uint32_t required;      /* tag groups it must have */
    enum row_tests tests;
    enum row_block block;
    uint32_t needs; /* an extension, 0: base */
    struct error (*command)(struct sieve_run *r, const struct sieve_node *n);
    struct error (*test)(struct sieve_run *r, const struct sieve_node *n, bool *out);
    struct error (*check)(struct checker *c, struct sieve_node *n); /* what the row cannot say, or NULL */
    const char *specification;
};

const struct sieve_row *sieve_command_find(struct slice name);
const struct sieve_row *sieve_test_find(struct slice name);
/* The tag of a row by name; NULL: unknown here. */
const struct sieve_tag *sieve_tag_find(struct slice name, uint32_t groups);
uint32_t sieve_extension_find(struct slice name); /* 0: unknown */
const char *sieve_extension_name(uint32_t bit);

/* --- check.c */
struct checker {
    struct arena *arena;
    struct sieve_fault *fault;
    uint32_t have; /* required so far */
};

struct error sieve_check(struct checker *c, struct sieve_node *first);
/* The constraints of single rows (check_rows.c), named by the table. */
struct error check_require(struct checker *c, struct sieve_node *n);
struct error check_address(struct checker *c, struct sieve_node *n);
struct error check_envelope(struct checker *c, struct sieve_node *n);
struct error check_header(struct checker *c, struct sieve_node *n);
struct error check_redirect(struct checker *c, struct sieve_node *n);
struct error check_vacation(struct checker *c, struct sieve_node *n);
struct error check_set(struct checker *c, struct sieve_node *n);
struct error check_flags(struct checker *c, struct sieve_node *n);
struct error check_date(struct checker *c, struct sieve_node *n);
struct error check_currentdate(struct checker *c, struct sieve_node *n);
struct error check_duplicate(struct checker *c, struct sieve_node *n);
struct error check_edit(struct checker *c, struct sieve_node *n);
/* A list whose strings are all there at compile time. */
static inline bool value_constant(const struct sieve_value *v) { return v->kind == VALUE_STRINGS && !v->expand; }
const struct sieve_value *node_tag_value(const struct sieve_node *n, uint32_t group); /* NULL: not given */
const struct sieve_tag *node_tag(const struct sieve_node *n, uint32_t group);         /* NULL: not given */
bool field_name_valid(struct slice name);
/* "a@b" or "Name <a@b>": the address alone in *out; false when it is not exactly one address with a domain of visible ASCII (attacks.md SV-06). */
bool sieve_address_read(struct slice text, struct arena *a, struct slice *out);
/* ${hex:..} and ${unicode:..} (RFC 5228 2.4.2.4) of one string. */
struct error encoded_decode(struct checker *c, uint32_t line, struct slice *s);

/* --- run.c */
enum { MATCH_VARIABLES = 10 };

struct sieve_field {
    struct slice name, whole; /* whole: as it stands in the head */
    struct slice raw, value;  /* value: unfolded and decoded; p NULL: not yet */
    struct field_address {
        struct slice whole, local, domain;
    } *addresses; /* NULL: not looked for yet */
    size_t n_addresses;
};

struct sieve_variable {
    struct slice name, value;
};

struct sieve_run {
    const struct sieve_script *script;
    const struct sieve_message *m;
    struct arena *arena;
    struct sieve_fault fault;
    uint64_t steps;
    struct sieve_field *fields;
    size_t n_fields, room_fields;
    struct slice edited; /* head after editheader, made when an action needs it */
    bool dirty;
    struct sieve_action *actions;
    size_t n_actions;
    int redirects;
    bool cancelled; /* the implicit keep */
    bool stopped;
    struct sieve_variable variables[SIEVE_VARIABLES_MAX];
    size_t n_variables;
    struct slice matched[MATCH_VARIABLES];
    size_t n_matched;
    struct slice flags; /* internal variable of RFC 5232, words with single blanks */
    struct slice content; /* the message for body; p NULL: not asked yet */
    struct slice folded_of, folded; /* last value in lower case */
};

struct error run_fail(struct sieve_run *r, const struct sieve_node *n, const char *text);
/* Counts work on a sender's bytes; ERROR_LIMIT with a fault when the run's share is used up. */
struct error run_steps(struct sieve_run *r, uint64_t n);
struct error run_commands(struct sieve_run *r, const struct sieve_node *first);
struct error run_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error allof_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error anyof_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error not_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error constant_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error stop_run(struct sieve_run *r, const struct sieve_node *n);

/* --- variables.c */
struct error value_strings(struct sieve_run *r, const struct sieve_value *v, struct sieve_list *out); /* expanded */
struct error value_string(struct sieve_run *r, const struct sieve_value *v, struct slice *out);
struct error variable_set(struct sieve_run *r, const struct sieve_node *n, struct slice name, struct slice value);
struct slice variable_get(struct sieve_run *r, struct slice name);
bool variable_name_valid(struct slice name);
/* Looks at each reference of a string: 0 none, 1 some, ERROR_INVALID text for a namespace or an index above 9. */
const char *variable_references(struct slice s, bool *some);
struct error set_run(struct sieve_run *r, const struct sieve_node *n);
struct error string_test(struct sieve_run *r, const struct sieve_node *n, bool *out);

/* --- match.c */
enum comparator { COMPARE_OCTET, COMPARE_CASEMAP, COMPARE_NUMERIC };
enum relation { RELATION_NONE, RELATION_GT, RELATION_GE, RELATION_LT, RELATION_LE, RELATION_EQ, RELATION_NE };

struct matcher {
    struct sieve_run *run;
    enum tag_id type;
    enum comparator comparator;
    enum relation relation;
    struct sieve_list keys;
    bool keep_variables; /* body: never sets ${1} (RFC 5173 6) */
    uint64_t count;
    bool found;
};

enum comparator comparator_named(struct slice name, bool *known);
enum relation relation_named(struct slice name);
/* From a node's tags and its keys. Give values one by one until found; matcher_end decides :count. */
struct error matcher_begin(struct sieve_run *r, const struct sieve_node *n, const struct sieve_value *keys, struct matcher *out);
struct error matcher_value(struct matcher *m, struct slice value);
struct error matcher_end(struct matcher *m, bool *out);

/* --- message.c */
struct error fields_read(struct sieve_run *r);
struct slice field_value(struct sieve_run *r, struct sieve_field *f);
struct error head_edited(struct sieve_run *r, struct slice *out); /* p NULL: as it came */
struct error header_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error exists_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error size_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
/* RFC 5260 6: does the i-th of `total` fields called so count (both from 0)? */
bool index_wanted(const struct sieve_node *n, size_t i, size_t total);
struct error addheader_run(struct sieve_run *r, const struct sieve_node *n);
struct error deleteheader_run(struct sieve_run *r, const struct sieve_node *n);

/* --- address.c */
struct error address_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error envelope_test(struct sieve_run *r, const struct sieve_node *n, bool *out);

/* --- actions.c */
struct error keep_run(struct sieve_run *r, const struct sieve_node *n);
struct error fileinto_run(struct sieve_run *r, const struct sieve_node *n);
struct error redirect_run(struct sieve_run *r, const struct sieve_node *n);
struct error discard_run(struct sieve_run *r, const struct sieve_node *n);
struct error reject_run(struct sieve_run *r, const struct sieve_node *n);
struct error vacation_run(struct sieve_run *r, const struct sieve_node *n);
struct error action_add(struct sieve_run *r, const struct sieve_node *n, const struct sieve_action *a);

/* --- flags.c */
struct error setflag_run(struct sieve_run *r, const struct sieve_node *n);
struct error addflag_run(struct sieve_run *r, const struct sieve_node *n);
struct error removeflag_run(struct sieve_run *r, const struct sieve_node *n);
struct error hasflag_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
/* The flags of :flags, or of the internal variable. */
struct error action_flags(struct sieve_run *r, const struct sieve_node *n, struct sieve_list *out);

/* --- date.c */
struct error date_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error currentdate_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
bool zone_read(struct slice text, int *minutes);
bool date_part_known(struct slice name);

/* --- body.c */
struct error body_test(struct sieve_run *r, const struct sieve_node *n, bool *out);

/* --- surroundings.c */
struct error mailboxexists_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error specialuse_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error spam_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error virus_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error environment_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error duplicate_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error ihave_test(struct sieve_run *r, const struct sieve_node *n, bool *out);
struct error error_run(struct sieve_run *r, const struct sieve_node *n);

#endif
