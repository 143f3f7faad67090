/* core/options.h -- every option of kantor.conf, once
 *
 * The struct, the parser, the sample configuration, the man page and the defaults all come from these rows. A row X(...) can be changed by SIGHUP,
 * a row R(...) needs a restart. What an admin changes while the
 * server runs is not here but in the store. Adding an option is adding a row; the type says which values are legal.
 *
 * kantor.conf: `name = value` lines, `#` comments, `include` is not offered. An unknown or repeated name, a value out of bounds or a file that cannot be read stops
 * the start with file, line and what to write instead.
 */
#ifndef KANTOR_CORE_OPTIONS_H
#define KANTOR_CORE_OPTIONS_H

#include <stdint.h>

#include "core/arena.h"
#include "core/buffer.h"
#include "core/error.h"

/* Types: TEXT (string), PATH (absolute, or relative to the file's folder), NUMBER lo..hi, SIZE (bytes; K, M, G), TIME (ms; "30s", "10m", "2h", "1d"), CHOICE "a|b|c", LIST (comma-separated), ADDRESS
 * (whole list of listeners: see below). */
/*        field               name                       type     default                     lo        hi                 choices             help */
#define OPTIONS(X, R)                                                                                                                                       \
    R(hostname,           "hostname",                TEXT,   "",                         0,        0,                 "",                 "Name of this server in greetings, Received fields and certificates; empty: the machine's own name.") \
    R(data_dir,           "data_dir",                PATH,   "/var/lib/kantor",          0,        0,                 "",                 "Where everything is stored.") \
    R(control_socket,     "control.socket",          PATH,   "",                         0,        0,                 "",                 "Unix socket of kantorctl; empty: control.sock in data_dir.") \
    R(listen,             "listen.addresses",        LIST,   "0.0.0.0,::",               0,        0,                 "",                 "Addresses that the mail services listen on.") \
    R(port_base,          "listen.port_base",        NUMBER, "0",                        0,        50000,             "",                 "Added to every well-known port (demonstrations and tests).") \
    R(services,           "listen.services",         LIST,   "smtp, submission, submissions, lmtp, imap, imaps, pop3, pop3s, managesieve, admin", 0, 0,   "",     "Services to offer.") \
    R(lmtp_listen,        "lmtp.addresses",          LIST,   "127.0.0.1,::1",            0,        0,                 "",                 "Addresses that LMTP listens on; LMTP takes mail without login.") \
    R(admin_listen,       "admin.addresses",         LIST,   "127.0.0.1,::1",            0,        0,                 "",                 "Addresses of the listener with /metrics and /healthz.") \
    X(tls_certificates,   "tls.certificates",        LIST,   "",                         0,        0,                 "",                 "Pairs chain.pem:key.pem; the first is the default, the others are chosen by name (SNI). Empty: tls.crt and tls.key in data_dir, self-signed when absent.") \
    R(user,               "process.user",            TEXT,   "kantor",                   0,        0,                 "",                 "User to become when started as root, once the ports are bound; empty: stay root.") \
    R(sandbox_folders,    "sandbox.folders",         LIST,   "/var/backups/kantor",      0,        0,                 "",                 "Folders besides data_dir that the server may read and write (backup, import, export); /: all.") \
    X(auth_cleartext,     "auth.cleartext",          CHOICE, "loopback",                 0,        0,                 "never|loopback|always", "Where passwords may be sent without TLS.") \
    X(scram_upgrade,      "auth.scram_upgrade",      CHOICE, "yes",                      0,        0,                 "no|yes",           "A password without a SCRAM verifier (accounts made in bulk, imported hashes) gets one when PLAIN or LOGIN proved it, so that clients which prefer SCRAM work.") \
    X(max_message,        "mail.max_message_size",   SIZE,   "50M",                      1024,     2147483647,        "",                 "Largest message accepted, in bytes.") \
    X(max_recipients,     "mail.max_recipients",     NUMBER, "1000",                     1,        100000,            "",                 "Recipients of one message.") \
    X(plus_separator,     "mail.detail_separator",   TEXT,   "+",                        0,        0,                 "",                 "Between local part and detail; several characters: any of them; empty: no detail addresses.") \
    X(own_senders,        "mail.own_senders",        CHOICE, "refuse",                   0,        0,                 "refuse|accept",    "Envelope senders of our own domains from servers that have not logged in: refused, or (where old forwarders send our mail back to us) accepted.") \
    R(dns_forward,        "dns.forward",           LIST,   "",                          0,        0,                "",                 "Resolvers to ask, as address or address@port; empty: our own resolution from the root. Validation (DNSSEC) is always our own.") \
    R(dns_trust_anchor,   "dns.trust_anchor",      PATH,   "/usr/share/dns/root.key",   0,        0,                "",                 "The key of the root for DNSSEC (package dns-root-data); empty: nothing is validated, DANE is off.") \
    R(dns_table,          "dns.table",             PATH,   "",                          0,        0,                "",                 "A file that is the whole DNS, for demonstrations and tests: nothing leaves the machine, an unknown name does not exist.") \
    R(dns_timeout,        "dns.timeout",           TIME,   "10s",                       100,      120000,           "",                 "How long an answer of the DNS is waited for.") \
    X(relay_smarthost,    "relay.smarthost",       TEXT,   "",                          0,        0,                "",                 "A server that takes all outgoing mail: host or host:port; empty: the servers of each domain (MX).") \
    X(relay_port,         "relay.port",            NUMBER, "25",                        1,        65535,            "",                 "The port of other servers.") \
    X(relay_tls,          "relay.tls",             CHOICE, "dane",                      0,        0,                "none|may|encrypt|dane|verify", "TLS towards other servers where no route says otherwise: never; where it is offered; always; as their signed DNS (DANE) asks, else where it is offered; always with a certificate for their name.") \
    X(relay_loopback,     "relay.loopback",        CHOICE, "refuse",                    0,        0,                "refuse|allow",     "Whether servers of others may be on this machine (127.0.0.1, ::1): for demonstrations and tests.") \
    X(relay_sessions,     "relay.sessions",        NUMBER, "500",                       1,        20000,            "",                 "Connections to other servers in all.") \
    X(relay_per_destination,"relay.per_destination", NUMBER, "20",                        1,        100,              "",                 "Connections to the servers of one domain; it begins with five and grows while they work.") \
    X(queue_lifetime,     "queue.lifetime",          TIME,   "5d",                       3600000,  2592000000LL,      "",                 "How long delivery to another server is tried.") \
    X(sending_hour,       "sending.hour",            NUMBER, "1000",                     0,        1000000000,        "",                 "Recipients that an account may send to in an hour (kantorctl account sending sets others); 0: any number.") \
    X(sending_day,        "sending.day",             NUMBER, "5000",                     0,        1000000000,        "",                 "The same in a day.") \
    X(sending_app_hour,   "sending.app_hour",        NUMBER, "500",                      0,        1000000000,        "",                 "Recipients in an hour of one app password, where its account has no limits of its own; 0: any number.") \
    X(sending_app_day,    "sending.app_day",         NUMBER, "2000",                     0,        1000000000,        "",                 "The same in a day.") \
    X(filter_trusted,     "filter.trusted",          LIST,   "",                         0,        0,                 "",                 "Networks whose mail is not limited, not authenticated, not looked up in block lists and not greylisted: your own servers, a smart host, a backup MX.") \
    X(filter_dnsbl,       "filter.dnsbl",            LIST,   "",                         0,        0,                 "",                 "Block lists in the DNS, each with the answers that are hits: bl.example=127.0.0.2-11 127.0.0.20, other.example=127.0.0.2.") \
    X(filter_dnswl,       "filter.dnswl",            LIST,   "",                         0,        0,                 "",                 "Lists of well-known senders, written in the same way: what they have is neither blocked by filter.dnsbl nor greylisted.") \
    X(dnsbl_action,       "filter.dnsbl_action",     CHOICE, "refuse",                   0,        0,                 "refuse|delay|junk", "What happens to mail from an address in a block list: refused for good, refused for now, or put into Junk.") \
    X(filter_milters,     "filter.milters",          LIST,   "",                         0,        0,                 "",                 "Milters to ask in this order, as unix:/path or inet:address:port, each with what happens when it fails: =tempfail (the default), =accept or =reject.") \
    X(milter_timeout,     "filter.milter_timeout",   TIME,   "30s",                      100,      600000,            "",                 "How long an answer of a milter is waited for.") \
    X(rate_address,       "filter.rate_address",     NUMBER, "1000",                     0,        1000000,           "",                 "Messages a minute that are taken from one address elsewhere; 0: any number.") \
    X(rate_network,       "filter.rate_network",     NUMBER, "3000",                     0,        1000000,           "",                 "Messages a minute from one network (IPv4 /24, IPv6 /64); 0: any number.") \
    X(rate_recipients,    "filter.rate_recipients",  NUMBER, "10000",                    0,        10000000,          "",                 "Recipients a minute from one network; 0: any number.") \
    X(rate_sender,        "filter.rate_sender",      NUMBER, "0",                        0,        1000000,           "",                 "Messages a minute with one envelope sender from elsewhere; 0: any number.") \
    X(queue_retry,        "queue.retry",             LIST,   "1m,5m,15m,30m,1h,2h,4h",   0,        0,                 "",                 "How long to wait before the second try, the third, ...; the last one repeats. Up to a tenth is added, so that not all comes back at once.") \
    X(queue_delay_notice, "queue.delay_notice",      TIME,   "4h",                       0,        2592000000LL,      "",                 "A sender is told once when his message waits longer than this; 0: never.") \
    X(sieve_day,          "sieve.sent_a_day",        NUMBER, "1000",                     0,        1000000000,        "",                 "Messages a day that the Sieve scripts of one account may send (redirect, vacation, rejections); then mail is kept instead. 0: any number.") \
    X(authentication,     "authentication.policy",   CHOICE, "enforce",                  0,        0,                 "off|mark|enforce", "Incoming mail from elsewhere is checked (SPF, DKIM, ARC, DMARC). mark: the result stands in Authentication-Results, nothing else. enforce: what the author's domain asks for (DMARC: reject, quarantine) is done.") \
    X(authentication_spf, "authentication.spf_fail", CHOICE, "mark",                     0,        0,                 "mark|junk|refuse", "What is done where SPF alone says fail and DMARC does not pass; forwarders without SRS look like this.") \
    X(authentication_wide, "authentication.wide_spf", CHOICE, "pass",                    0,        0,                 "pass|neutral",     "Whether SPF counts for DMARC where it passed by +all or a network wider than /16 (IPv6 /32). neutral: it does not; large hosters (Microsoft 365) have such networks.") \
    X(authentication_sealers, "authentication.sealers", LIST, "",                        0,        0,                 "",                 "Domains whose ARC seal is believed: mail that they found good (dmarc=pass) and changed is not refused for DMARC. Lists and forwarders you know.") \
    X(authentication_timeout, "authentication.timeout", TIME, "20s",                     1000,     120000,            "",                 "How long the checks of one message may wait for the DNS in all; then the rest is a temporary error.") \
    R(loops,              "threads.loops",           NUMBER, "2",                        1,        64,                "",                 "Event loop threads.") \
    R(workers,            "threads.workers",         NUMBER, "32",                       4,        256,               "",                 "Worker threads.") \
    R(readers,            "threads.readers",         NUMBER, "8",                        1,        64,                "",                 "Read-only database connections.") \
    X(queue_send,         "queue.send",              CHOICE, "yes",                      0,        0,                 "no|yes",           "Whether mail leaves for other servers. no: it waits in the queue (a move, a test, a stolen password), and nothing is returned to its sender.") \
    X(max_connections,    "limit.connections",       NUMBER, "20000",                    16,       1000000,           "",                 "Connections in all.") \
    X(max_per_address,    "limit.per_address",       NUMBER, "200",                      1,        1000000,           "",                 "Connections from one address (an IPv6 /64 counts as one).") \
    X(max_per_account,    "limit.per_account",       NUMBER, "200",                      1,        1000000,           "",                 "Connections logged in to one account.") \
    X(max_loopback,       "limit.loopback",          NUMBER, "2000",                     1,        1000000,           "",                 "Both limits for clients on this machine.") \
    X(commands,           "limit.commands",          NUMBER, "500",                      0,        1000000,           "",                 "Commands a second of one account, or before login of one address; past it the next command waits. 0: no limit.") \
    X(commands_burst,     "limit.commands_burst",    NUMBER, "5000",                     1,        1000000,           "",                 "How many of them may come at once, after a quiet while.") \
    X(commands_loopback,  "limit.commands_loopback", NUMBER, "20000",                    0,        1000000,           "",                 "Commands a second for clients on this machine, with ten seconds' worth at once. 0: no limit.") \
    X(idle_smtp,          "timeout.smtp",            TIME,   "5m",                       1000,     86400000,          "",                 "SMTP and LMTP without input (RFC 5321 4.5.3.2).") \
    X(total_smtp,         "timeout.smtp_session",    TIME,   "6h",                       1000,     604800000,         "",                 "SMTP and LMTP connection in all: ends a client that sends one byte a minute.") \
    X(idle_imap,          "timeout.imap",            TIME,   "31m",                      1000,     86400000,          "",                 "IMAP after login without input (RFC 9051 5.4: at least 30 minutes).") \
    X(idle_pop3,          "timeout.pop3",            TIME,   "10m",                      1000,     86400000,          "",                 "POP3 without input (RFC 1939 3: at least 10 minutes).") \
    X(idle_managesieve,   "timeout.managesieve",     TIME,   "30m",                      1000,     86400000,          "",                 "ManageSieve after login without input (RFC 5804 2.1: at least 30 minutes).") \
    X(pop3_takeover,      "timeout.pop3_takeover",   TIME,   "60s",                      0,        86400000,          "",                 "Silence after which a POP3 session loses the mailbox to the next login of its owner.") \
    X(login_timeout,      "timeout.login",           TIME,   "60s",                      1000,     3600000,           "",                 "Time until an IMAP or POP3 client must have logged in.") \
    X(proxy_trusted,      "proxy.trusted",           LIST,   "",                         0,        0,                 "",                 "Networks whose PROXY protocol header is believed; then every connection from them must send one.") \
    R(backup_folder,      "backup.folder",           PATH,   "",                         0,        0,                 "",                 "Where nightly backups stand, each in a folder of its own; empty: none are made. Another disk is best.") \
    X(backup_at,          "backup.at",               TEXT,   "03:00",                    0,        0,                 "",                 "When, by the clock of this machine (HH:MM).") \
    X(backup_keep,        "backup.keep",             NUMBER, "7",                        1,        1000,              "",                 "How many nightly backups are kept.") \
    X(backup_verify,      "backup.verify_every",     TIME,   "7d",                       0,        31536000000LL,     "",                 "How often a nightly backup is read back whole and compared; 0: never.") \
    X(disk_alarm,         "store.disk_alarm",        SIZE,   "1G",                       0,        INT64_MAX,         "",                 "The log has an alarm when less than this is free; 0: none.") \
    X(trace_keep,         "trace.keep",              TIME,   "14d",                      3600000,  315360000000LL,    "",                 "How long is kept what became of each message (kantorctl trace).") \
    R(retention,          "store.retention",         TIME,   "30d",                      0,        315360000000LL,    "",                 "How long removed mail can be restored.") \
    X(log_level,          "log.level",               CHOICE, "info",                     0,        0,                 "error|warn|info|debug", "What is logged.")

/* One value: which member is valid follows from the row's type. LIST and PATH are text, too. */
struct config {
#define OPTION_TEXT(f) const char *f;
#define OPTION_PATH(f) const char *f;
#define OPTION_LIST(f) const char *f;
#define OPTION_CHOICE(f) int f; /* the position in the row's choices */
#define OPTION_NUMBER(f) int64_t f;
#define OPTION_SIZE(f) int64_t f;
#define OPTION_TIME(f) int64_t f; /* ms */
#define OPTION_FIELD(field, name, type, standard, lo, hi, choices, help) OPTION_##type(field)
    OPTIONS(OPTION_FIELD, OPTION_FIELD)
#undef OPTION_FIELD
};

enum { AUTHENTICATION_OFF, AUTHENTICATION_MARK, AUTHENTICATION_ENFORCE };
enum { SPF_FAIL_MARK, SPF_FAIL_JUNK, SPF_FAIL_REFUSE };
enum { WIDE_SPF_PASS, WIDE_SPF_NEUTRAL };
enum { OWN_SENDERS_REFUSE, OWN_SENDERS_ACCEPT };
enum { CLEARTEXT_NEVER, CLEARTEXT_LOOPBACK, CLEARTEXT_ALWAYS };

/* All defaults. Texts live in the arena, which must outlive the configuration. */
struct error config_defaults(struct arena *a, struct config *out);
/* Reads a file over the defaults. On failure the error's text is one or more whole lines "FILE:LINE: what is wrong; write … instead". */
struct error config_read(const char *path, struct arena *a, struct config *out);
/* Gives the options that need a restart the running values back, and tells the names of those that differed. */
void config_keep_fixed(const struct config *running, struct config *fresh, void (*tell)(const char *name, void *arg), void *arg);
/* Every option has the same value. */
bool config_equal(const struct config *one, const struct config *other);
/* Limits that contradict each other (attacks.md CO-13). */
struct error config_check(const struct config *c, struct arena *a);
/* The commented sample configuration, with every default. */
void config_write_sample(struct buffer *out);
/* The options as mdoc/man source for kantor.conf(5). */
void config_write_man(struct buffer *out);

#endif
