/* tests/unit/mail/sieve/sieve_test.h -- a script over a message, and what came of it as text, one action a line */
#ifndef TESTS_UNIT_MAIL_SIEVE_TEST_H
#define TESTS_UNIT_MAIL_SIEVE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "mail/mime/header.h"
#include "mail/sieve/sieve.h"

enum { SIEVE_TEST_NOW = 1795507200 /* Tue, 24 Nov 2026 08:00:00 +0000 */ };

static inline struct error sieve_test_content(void *arg, size_t most, struct arena *a, struct slice *out)
{
    (void)a;
    *out = slice_first(*(struct slice *)arg, most);
    return OK;
}

static inline bool sieve_test_mailbox(void *arg, struct slice name)
{
    (void)arg;
    return slice_eq(name, SLICE("INBOX")) || slice_eq(name, SLICE("Work"));
}

static inline bool sieve_test_seen(void *arg, struct slice handle, struct slice id)
{
    (void)arg;
    return slice_eq(id, SLICE("<seen@x.example>")) && !slice_eq(handle, SLICE("other"));
}

static inline struct slice sieve_test_environment(void *arg, struct slice item)
{
    (void)arg;
    return slice_eq(item, SLICE("domain")) ? SLICE("kantor.example") : slice_make(NULL, 0);
}

static inline struct sieve_message sieve_test_message(struct slice *message, struct slice from, struct slice to)
{
    return (struct sieve_message){.head = slice_first(*message, header_length(*message)), .size = message->n, .from = from, .to = to, .now = SIEVE_TEST_NOW, .zone = 420, .arg = message,
                                  .content = sieve_test_content, .mailbox_exists = sieve_test_mailbox, .seen = sieve_test_seen, .environment = sieve_test_environment};
}

static inline void sieve_test_quote(struct buffer *out, struct slice s)
{
    buffer_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\n')
            buffer_add(out, SLICE("\\n"));
        else if (s.p[i] != '\r')
            buffer_add_char(out, s.p[i]);
    buffer_add_char(out, '"');
}

static inline void sieve_test_list(struct buffer *out, const char *name, struct sieve_list list)
{
    for (size_t i = 0; i < list.n; i++)
        buffer_printf(out, "%s%.*s", i ? "," : name, SLICE_ARG(list.all[i]));
}

static inline void sieve_test_word(struct buffer *out, const char *name, struct slice s)
{
    if (s.p == NULL)
        return;
    buffer_add(out, slice_of(name));
    sieve_test_quote(out, s);
}

static inline void sieve_test_action(struct buffer *out, const struct sieve_action *a)
{
    static const char *const names[] = {"keep", "fileinto", "redirect", "discard", "reject", "ereject", "vacation", "remember"};
    buffer_printf(out, "%s%s", a->implicit ? "implicit " : "", names[a->kind]);
    sieve_test_word(out, " ", a->text);
    if (a->create)
        buffer_add(out, SLICE(" create"));
    sieve_test_list(out, " flags=", a->flags);
    if (a->kind == SIEVE_REMEMBER) {
        sieve_test_word(out, " handle=", a->handle);
        buffer_printf(out, " seconds=%lld%s", (long long)a->seconds, a->last ? " last" : "");
    }
    if (a->vacation) {
        buffer_printf(out, " seconds=%lld%s", (long long)a->vacation->seconds, a->vacation->mime ? " mime" : "");
        sieve_test_word(out, " subject=", a->vacation->subject);
        sieve_test_word(out, " from=", a->vacation->from);
        sieve_test_word(out, " handle=", a->vacation->handle);
        sieve_test_list(out, " addresses=", a->vacation->addresses);
    }
    sieve_test_word(out, " head=", a->head);
    buffer_add_char(out, '\n');
}

/* Compiles and runs; "error LINE: sentence", or the actions and "fault LINE: sentence". */
static inline void sieve_test_run(struct slice script, struct slice message, struct slice from, struct slice to, struct buffer *out)
{
    struct sieve_message m = sieve_test_message(&message, from, to);
    struct sieve_script *s;
    struct sieve_fault fault;
    struct sieve_result result;
    struct arena a;
    arena_init(&a, ARENA_REQUEST_MAX);
    if (sieve_compile(script, &a, &s, &fault).code != ERROR_NONE) {
        buffer_printf(out, "error %u: %s\n", fault.line, fault.text);
    } else {
        sieve_run(s, &m, &a, &result);
        for (size_t i = 0; i < result.n; i++)
            sieve_test_action(out, &result.actions[i]);
        if (result.fault.text)
            buffer_printf(out, "fault %u: %s\n", result.fault.line, result.fault.text);
    }
    arena_free(&a);
}

#endif
