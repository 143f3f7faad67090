/* mail/filter/verify.h -- who sent this message? SPF, iprev, DKIM, ARC and DMARC of one message, asked side by side
 *
 * Each check is a machine that asks (mail/authentication, mail/dkim). This one gathers what all of them want to know into one round of questions, is given
 * the answers, and goes on until nobody asks any more: a usual message needs two or three rounds, however many signatures it has. What can be asked at
 * MAIL is asked there, so its answers are there when the message is. It opens no socket and reads no clock.
 *
 *     TRY(verify_envelope(v, arena, suffixes, &request));
 *     while ((n = verify_questions(v, questions, VERIFY_ROUND_MAX)))
 *         for (i = 0; i < n; i++) verify_answer(v, i, &answers[i]);
 *     TRY(verify_message(v, head, body, now));  ... the same loop ...
 *     verify_judge(v, sample);  verify_fields(v, hostname, &out);
 *     verify_free(v);
 *
 * Questions are counted: past VERIFY_QUESTIONS_MAX of a message the rest is answered with DNS_TEMPERROR (attacks.md DN-04, MA-20). Thread: one at a time.
 */
#ifndef KANTOR_MAIL_FILTER_VERIFY_H
#define KANTOR_MAIL_FILTER_VERIFY_H

#include "mail/authentication/dmarc.h"
#include "mail/authentication/spf.h"
#include "mail/dkim/arc.h"
#include "mail/dkim/verify.h"

enum { VERIFY_ROUND_MAX = 96, VERIFY_QUESTIONS_MAX = 60, VERIFY_PTR_MAX = 3 };

enum verify_kind { VERIFY_HELO, VERIFY_SENDER, VERIFY_REVERSE, VERIFY_REVERSE_ADDRESS, VERIFY_DKIM, VERIFY_ARC, VERIFY_DMARC };

enum verify_reverse { REVERSE_ASKED, REVERSE_FORWARD, REVERSE_PASS, REVERSE_FAIL, REVERSE_PERMERROR, REVERSE_TEMPERROR };

struct verify {
    /* --- what is known at the end */
    struct spf helo, sender;
    bool has_sender;           /* MAIL FROM was not empty: `sender` is a check of its own */
    enum verify_reverse reverse;
    struct slice reverse_name; /* PASS: of the client, LDH */
    struct dkim_verify *dkim;  /* NULL before the message, or without memory */
    struct arc *arc;           /* the same */
    struct dmarc dmarc;
    struct dmarc_verdict verdict;
    unsigned questions, rounds;

    /* --- private */
    struct arena *arena;
    const struct suffix_list *suffixes;
    struct spf_request request;
    bool has_message, gave_up;
    struct slice names[VERIFY_PTR_MAX];
    size_t n_names, names_left;
    bool name_unknown;         /* a forward look-up had a temporary error */
    struct verify_slot {
        enum verify_kind kind;
        size_t which;
    } slots[VERIFY_ROUND_MAX];
    size_t n_slots;
};

/* Slices of the request must live as long as the arena; `suffixes` outlives v. ERROR_MEMORY. */
struct error verify_envelope(struct verify *v, struct arena *a, const struct suffix_list *suffixes, const struct spf_request *request);
/* The message: `head` up to and with its empty line, both must live as long as v is asked. The body is hashed here, where it lies. ERROR_MEMORY. */
struct error verify_message(struct verify *v, struct slice head, struct slice body, int64_t now);

/* The next round, all of it; 0: nobody asks (for now). Each must be answered before the next. */
size_t verify_questions(struct verify *v, struct dns_question *out);
void verify_answer(struct verify *v, size_t i, const struct dns_answer *answer);
/* The time is up: what is open becomes a temporary error. */
void verify_give_up(struct verify *v);

/* After the last answer. sample: random, 0 to 99. wide: attacks.md MA-21. */
void verify_judge(struct verify *v, unsigned sample, enum dmarc_wide wide);

/* SPF's result as it counts: of the sender, or of HELO where that is empty. */
const struct spf *verify_spf(const struct verify *v);
const char *verify_reverse_word(const struct verify *v);
/* How many signatures have that result; `first`: the domain of one of them. */
size_t verify_dkim_count(const struct verify *v, enum dkim_result result, struct slice *first);

/* Memory of libcrypto; the rest is the arena's. */
void verify_free(struct verify *v);

/* Authentication-Results and Received-SPF (RFC 8601, RFC 7208 9.1). `client`: its address as text. */
void verify_fields(const struct verify *v, struct slice hostname, struct slice client, struct buffer *out);

#endif
