/* tests/bench/load_mail.c -- messages that are written for the load, and their delivery by LMTP and SMTP */
#include "load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const words[] = {"agenda",  "budget", "carrier", "delivery", "evening", "forecast", "garden", "harbour", "invoice", "journey", "kitchen",
                                    "ledger",  "market", "notebook", "office", "payment", "quarter", "report", "schedule", "travel", "update", "village",
                                    "weather", "yearly", "meeting", "contract", "minutes", "printer", "room", "salary", "team", "visit"};
enum { WORDS = sizeof words / sizeof *words };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t put_words(char *out, size_t room, uint64_t *state, int count)
{
    size_t n = 0;
    for (int i = 0; i < count && n + 12 < room; i++) {
        const char *word = words[next_random(state) % WORDS];
        size_t length = strlen(word);
        memcpy(out + n, word, length);
        n += length;
        out[n++] = i + 1 == count ? '\n' : ' ';
    }
    if (n > 0) {
        out[n - 1] = '\r';
        out[n++] = '\n';
    }
    return n;
}

/* Filler is made once and cut from: writing a megabyte of words for each message would measure this program. */
enum { FILLER = 2 * 1024 * 1024 };
static char filler[FILLER + 16];

static void make_filler(void)
{
    uint64_t state = 88172645463325252u;
    for (size_t n = 0; n + 128 < FILLER;) n += put_words(filler + n, FILLER - n, &state, 9);
}

size_t load_message(const struct load *load, unsigned number, char **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_filler);
    size_t room = (size_t)load->size + 4096;
    if (*out == NULL && (*out = malloc(room)) == NULL) die("out of memory");
    uint64_t state = ((uint64_t)number + 1) * 0x9e3779b97f4a7c15u ^ ((uint64_t)getpid() << 40);
    char subject[160];
    size_t s = put_words(subject, sizeof subject, &state, 5);
    subject[s - 2] = '\0';
    int rare = load->rare_every > 0 && number % (unsigned)load->rare_every == 0;
    int head = snprintf(*out, room,
                        "Received: from mx.sender.example (mx.sender.example [192.0.2.25])\r\n\tby relay.kantor.example with ESMTPS id %016llx\r\n"
                        "\tfor <staff@kantor.example>; Mon, 16 Nov 2026 09:%02u:%02u +0700\r\nFrom: \"Sender %u\" <sender%u@sender.example>\r\n"
                        "To: =?UTF-8?Q?Kantor_R=C3=A9ception?= <staff@kantor.example>\r\nCc: Other <other%u@sender.example>, third@sender.example\r\n"
                        "Subject: %s%s %u\r\nDate: Mon, 16 Nov 2026 09:%02u:%02u +0700\r\nMessage-ID: <%llx.%u@sender.example>\r\n"
                        "MIME-Version: 1.0\r\nX-Mailer: kantor load\r\nContent-Type: multipart/alternative; boundary=\"=_part_%x\"\r\n\r\n--=_part_%x\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nMessage %llx of the load.%s\r\n",
                        (unsigned long long)next_random(&state), number / 60 % 60, number % 60, number % 97, number % 97, number % 89, rare ? "quixotry " : "",
                        subject, number, number / 60 % 60, number % 60, (unsigned long long)next_random(&state), number, number, number,
                        (unsigned long long)next_random(&state), rare ? " It was mere quixotry." : "");
    size_t n = (size_t)head;
    size_t tail = 320, rest = (size_t)load->size > n + tail ? (size_t)load->size - n - tail : 0;
    size_t from = next_random(&state) % (FILLER - rest - 200);
    while (filler[from] != '\n') from++;
    memcpy(*out + n, filler + from + 1, rest);
    n += rest;
    if (rest > 0 && (*out)[n - 1] == '\r') (*out)[n - 1] = '.'; /* cut inside a line end: a bare CR is refused */
    n += (size_t)snprintf(*out + n, room - n,
                          "\r\n--=_part_%x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                          "<html><body><p>Message of the load.</p><p>See =C3=A9.</p></body></html>\r\n--=_part_%x--\r\n",
                          number, number);
    return n;
}

static void expect(struct client *c, char digit, const char *after)
{
    size_t n;
    const char *line;
    do line = client_line(c, &n);
    while (n > 3 && line[3] == '-');
    if (n < 3 || line[0] != digit) die("after %s: %.*s", after, (int)n, line);
}

static void greet(struct client *c, int lmtp)
{
    expect(c, '2', "connect");
    client_print(c, "%s load.sender.example\r\n", lmtp ? "LHLO" : "EHLO");
    expect(c, '2', "hello");
}

static void deliver(struct race *race, const struct load *load, int number)
{
    (void)number;
    int lmtp = strcmp(load->protocol, "lmtp") == 0;
    struct client *c = client_open(load->host, load->port, load->mode);
    char *message = NULL, user[256];
    greet(c, lmtp);
    load_ready(race);
    for (int k; (k = load_next(race)) >= 0;) {
        size_t n = load_message(load, (unsigned)k, &message);
        client_print(c, "MAIL FROM:<sender@sender.example>\r\n");
        for (int r = 0; r < load->recipients; r++) {
            load_user(load, load->first_user + (k * load->recipients + r) % load->users, user, sizeof user);
            client_print(c, "RCPT TO:<%s>\r\n", user);
        }
        client_print(c, "DATA\r\n");
        expect(c, '2', "MAIL");
        for (int r = 0; r < load->recipients; r++) expect(c, '2', "RCPT");
        expect(c, '3', "DATA");
        client_write(c, message, n);
        client_print(c, ".\r\n");
        for (int r = 0; r < (lmtp ? load->recipients : 1); r++) expect(c, '2', "the dot");
        load_done(race, load->recipients);
    }
    client_print(c, "QUIT\r\n");
    expect(c, '2', "QUIT");
    client_close(c);
    free(message);
}

void load_deliver(const struct load *load) { load_race(load, deliver); }
