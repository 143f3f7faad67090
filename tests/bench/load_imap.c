/* tests/bench/load_imap.c -- IMAP and POP3 loads; see load.h */
#include "load.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The length of the literal that a line announces at its end, or -1. */
static long literal_at_end(const char *line, size_t n)
{
    if (n < 3 || line[n - 1] != '}') return -1;
    size_t i = n - 1;
    while (i > 0 && line[i - 1] >= '0' && line[i - 1] <= '9') i--;
    if (i == n - 1 || i == 0 || line[i - 1] != '{') return -1;
    long length = 0;
    for (; line[i] != '}'; i++) length = length * 10 + (line[i] - '0');
    return length;
}

/* One whole response (with its literals); the first line is given. */
static const char *response(struct client *c, size_t *n)
{
    static _Thread_local char first[512];
    const char *line = client_line(c, n);
    long literal = literal_at_end(line, *n);
    if (literal < 0) return line;
    size_t kept = *n < sizeof first ? *n : sizeof first;
    memcpy(first, line, kept);
    while (literal >= 0) {
        size_t more;
        client_skip(c, (size_t)literal);
        line = client_line(c, &more);
        literal = literal_at_end(line, more);
    }
    *n = kept;
    return first;
}

/* Reads up to the tagged reply; how many untagged responses came. */
static int await(struct client *c, const char *command)
{
    for (int count = 0;; count++) {
        size_t n;
        const char *line = response(c, &n);
        if (n < 2 || line[0] != 'a' || line[1] != ' ') continue;
        if (n < 4 || memcmp(line + 2, "OK", 2) != 0) die("%s: %.*s", command, (int)n, line);
        return count;
    }
}

static int run(struct client *c, const char *command)
{
    client_write(c, "a ", 2);
    client_write(c, command, strlen(command));
    client_write(c, "\r\n", 2);
    return await(c, command);
}

static struct client *log_in(const struct load *load, int user)
{
    char name[256], command[600];
    size_t n;
    struct client *c = client_open(load->host, load->port, load->mode);
    client_line(c, &n);
    load_user(load, user, name, sizeof name);
    snprintf(command, sizeof command, "LOGIN \"%s\" \"%s\"", name, load->password);
    run(c, command);
    return c;
}

static void select_mailbox(struct client *c, const struct load *load)
{
    char command[300];
    snprintf(command, sizeof command, "SELECT \"%s\"", load->mailbox);
    run(c, command);
}

static void log_out(struct client *c)
{
    run(c, "LOGOUT");
    client_close(c);
}

static void append(struct race *race, const struct load *load, int number)
{
    struct client *c = log_in(load, load->first_user + number % load->users);
    char *message = NULL;
    load_ready(race);
    for (int k; (k = load_next(race)) >= 0;) {
        size_t n = load_message(load, (unsigned)k, &message);
        client_print(c, "a APPEND \"%s\" (\\Seen) {%zu+}\r\n", load->mailbox, n);
        client_write(c, message, n);
        client_write(c, "\r\n", 2);
        await(c, "APPEND");
        load_done(race, 1);
    }
    log_out(c);
    free(message);
}

void load_append(const struct load *load) { load_race(load, append); }

void load_imap(const struct load *load)
{
    struct client *c = log_in(load, load->first_user);
    printf("[");
    const char *comma = "";
    for (int i = 0; i < load->rest_count; i++) {
        const char *command = load->rest[i];
        int timed = command[0] == '+';
        uint64_t before = client_received(c);
        double from = clock_now();
        int lines = run(c, command + timed);
        double seconds = clock_now() - from;
        if (!timed) continue;
        printf("%s{\"seconds\": %.6f, \"lines\": %d, \"bytes\": %llu}", comma, seconds, lines,
               (unsigned long long)(client_received(c) - before));
        comma = ", ";
    }
    printf("]\n");
    log_out(c);
}

static void loop(struct race *race, const struct load *load, int number)
{
    struct client *c = log_in(load, load->first_user + number % load->users);
    select_mailbox(c, load);
    load_ready(race);
    int done = 0;
    while (load_next(race) >= 0) {
        run(c, load->command);
        done++;
    }
    load_done(race, done);
    log_out(c);
}

void load_loop(const struct load *load) { load_race(load, loop); }

static void login(struct race *race, const struct load *load, int number)
{
    load_ready(race);
    while (load_next(race) >= 0) {
        struct client *c = log_in(load, load->first_user + number % load->users);
        select_mailbox(c, load);
        log_out(c);
        load_done(race, 1);
    }
}

void load_login(const struct load *load) { load_race(load, login); }

/* How long until every parked session has heard something. */
static void wait_for_notices(struct client **all, int count)
{
    double from = clock_now();
    struct pollfd *fds = calloc((size_t)count, sizeof *fds);
    if (fds == NULL) die("out of memory");
    for (int i = 0; i < count; i++) fds[i] = (struct pollfd){.fd = client_descriptor(all[i]), .events = POLLIN};
    int first_at = 0, left = count;
    while (left > 0) {
        if (poll(fds, (nfds_t)count, 60000) <= 0) die("%d of %d sessions heard nothing", left, count);
        for (int i = 0; i < count; i++) {
            if (fds[i].fd < 0 || fds[i].revents == 0) continue;
            fds[i].fd = -1;
            if (left-- == count) first_at = (int)((clock_now() - from) * 1e6);
        }
    }
    printf("{\"count\": %d, \"first_seconds\": %.6f, \"seconds\": %.6f}\n", count, first_at / 1e6, clock_now() - from);
    fflush(stdout);
    free(fds);
}

void load_idle(const struct load *load)
{
    struct client **all = calloc((size_t)load->sessions, sizeof(struct client *));
    if (all == NULL) die("out of memory");
    for (int i = 0; i < load->sessions; i++) {
        size_t n;
        all[i] = log_in(load, load->first_user + i % load->users);
        select_mailbox(all[i], load);
        client_print(all[i], "a IDLE\r\n");
        const char *line = client_line(all[i], &n);
        if (n < 1 || line[0] != '+') die("IDLE: %.*s", (int)n, line);
        client_park(all[i]);
    }
    printf("parked\n");
    fflush(stdout);
    char word[64];
    while (read(STDIN_FILENO, word, sizeof word) > 0) wait_for_notices(all, load->sessions);
    for (int i = 0; i < load->sessions; i++) client_close(all[i]);
    free(all);
}

static int pop3_line(struct client *c, const char *after)
{
    size_t n;
    const char *line = client_line(c, &n);
    if (n < 3 || memcmp(line, "+OK", 3) != 0) die("%s: %.*s", after, (int)n, line);
    char text[32];
    snprintf(text, sizeof text, "%.*s", n > 4 ? (int)(n - 4 < 30 ? n - 4 : 30) : 0, n > 4 ? line + 4 : "");
    return (int)strtol(text, NULL, 10);
}

void load_pop3(const struct load *load)
{
    char name[256];
    struct client *c = client_open(load->host, load->port, load->mode);
    pop3_line(c, "connect");
    load_user(load, load->first_user, name, sizeof name);
    double entered = clock_now();
    client_print(c, "USER %s\r\n", name);
    pop3_line(c, "USER");
    client_print(c, "PASS %s\r\n", load->password);
    pop3_line(c, "PASS");
    client_print(c, "STAT\r\n");
    int count = pop3_line(c, "STAT");
    if (count > load->messages) count = load->messages;
    double from = clock_now();
    for (int i = 1; i <= count; i++) {
        client_print(c, "RETR %d\r\n", i);
        pop3_line(c, "RETR");
        client_skip_dot(c);
    }
    double seconds = clock_now() - from;
    printf("{\"count\": %d, \"seconds\": %.6f, \"rate\": %.2f, \"login_seconds\": %.6f}\n", count, seconds, count / seconds, from - entered);
    client_print(c, "QUIT\r\n");
    pop3_line(c, "QUIT");
    client_close(c);
}
