/* tests/bench/load.h -- what the sub-commands of the load program share
 *
 * Each sub-command sets up its sessions (connect, log in), starts them together, and prints one line of JSON: {"count": …, "seconds": …, "rate": …}. Set-up is not timed.
 */
#ifndef KANTOR_TESTS_BENCH_LOAD_H
#define KANTOR_TESTS_BENCH_LOAD_H

#include "client.h"

struct load {
    const char *host, *user, *password, *mailbox, *protocol, *command;
    int port, sessions, messages, size, users, first_user, recipients, rare_every;
    enum client_mode mode;
    double seconds;
    char **rest; /* arguments after the options */
    int rest_count;
};

/* Runs `session` in as many threads as the load has sessions. Each does its set-up, calls load_ready, works while load_next gives numbers, and ends. */
struct race;
typedef void (*load_session)(struct race *race, const struct load *load, int number);
/* Prints the line. */
void load_race(const struct load *load, load_session session);
/* Waits until every session is set up; the first return starts the clock. */
void load_ready(struct race *race);
/* The number of the next piece of work, from 0; negative: none is left (count or time used up). */
int load_next(struct race *race);
/* `pieces` were done (a message to 100 recipients is 100 deliveries). */
void load_done(struct race *race, int pieces);

/* The name of user number n: load->user with %d replaced. */
void load_user(const struct load *load, int n, char *out, size_t size);

/* A message of about `size` bytes: Received, From, To, Subject with an encoded word now and then, a multipart/alternative body of text and HTML; differs for each number and run. The word
 * `quixotry` stands in subject and body of every rare_every-th. Returns its length; *out is malloc'ed at first and used again. No line is a single dot, none begins with one. */
size_t load_message(const struct load *load, unsigned number, char **out);

void load_deliver(const struct load *load); /* LMTP or SMTP: MAIL, RCPT, DATA in one flight as MTAs do */
void load_append(const struct load *load);  /* IMAP APPEND with LITERAL+ */
void load_imap(const struct load *load);    /* one session: commands in order, those with a leading + timed one by one */
void load_loop(const struct load *load);    /* IMAP: one command again and again in each session */
void load_login(const struct load *load);   /* IMAP: connect, LOGIN, SELECT, LOGOUT again and again */
void load_idle(const struct load *load);    /* IMAP: parks sessions in IDLE until standard input ends */
void load_pop3(const struct load *load);    /* POP3: RETR of every message */

#endif
