/* core/metrics.h -- counters and histograms for /metrics and `kantorctl top`
 *
 * A closed set (attacks.md CO-03): a counter is a row here, labels are part of the row. Adding one is one atomic instruction.
 * Gauges that belong to a module (queue length, connections) are read through a callback when somebody asks.
 */
#ifndef KANTOR_CORE_METRICS_H
#define KANTOR_CORE_METRICS_H

#include <stdint.h>

#include "core/buffer.h"

/*        id                        Prometheus name (without kantor_)   labels                     help */
#define METRICS(X)                                                                                                                     \
    X(CONNECTIONS_SMTP,            "connections_total",                "service=\"smtp\"",         "connections accepted")              \
    X(CONNECTIONS_LMTP,            "connections_total",                "service=\"lmtp\"",         "connections accepted")              \
    X(CONNECTIONS_IMAP,            "connections_total",                "service=\"imap\"",         "connections accepted")              \
    X(CONNECTIONS_POP3,            "connections_total",                "service=\"pop3\"",         "connections accepted")              \
    X(CONNECTIONS_HTTP,            "connections_total",                "service=\"http\"",         "connections accepted")              \
    X(CONNECTIONS_REFUSED,         "connections_refused_total",        "",                         "connections refused by a limit")    \
    X(LOGINS_OK,                   "logins_total",                     "result=\"ok\"",            "logins")                            \
    X(LOGINS_FAILED,               "logins_total",                     "result=\"failed\"",        "logins")                            \
    X(MAIL_RECEIVED,               "mail_received_total",              "",                         "messages accepted over SMTP and LMTP") \
    X(MAIL_RECEIVED_BYTES,         "mail_received_bytes_total",        "",                         "bytes of accepted messages")        \
    X(MAIL_DELIVERED,              "mail_delivered_total",             "",                         "copies put into mailboxes")         \
    X(MAIL_REFUSED,                "mail_refused_total",               "",                         "recipients and messages refused")   \
    X(MAIL_FILTERED,               "mail_filtered_total",              "",                         "transactions, recipients and messages that a filter refused") \
    X(SENDING_REFUSED,             "sending_refused_total",            "",                         "times that an account was stopped by its sending limit or block") \
    X(MAIL_QUEUED,                 "mail_queued_total",                "",                         "messages put into the queue")       \
    X(QUEUE_SENT,                  "queue_results_total",              "result=\"sent\"",          "recipients whose try at another server ended so")   \
    X(QUEUE_DEFERRED,              "queue_results_total",              "result=\"deferred\"",      "recipients whose try at another server ended so")   \
    X(QUEUE_FAILED,                "queue_results_total",              "result=\"failed\"",        "recipients whose try at another server ended so")   \
    X(DNS_QUESTIONS,               "dns_questions_total",              "",                         "questions to the DNS")              \
    X(DNS_FAILURES,                "dns_failures_total",               "",                         "questions without an answer: time-outs, refusals, signatures that are wrong") \
    X(IMAP_COMMANDS,               "commands_total",                   "service=\"imap\"",         "commands run")                      \
    X(SMTP_COMMANDS,               "commands_total",                   "service=\"smtp\"",         "commands run")                      \
    X(POP3_COMMANDS,               "commands_total",                   "service=\"pop3\"",         "commands run")                      \
    X(COMMANDS_HELD,               "commands_held_total",              "",                         "times that a connection waited because its account or address gave too many commands") \
    X(STORE_CHANGES,               "store_changes_total",              "",                         "changes made durable")              \
    X(STORE_COMMITS,               "store_commits_total",              "",                         "commits")                           \
    X(STORE_FAILURES,              "store_failures_total",             "",                         "changes that a full or failing disk refused") \
    X(STORE_BLOB_READS,            "store_blob_reads_total",           "",                         "times that the bytes of a message were read") \
    X(BYTES_IN,                    "bytes_total",                      "direction=\"in\"",         "bytes over client connections")     \
    X(BYTES_OUT,                   "bytes_total",                      "direction=\"out\"",        "bytes over client connections")

enum metric {
#define METRIC_ENUM(id, name, labels, help) METRIC_##id,
    METRICS(METRIC_ENUM)
#undef METRIC_ENUM
        METRIC_COUNT
};

/* Thread: any. */
void metric_add(enum metric m, uint64_t n);
uint64_t metric_get(enum metric m);

/*        id                        name                                help (times in seconds) */
#define HISTOGRAMS(X)                                                                                                                   \
    X(STORE_COMMIT,                "store_commit_seconds",             "time of a batch of changes from its first statement to the disk") \
    X(STORE_CHANGE,                "store_change_seconds",             "time that a change took for its caller, waiting included")        \
    X(MAIL_DELIVERY,               "mail_delivery_seconds",            "time from a whole message received to its copies being durable")

enum histogram {
#define HISTOGRAM_ENUM(id, name, help) HISTOGRAM_##id,
    HISTOGRAMS(HISTOGRAM_ENUM)
#undef HISTOGRAM_ENUM
        HISTOGRAM_COUNT
};

/* Counts one duration. A few atomic instructions. Thread: any. */
void metric_observe(enum histogram h, int64_t microseconds);

/* A number that is read when asked for; texts static. `labels` is "" or like "service=\"imap\""; gauges of one name are registered one after the other, before
 * threads start. The callback may run on any thread. */
void metric_gauge(const char *name, const char *labels, const char *help, int64_t (*read)(void *arg), void *arg);

/* The whole page in Prometheus' text format 0.0.4. */
void metrics_write(struct buffer *out);

#endif
