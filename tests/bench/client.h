/* tests/bench/client.h -- one blocking connection of the load program, plain or TLS
 *
 * A load of S sessions is S threads with a blocking socket each: a round trip costs one send and one recv, nothing of the client's own between them. What is sent is gathered
 * and leaves when the next reply is awaited. Any trouble ends the program with a sentence: a load that lost a reply must not print a rate.
 *
 *     struct client *c = client_open("127.0.0.1", 10143, 0);
 *     size_t n;
 *     const char *line = client_line(c, &n);
 *     client_print(c, "a NOOP\r\n");
 */
#ifndef KANTOR_TESTS_BENCH_CLIENT_H
#define KANTOR_TESTS_BENCH_CLIENT_H

#include <stddef.h>
#include <stdint.h>

struct client;

enum client_mode { CLIENT_PLAIN, CLIENT_TLS };

/* Connects, shakes hands when asked to (no certificate check, no resumption), switches Nagle off. */
struct client *client_open(const char *host, int port, enum client_mode mode);
void client_close(struct client *c);
/* Gathers bytes to send. */
void client_write(struct client *c, const void *bytes, size_t n);
void client_print(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void client_flush(struct client *c);
/* The next line without its line end; valid until the next call. Sends what was gathered first. */
const char *client_line(struct client *c, size_t *n);
/* Reads and drops n bytes (a literal). */
void client_skip(struct client *c, size_t n);
/* Drops lines up to one that is a single dot (POP3). */
void client_skip_dot(struct client *c);
/* Bytes received so far. */
uint64_t client_received(const struct client *c);
/* Frees both buffers, so that thousands of parked connections cost the load program little. */
void client_park(struct client *c);
/* For poll: whether something has come. */
int client_descriptor(const struct client *c);

double clock_now(void); /* seconds, monotonic */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
