/* mail/sieve/tables.c -- every command, test, tag and extension is a row
 *
 * The checker, the interpreter and the list of `require` (ManageSieve's SIEVE capability) read these tables. An extension has a row when all of it works.
 */
#include "mail/sieve/internal.h"

enum { KEYS = G_COMPARATOR | G_MATCH, INDEXED = G_INDEX | G_LAST };

/*    name             arguments tags                          must have    tests       block     needs           command           test                check */
static const struct sieve_row commands[] = {
    {{"if", 2},            "",    0,                            0,           ONE_TEST,   BLOCK,    0,              NULL,             NULL,               NULL,            "RFC 5228 3.1"},
    {{"elsif", 5},         "",    0,                            0,           ONE_TEST,   BLOCK,    0,              NULL,             NULL,               NULL,            "RFC 5228 3.1"},
    {{"else", 4},          "",    0,                            0,           NO_TEST,    BLOCK,    0,              NULL,             NULL,               NULL,            "RFC 5228 3.1"},
    {{"require", 7},       "L",   0,                            0,           NO_TEST,    NO_BLOCK, 0,              NULL,             NULL,               check_require,   "RFC 5228 3.2"},
    {{"stop", 4},          "",    0,                            0,           NO_TEST,    NO_BLOCK, 0,              stop_run,             NULL,               NULL,            "RFC 5228 3.3"},
    {{"fileinto", 8},      "S",   G_COPY | G_CREATE | G_FLAGS | G_SPECIAL, 0,           NO_TEST,    NO_BLOCK, X_FILEINTO,     fileinto_run,     NULL,               NULL,            "RFC 5228 4.1"},
    {{"redirect", 8},      "S",   G_COPY,                       0,           NO_TEST,    NO_BLOCK, 0,              redirect_run,     NULL,               check_redirect,  "RFC 5228 4.2"},
    {{"keep", 4},          "",    G_FLAGS,                      0,           NO_TEST,    NO_BLOCK, 0,              keep_run,         NULL,               NULL,            "RFC 5228 4.3"},
    {{"discard", 7},       "",    0,                            0,           NO_TEST,    NO_BLOCK, 0,              discard_run,      NULL,               NULL,            "RFC 5228 4.4"},
    {{"set", 3},           "SS",  G_CASE | G_FIRST | G_QUOTE | G_LENGTH, 0,  NO_TEST,    NO_BLOCK, X_VARIABLES,    set_run,          NULL,               check_set,       "RFC 5229 4"},
    {{"setflag", 7},       "?SL", 0,                            0,           NO_TEST,    NO_BLOCK, X_FLAGS,        setflag_run,      NULL,               check_flags,     "RFC 5232 3.1"},
    {{"addflag", 7},       "?SL", 0,                            0,           NO_TEST,    NO_BLOCK, X_FLAGS,        addflag_run,      NULL,               check_flags,     "RFC 5232 3.2"},
    {{"removeflag", 10},   "?SL", 0,                            0,           NO_TEST,    NO_BLOCK, X_FLAGS,        removeflag_run,   NULL,               check_flags,     "RFC 5232 3.3"},
    {{"reject", 6},        "S",   0,                            0,           NO_TEST,    NO_BLOCK, X_REJECT,       reject_run,       NULL,               NULL,            "RFC 5429 2.2"},
    {{"ereject", 7},       "S",   0,                            0,           NO_TEST,    NO_BLOCK, X_EREJECT,      reject_run,       NULL,               NULL,            "RFC 5429 2.1"},
    {{"vacation", 8},      "S",   G_PERIOD | G_SUBJECT | G_FROM | G_ADDRESSES | G_MIME | G_HANDLE, 0, NO_TEST, NO_BLOCK, X_VACATION, vacation_run, NULL, check_vacation,  "RFC 5230 4"},
    {{"addheader", 9},     "SS",  G_LAST,                       0,           NO_TEST,    NO_BLOCK, X_EDITHEADER,   addheader_run,    NULL,               check_edit,      "RFC 5293 4"},
    {{"deleteheader", 12}, "S?L", KEYS | INDEXED,               0,           NO_TEST,    NO_BLOCK, X_EDITHEADER,   deleteheader_run, NULL,               check_edit,      "RFC 5293 5"},
    {{"error", 5},         "S",   0,                            0,           NO_TEST,    NO_BLOCK, X_IHAVE,        error_run,        NULL,               NULL,            "RFC 5463 5"},
};

static const struct sieve_row tests[] = {
    {{"address", 7},       "LL",  KEYS | G_PART | INDEXED,      0,           NO_TEST,    NO_BLOCK, 0,              NULL,             address_test,       check_address,   "RFC 5228 5.1"},
    {{"allof", 5},         "",    0,                            0,           MANY_TESTS, NO_BLOCK, 0,              NULL,             allof_test,               NULL,            "RFC 5228 5.2"},
    {{"anyof", 5},         "",    0,                            0,           MANY_TESTS, NO_BLOCK, 0,              NULL,             anyof_test,               NULL,            "RFC 5228 5.3"},
    {{"envelope", 8},      "LL",  KEYS | G_PART,                0,           NO_TEST,    NO_BLOCK, X_ENVELOPE,     NULL,             envelope_test,      check_envelope,  "RFC 5228 5.4"},
    {{"exists", 6},        "L",   0,                            0,           NO_TEST,    NO_BLOCK, 0,              NULL,             exists_test,        check_header,    "RFC 5228 5.5"},
    {{"false", 5},         "",    0,                            0,           NO_TEST,    NO_BLOCK, 0,              NULL,             constant_test,               NULL,            "RFC 5228 5.6"},
    {{"header", 6},        "LL",  KEYS | INDEXED,               0,           NO_TEST,    NO_BLOCK, 0,              NULL,             header_test,        check_header,    "RFC 5228 5.7"},
    {{"not", 3},           "",    0,                            0,           ONE_TEST,   NO_BLOCK, 0,              NULL,             not_test,               NULL,            "RFC 5228 5.8"},
    {{"size", 4},          "N",   G_SIZE,                       G_SIZE,      NO_TEST,    NO_BLOCK, 0,              NULL,             size_test,          NULL,            "RFC 5228 5.9"},
    {{"true", 4},          "",    0,                            0,           NO_TEST,    NO_BLOCK, 0,              NULL,             constant_test,               NULL,            "RFC 5228 5.10"},
    {{"string", 6},        "LL",  KEYS,                         0,           NO_TEST,    NO_BLOCK, X_VARIABLES,    NULL,             string_test,        NULL,            "RFC 5229 5"},
    {{"hasflag", 7},       "?LL", KEYS,                         0,           NO_TEST,    NO_BLOCK, X_FLAGS,        NULL,             hasflag_test,       check_flags,     "RFC 5232 4"},
    {{"body", 4},          "L",   KEYS | G_BODY,                0,           NO_TEST,    NO_BLOCK, X_BODY,         NULL,             body_test,          NULL,            "RFC 5173 4"},
    {{"date", 4},          "SSL", KEYS | G_ZONE | INDEXED,      0,           NO_TEST,    NO_BLOCK, X_DATE,         NULL,             date_test,          check_date,      "RFC 5260 4"},
    {{"currentdate", 11},  "SL",  KEYS | G_ZONE,                0,           NO_TEST,    NO_BLOCK, X_DATE,         NULL,             currentdate_test,   check_currentdate, "RFC 5260 5"},
    {{"mailboxexists", 13}, "L",  0,                            0,           NO_TEST,    NO_BLOCK, X_MAILBOX,      NULL,             mailboxexists_test, NULL,            "RFC 5490 3.1"},
    {{"specialuse_exists", 17}, "?SL", 0,                       0,           NO_TEST,    NO_BLOCK, X_SPECIAL,      NULL,             specialuse_test,    NULL,            "RFC 8579 4"},
    {{"spamtest", 8},      "S",   KEYS | G_PERCENT,             0,           NO_TEST,    NO_BLOCK, X_SPAM | X_SPAMPLUS, NULL,        spam_test,          NULL,            "RFC 5235 2"},
    {{"virustest", 9},     "S",   KEYS,                         0,           NO_TEST,    NO_BLOCK, X_VIRUS,        NULL,             virus_test,         NULL,            "RFC 5235 3"},
    {{"environment", 11},  "SL",  KEYS,                         0,           NO_TEST,    NO_BLOCK, X_ENVIRONMENT,  NULL,             environment_test,   NULL,            "RFC 5183 4"},
    {{"duplicate", 9},     "",    G_HANDLE | G_UNIQUE | G_PERIOD | G_LAST, 0, NO_TEST,   NO_BLOCK, X_DUPLICATE,    NULL,             duplicate_test,     check_duplicate, "RFC 7352 3"},
    {{"ihave", 5},         "L",   0,                            0,           NO_TEST,    NO_BLOCK, X_IHAVE,        NULL,             ihave_test,         NULL,            "RFC 5463 4"},
};

static const struct sieve_tag tags[] = {
    {{"comparator", 10},    TAG_COMPARATOR,    G_COMPARATOR, 'S', 0},
    {{"is", 2},             TAG_IS,            G_MATCH,      0,   0},
    {{"contains", 8},       TAG_CONTAINS,      G_MATCH,      0,   0},
    {{"matches", 7},        TAG_MATCHES,       G_MATCH,      0,   0},
    {{"count", 5},          TAG_COUNT,         G_MATCH,      'S', X_RELATIONAL},
    {{"value", 5},          TAG_VALUE,         G_MATCH,      'S', X_RELATIONAL},
    {{"all", 3},            TAG_ALL,           G_PART,       0,   0},
    {{"localpart", 9},      TAG_LOCALPART,     G_PART,       0,   0},
    {{"domain", 6},         TAG_DOMAIN,        G_PART,       0,   0},
    {{"user", 4},           TAG_USER,          G_PART,       0,   X_SUBADDRESS},
    {{"detail", 6},         TAG_DETAIL,        G_PART,       0,   X_SUBADDRESS},
    {{"over", 4},           TAG_OVER,          G_SIZE,       0,   0},
    {{"under", 5},          TAG_UNDER,         G_SIZE,       0,   0},
    {{"copy", 4},           TAG_COPY,          G_COPY,       0,   X_COPY},
    {{"create", 6},         TAG_CREATE,        G_CREATE,     0,   X_MAILBOX},
    {{"flags", 5},          TAG_FLAGS,         G_FLAGS,      'L', X_FLAGS},
    {{"days", 4},           TAG_DAYS,          G_PERIOD,     'N', X_VACATION},
    {{"seconds", 7},        TAG_SECONDS,       G_PERIOD,     'N', X_SECONDS | X_DUPLICATE},
    {{"subject", 7},        TAG_SUBJECT,       G_SUBJECT,    'S', 0},
    {{"from", 4},           TAG_FROM,          G_FROM,       'S', 0},
    {{"addresses", 9},      TAG_ADDRESSES,     G_ADDRESSES,  'L', 0},
    {{"mime", 4},           TAG_MIME,          G_MIME,       0,   0},
    {{"handle", 6},         TAG_HANDLE,        G_HANDLE,     'S', 0},
    {{"lower", 5},          TAG_LOWER,         G_CASE,       0,   0},
    {{"upper", 5},          TAG_UPPER,         G_CASE,       0,   0},
    {{"lowerfirst", 10},    TAG_LOWERFIRST,    G_FIRST,      0,   0},
    {{"upperfirst", 10},    TAG_UPPERFIRST,    G_FIRST,      0,   0},
    {{"quotewildcard", 13}, TAG_QUOTEWILDCARD, G_QUOTE,      0,   0},
    {{"length", 6},         TAG_LENGTH,        G_LENGTH,     0,   0},
    {{"raw", 3},            TAG_RAW,           G_BODY,       0,   0},
    {{"content", 7},        TAG_CONTENT,       G_BODY,       'L', 0},
    {{"text", 4},           TAG_TEXT,          G_BODY,       0,   0},
    {{"zone", 4},           TAG_ZONE,          G_ZONE,       'S', 0},
    {{"originalzone", 12},  TAG_ORIGINALZONE,  G_ZONE,       0,   0},
    {{"index", 5},          TAG_INDEX,         G_INDEX,      'N', X_INDEX | X_EDITHEADER},
    {{"last", 4},           TAG_LAST,          G_LAST,       0,   X_INDEX | X_EDITHEADER | X_DUPLICATE},
    {{"header", 6},         TAG_HEADER,        G_UNIQUE,     'S', 0},
    {{"uniqueid", 8},       TAG_UNIQUEID,      G_UNIQUE,     'S', 0},
    {{"percent", 7},        TAG_PERCENT,       G_PERCENT,    0,   X_SPAMPLUS},
    {{"specialuse", 10},    TAG_SPECIALUSE,    G_SPECIAL,    'S', X_SPECIAL},
};

static const struct {
    struct slice name;
    uint32_t bit;
} extensions[] = {
    {{"fileinto", 8}, X_FILEINTO},         {{"envelope", 8}, X_ENVELOPE},
    {{"encoded-character", 17}, X_ENCODED}, {{"copy", 4}, X_COPY},
    {{"variables", 9}, X_VARIABLES},       {{"imap4flags", 10}, X_FLAGS},
    {{"subaddress", 10}, X_SUBADDRESS},    {{"relational", 10}, X_RELATIONAL},
    {{"reject", 6}, X_REJECT},             {{"ereject", 7}, X_EREJECT},
    {{"vacation", 8}, X_VACATION},         {{"vacation-seconds", 16}, X_SECONDS | X_VACATION},
    {{"body", 4}, X_BODY},                 {{"date", 4}, X_DATE},
    {{"index", 5}, X_INDEX},               {{"editheader", 10}, X_EDITHEADER},
    {{"mailbox", 7}, X_MAILBOX},           {{"environment", 11}, X_ENVIRONMENT},
    {{"duplicate", 9}, X_DUPLICATE},       {{"ihave", 5}, X_IHAVE},
    {{"spamtest", 8}, X_SPAM},             {{"spamtestplus", 12}, X_SPAMPLUS},
    {{"virustest", 9}, X_VIRUS},           {{"special-use", 11}, X_SPECIAL},
    {{"comparator-i;ascii-numeric", 26}, X_NUMERIC},
    {{"comparator-i;octet", 18}, X_ALWAYS}, {{"comparator-i;ascii-casemap", 26}, X_ALWAYS},
};

enum {
    N_COMMANDS = sizeof commands / sizeof commands[0],
    N_TESTS = sizeof tests / sizeof tests[0],
    N_TAGS = sizeof tags / sizeof tags[0],
    N_EXTENSIONS = sizeof extensions / sizeof extensions[0]
};

const struct sieve_row *sieve_command_find(struct slice name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (slice_eq_nocase(commands[i].name, name))
            return &commands[i];
    return NULL;
}

const struct sieve_row *sieve_test_find(struct slice name)
{
    for (size_t i = 0; i < N_TESTS; i++)
        if (slice_eq_nocase(tests[i].name, name))
            return &tests[i];
    return NULL;
}

const struct sieve_tag *sieve_tag_find(struct slice name, uint32_t groups)
{
    for (size_t i = 0; i < N_TAGS; i++)
        if ((tags[i].group & groups) && slice_eq_nocase(tags[i].name, name))
            return &tags[i];
    return NULL;
}

uint32_t sieve_extension_find(struct slice name)
{
    for (size_t i = 0; i < N_EXTENSIONS; i++)
        if (slice_eq(extensions[i].name, name)) /* case counts (RFC 5228 6.1) */
            return extensions[i].bit;
    return 0;
}

const char *sieve_extension_name(uint32_t bit)
{
    for (size_t i = 0; i < N_EXTENSIONS; i++)
        if (extensions[i].bit & bit)
            return extensions[i].name.p;
    return "?";
}

void sieve_extensions(struct buffer *out)
{
    for (size_t i = 0; i < N_EXTENSIONS; i++) {
        if (extensions[i].bit == X_ALWAYS)
            continue;
        if (i)
            buffer_add_char(out, ' ');
        buffer_add(out, extensions[i].name);
    }
}
