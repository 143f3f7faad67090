/* mail/delivery/filter_internal.h -- what the files of the filter share: compiled scripts, plans, the messages that a plan sends */
#ifndef KANTOR_MAIL_DELIVERY_FILTER_INTERNAL_H
#define KANTOR_MAIL_DELIVERY_FILTER_INTERNAL_H

#include "core/account/script.h"
#include "mail/delivery/filter.h"
#include "mail/sieve/sieve.h"

enum { FILTER_ACTS_MAX = 64, FILTER_MARKS_MAX = 20, FILTER_DAY = 24 * 60 * 60 };

/* --- filter_cache.c: a script compiled once, lent to any number of threads */
struct compiled {
    const struct sieve_script *script; /* NULL: it does not compile (any more) */
    struct sieve_fault fault;
};
/* ERROR_NOT_FOUND: it was deleted meanwhile. Give back with compiled_return. */
struct error compiled_lend(struct sql *db, const struct script *row, const struct compiled **out);
void compiled_return(const struct compiled **c);

/* --- a plan */
struct filter_act {
    struct sieve_action a;
    struct message *message; /* as edited (RFC 5293), or what is sent to somebody; NULL: as it came */
    const char *key;         /* of `once`: vacation, duplicate */
};

struct filter_plan {
    struct filter_plan *next;
    struct arena *arena;
    const struct filter_input *in;
    struct account owner;
    struct address rcpt; /* the address that it came by */
    const char *own;     /* the same as text */
    bool alone;          /* nobody else gets it by that address */
    struct filter_act *acts;
    size_t n_acts;
    struct slice script;      /* the personal script's name, for the trace */
    struct sieve_fault fault; /* text NULL: none */
    struct message *note;     /* about the fault */
    struct slice refusal;     /* p NULL: not refused in the dialogue */
    const struct compiled *lent[SCRIPT_RUNNING_MAX]; /* texts of actions are theirs; given back with the plan */
};

struct filter {
    struct store *store;
    struct filter_plan *first;
    struct arena *arena;
};

void filter_options_get(struct filter_options *out);
struct slice filter_head(const struct filter_plan *p);

/* --- filter_run.c: all scripts over the message, in their order */
struct error filter_run(struct sql *db, struct filter_plan *p, const struct script *rows, size_t n, struct arena *a);
/* The role of "\\Junk" (RFC 6154); ROLE_NONE: no such use. */
enum collection_role filter_role(struct slice use);
/* "vac:…", "dup:…": a short key of `once` for any texts. NULL: no memory. */
const char *filter_key(const char *kind, const struct slice *texts, size_t n, struct arena *a);

/* --- filter_vacation.c: RFC 5230 4.5, 4.6; attacks.md SV-07 */
struct error vacation_wanted(struct sql *db, const struct filter_plan *p, const struct sieve_action *a, struct arena *arena, bool *yes);
/* :from only where it is the owner's own address; else as if it was not given. */
struct error vacation_sender(struct sql *db, const struct filter_plan *p, struct sieve_action *a, struct arena *arena);
const char *vacation_key(const struct filter_plan *p, const struct sieve_action *a, struct arena *arena);
/* May any automatic answer go to whoever sent this? */
bool answer_allowed(const struct filter_plan *p, struct arena *a);

/* --- filter_reply.c: the texts of what is sent; whole messages with Return-Path and Received */
void reply_vacation(const struct filter_plan *p, const struct sieve_action *a, struct arena *arena, struct buffer *out);
void reply_rejection(const struct filter_plan *p, const struct sieve_action *a, struct arena *arena, struct buffer *out);
void reply_fault(const struct filter_plan *p, struct buffer *out);

#endif
