/* tests/bench/load.c -- the load program: options, sub-commands, sessions started together; see load.h */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct race {
    const struct load *load;
    load_session session;
    pthread_barrier_t start;
    atomic_int next, done, number;
    _Atomic double deadline;
    double begun;
};

void load_ready(struct race *race)
{
    if (pthread_barrier_wait(&race->start) == PTHREAD_BARRIER_SERIAL_THREAD) {
        race->begun = clock_now();
        race->deadline = race->begun + race->load->seconds;
    }
    pthread_barrier_wait(&race->start);
}

int load_next(struct race *race)
{
    if (race->load->seconds > 0 && clock_now() >= race->deadline) return -1;
    int n = atomic_fetch_add(&race->next, 1);
    if (race->load->seconds <= 0 && n >= race->load->messages) return -1;
    return n;
}

void load_done(struct race *race, int pieces) { atomic_fetch_add(&race->done, pieces); }

static void *run_session(void *arg)
{
    struct race *race = arg;
    race->session(race, race->load, atomic_fetch_add(&race->number, 1));
    return NULL;
}

void load_race(const struct load *load, load_session session)
{
    struct race race = {.load = load, .session = session};
    pthread_t *threads = calloc((size_t)load->sessions, sizeof *threads);
    if (threads == NULL || pthread_barrier_init(&race.start, NULL, (unsigned)load->sessions) != 0) die("out of memory");
    for (int i = 0; i < load->sessions; i++) {
        if (pthread_create(&threads[i], NULL, run_session, &race) != 0) die("no thread for session %d", i);
    }
    for (int i = 0; i < load->sessions; i++) pthread_join(threads[i], NULL);
    double seconds = clock_now() - race.begun;
    printf("{\"count\": %d, \"seconds\": %.6f, \"rate\": %.2f}\n", race.done, seconds, race.done / seconds);
    free(threads);
}

void load_user(const struct load *load, int n, char *out, size_t size)
{
    const char *mark = strstr(load->user, "%d");
    int need = mark == NULL ? snprintf(out, size, "%s", load->user)
                            : snprintf(out, size, "%.*s%d%s", (int)(mark - load->user), load->user, n, mark + 2);
    if (need < 0 || (size_t)need >= size) die("user name too long");
}

/* How long a commit of this disk takes: 4 KB appended and fdatasync'ed, the median of 300. */
static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void load_fsync(const struct load *load)
{
    enum { ROUNDS = 300 };
    static double took[ROUNDS];
    char path[4096], page[4096];
    if (load->rest_count != 1) die("load fsync FOLDER");
    if ((size_t)snprintf(path, sizeof path, "%s/fsync.XXXXXX", load->rest[0]) >= sizeof path) die("path too long");
    int fd = mkstemp(path);
    if (fd < 0) die("%s: %s", path, strerror(errno));
    unlink(path);
    memset(page, 'k', sizeof page);
    for (int i = 0; i < ROUNDS; i++) {
        double from = clock_now();
        if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) != 0) die("fdatasync: %s", strerror(errno));
        took[i] = clock_now() - from;
    }
    close(fd);
    qsort(took, ROUNDS, sizeof *took, compare);
    printf("{\"median_ms\": %.3f, \"p90_ms\": %.3f}\n", took[ROUNDS / 2] * 1e3, took[ROUNDS * 9 / 10] * 1e3);
}

static const struct {
    const char *name, *help;
    void (*run)(const struct load *load);
} commands[] = {
    {"deliver", "mail in: --protocol lmtp|smtp --sessions --messages --size --users --recipients", load_deliver},
    {"append", "IMAP APPEND: --sessions --messages --size", load_append},
    {"imap", "one IMAP session: commands as arguments, + before one to time it", load_imap},
    {"loop", "one IMAP command again and again: --sessions --command --seconds", load_loop},
    {"login", "connect, LOGIN, SELECT, LOGOUT: --sessions --seconds", load_login},
    {"idle", "parks --sessions in IDLE, prints `parked`; for each line of its standard input, how long until all heard something", load_idle},
    {"pop3", "RETR of every message", load_pop3},
    {"fsync", "how long a durable write of 4 KB takes in FOLDER", load_fsync},
};

static _Noreturn void usage(void)
{
    fputs("load SUB-COMMAND [--host H] [--port P] [--tls] [--user U%d@D] [--password W] [--mailbox M] ...\n", stderr);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) fprintf(stderr, "  %-8s %s\n", commands[i].name, commands[i].help);
    exit(2);
}

static int number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*end != '\0' || n < 0 || n > 100000000) die("not a number: %s", text);
    return (int)n;
}

static void read_options(int argc, char **argv, struct load *l)
{
    static const struct option names[] = {
        {"host", 1, NULL, 'h'}, {"port", 1, NULL, 'p'}, {"tls", 0, NULL, 't'}, {"user", 1, NULL, 'u'}, {"password", 1, NULL, 'w'},
        {"mailbox", 1, NULL, 'm'}, {"sessions", 1, NULL, 's'}, {"messages", 1, NULL, 'n'}, {"size", 1, NULL, 'b'}, {"users", 1, NULL, 'U'},
        {"first-user", 1, NULL, 'f'}, {"recipients", 1, NULL, 'r'}, {"rare-every", 1, NULL, 'e'}, {"protocol", 1, NULL, 'P'},
        {"command", 1, NULL, 'c'}, {"seconds", 1, NULL, 'T'}, {0},
    };
    int o;
    while ((o = getopt_long(argc, argv, "+", names, NULL)) != -1) {
        switch (o) {
        case 'h': l->host = optarg; break;
        case 'p': l->port = number(optarg); break;
        case 't': l->mode = CLIENT_TLS; break;
        case 'u': l->user = optarg; break;
        case 'w': l->password = optarg; break;
        case 'm': l->mailbox = optarg; break;
        case 's': l->sessions = number(optarg); break;
        case 'n': l->messages = number(optarg); break;
        case 'b': l->size = number(optarg); break;
        case 'U': l->users = number(optarg); break;
        case 'f': l->first_user = number(optarg); break;
        case 'r': l->recipients = number(optarg); break;
        case 'e': l->rare_every = number(optarg); break;
        case 'P': l->protocol = optarg; break;
        case 'c': l->command = optarg; break;
        case 'T': l->seconds = strtod(optarg, NULL); break;
        default: usage();
        }
    }
    l->rest = argv + optind;
    l->rest_count = argc - optind;
}

int main(int argc, char **argv)
{
    struct load load = {
        .host = "127.0.0.1", .user = "user%d@kantor.example", .password = "demo-password", .mailbox = "INBOX", .protocol = "lmtp", .command = "NOOP",
        .sessions = 1, .messages = 1000, .size = 4096, .users = 1, .first_user = 1, .recipients = 1, .rare_every = 1000,
    };
    if (argc < 2) usage();
    read_options(argc - 1, argv + 1, &load);
    if (load.sessions < 1 || load.users < 1 || load.recipients < 1) die("sessions, users and recipients begin at 1");
    struct rlimit files = {65536, 65536};
    setrlimit(RLIMIT_NOFILE, &files);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, argv[1]) == 0) {
            commands[i].run(&load);
            return 0;
        }
    }
    usage();
}
