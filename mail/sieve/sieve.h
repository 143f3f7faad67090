/* mail/sieve/sieve.h -- Sieve (RFC 5228): a script becomes a checked tree, the tree over a message becomes a list of actions
 *
 * Pure functions: nothing is stored, sent or asked here. Whoever delivers carries the actions out with the owner's rights and fills struct sieve_message;
 * what needs a memory or the store (duplicate, mailboxexists) asks through its functions.
 *
 *     struct sieve_script *script;
 *     struct sieve_fault fault;
 *     if (sieve_compile(text, &script_arena, &script, &fault).code != ERROR_NONE)
 *         return reply(NO, fault.line, fault.text);           // PUTSCRIPT
 *     struct sieve_result result;
 *     sieve_run(script, &message, &arena, &result);           // never fails: at worst one keep, and result.fault for the owner
 *
 * What is stored of a script is its text: compiling is one linear pass (100 rules: below 1 ms, 64 KiB: about 10 ms and 2 MB), and a
 * compiled script is read only, so a cache may lend one to any number of threads. Every loop over bytes of a sender is counted (attacks.md SV-02).
 */
#ifndef KANTOR_MAIL_SIEVE_SIEVE_H
#define KANTOR_MAIL_SIEVE_SIEVE_H

#include "core/arena.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/slice.h"

enum {
    SIEVE_SCRIPT_MAX = 64 * 1024, /* bytes of a script */
    SIEVE_DEPTH_MAX = 32,         /* blocks in blocks, and tests in tests */
    SIEVE_NODES_MAX = 8192,       /* commands and tests of a script */
    SIEVE_ACTIONS_MAX = 32,       /* actions of one run */
    SIEVE_REDIRECTS_MAX = 5,      /* attacks.md SV-06 */
    SIEVE_STEPS_MAX = 32 * 1024 * 1024, /* bytes looked at by one run, about 0.1 s */
    SIEVE_VARIABLES_MAX = 128,    /* attacks.md SV-03 */
    SIEVE_VARIABLE_MAX = 4096,
    SIEVE_BODY_MAX = 1024 * 1024  /* what body tests see of a message */
};

struct sieve_script;

/* What is wrong, as a sentence for the owner of the script; line 0: no fault. */
struct sieve_fault {
    uint32_t line;
    const char *text;
};

/* Parses and checks. ERROR_INVALID (fault is set), ERROR_LIMIT (fault is set), ERROR_MEMORY. The script lives in the arena; `text` must live as long. Thread: any. */
struct error sieve_compile(struct slice text, struct arena *a, struct sieve_script **out, struct sieve_fault *fault);

/* "fileinto envelope ...": what `require` accepts, for ManageSieve's SIEVE capability. */
void sieve_extensions(struct buffer *out);

/* The message and its surroundings. Functions may be NULL: then a body is empty, no mailbox exists but INBOX, nothing was seen before, and the environment is unknown. */
struct sieve_message {
    struct slice head;         /* of the message, with its empty line */
    uint64_t size;             /* of the whole message */
    struct slice from, to;     /* envelope, without angle brackets; from empty: the null sender */
    int64_t now;               /* seconds since the epoch: currentdate */
    int spam;                  /* 1 + percent by which it is spam; 0: nobody looked (RFC 5235 2) */
    int virus;                 /* 1 none to 5 infected; 0: nobody looked (RFC 5235 3) */
    int zone;                  /* minutes east of the owner: date tests without :zone */
    void *arg;                 /* of the functions */
    /* Up to `most` bytes of the message from its first byte, in the arena. */
    struct error (*content)(void *arg, size_t most, struct arena *a, struct slice *out);
    bool (*mailbox_exists)(void *arg, struct slice name);
    /* Has this mailbox (p NULL: any of the owner's) this special use, "\\Junk" (RFC 8579 4)? */
    bool (*special_use)(void *arg, struct slice name, struct slice use);
    /* Was this id seen within its time? Looks only: the SIEVE_REMEMBER action makes it known once the delivery has succeeded (RFC 7352 3). */
    bool (*seen)(void *arg, struct slice handle, struct slice id);
    /* The value of an item of RFC 5183 ("domain", "host", "remote-ip", ...), p NULL when unknown. */
    struct slice (*environment)(void *arg, struct slice item);
};

enum sieve_action_kind {
    SIEVE_KEEP,     /* into INBOX, with flags */
    SIEVE_FILEINTO, /* into mailbox `text`, with flags; where it cannot be: INBOX */
    SIEVE_REDIRECT, /* to address `text` */
    SIEVE_DISCARD,  /* said so by the script; only for the trace */
    SIEVE_REJECT,   /* `text` to the sender (RFC 5429 2.2) */
    SIEVE_EREJECT,  /* `text`, refused in the dialogue (RFC 5429 2.1) */
    SIEVE_VACATION, /* answer unless RFC 5230 4.6 or the period forbid it */
    SIEVE_REMEMBER  /* `text` was seen: handle and id for `seen` */
};

struct sieve_list {
    const struct slice *all;
    size_t n;
};

struct sieve_vacation {
    struct slice subject, from, handle; /* p NULL when not given; the handle is made of the arguments then (RFC 5230 4.2) */
    struct sieve_list addresses;
    int64_t seconds; /* between two answers to one sender; 0: each time (RFC 6131) */
    bool mime;       /* `text` is a MIME entity with its head */
};

struct sieve_action {
    enum sieve_action_kind kind;
    bool implicit;          /* the keep nobody wrote */
    bool create;            /* RFC 5490: make the mailbox if it is missing */
    struct slice text;
    struct slice special;   /* SIEVE_FILEINTO: into the mailbox of this use where there is one (RFC 8579 5); p NULL: none was given */
    struct slice handle;    /* SIEVE_REMEMBER */
    int64_t seconds;        /* SIEVE_REMEMBER: how long */
    bool last;              /* SIEVE_REMEMBER: count from the last time, so renew when seen again */
    struct sieve_list flags; /* SIEVE_KEEP, SIEVE_FILEINTO */
    struct sieve_vacation *vacation;
    struct slice head; /* the head as edited so far (RFC 5293); p NULL: as it came */
};

struct sieve_result {
    const struct sieve_action *actions;
    size_t n;
    struct sieve_fault fault; /* text not NULL: the script failed, the only action is a keep, and the owner should be told */
    uint64_t steps;
    struct sieve_action fallback; /* where that keep lives */
};

/* Never fails: whatever goes wrong is a keep and a fault. Thread: any; the script may be shared. */
void sieve_run(const struct sieve_script *script, const struct sieve_message *m, struct arena *a, struct sieve_result *out);

#endif
