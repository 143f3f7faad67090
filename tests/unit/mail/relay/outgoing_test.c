/* A message as it leaves: who signs for it, what is taken off and put in front, and that verifiers agree */
#include "mail/relay/outgoing.h"

#include <glob.h>

#include "core/clock.h"
#include "mail/delivery/deliver.h"
#include "mail/dkim/verify.h"
#include "mail/mime/header.h"
#include "mail/signing/keys.h"
#include "tests/unit/core/account/world.h"

#define HEAD(from) "From: " from "\r\nTo: a@elsewhere.example\r\nSubject: Halo\r\nDate: Mon, 24 Nov 2025 10:00:00 +0700\r\nMessage-ID: <1@kantor.example>\r\n"
#define MESSAGE(from) HEAD(from) "\r\nApa  kabar? \r\n\r\n\r\n"

struct entering {
    struct world *w;
    struct blob_put put;
    struct queue_entry entry;
    const struct keys_pair *pair;
    int64_t domain;
};

static struct error enter(struct sql *db, void *arg)
{
    struct entering *x = arg;
    enum blob_fresh fresh;
    TRY(blob_enter(db, &x->put, &x->entry.blob, &fresh));
    return queue_enter(db, &x->entry, &x->entry.id);
}

static struct queue_entry queued(struct world *w, struct slice message, struct queue_entry like)
{
    struct entering x = {.w = w, .entry = like};
    x.entry.job = SLICE("job");
    if (!like.sender.p)
        x.entry.sender = SLICE("");
    blob_put_begin(w->store, &x.put);
    assert_int_equal(blob_put_add(&x.put, message).code, ERROR_NONE);
    assert_int_equal(blob_put_end(&x.put).code, ERROR_NONE);
    assert_int_equal(store_change(w->store, enter, &x).code, ERROR_NONE);
    blob_put_drop(&x.put);
    return x.entry;
}

static void with_keys(struct world *w)
{
    bool more = true;
    while (more)
        assert_int_equal(keys_make_missing(w->store, DOMAIN_KEY_ACTIVE, &more).code, ERROR_NONE);
}

/* All that is sent. */
static struct slice sent(struct world *w, struct slice message, const struct outgoing *out)
{
    struct buffer b = {0};
    buffer_add(&b, out->head);
    buffer_add(&b, slice_after(message, (size_t)out->from));
    assert_int_equal(out->size, (int64_t)buffer_length(&b));
    struct slice s = arena_copy(&w->arena, buffer_slice(&b));
    buffer_free(&b);
    return s;
}

/* Each signature judged with the record of its row. */
static size_t passes(struct world *w, struct slice message)
{
    struct dkim_verify *v;
    struct domain_key *keys;
    size_t n, good = 0;
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    assert_int_equal(domain_key_list(db, 0, &w->arena, &keys, &n).code, ERROR_NONE);
    assert_int_equal(dkim_verify_message(&w->arena, message, clock_now(), &dkim_limits_usual, &v).code, ERROR_NONE);
    for (size_t i = 0; i < dkim_verify_count(v); i++) {
        struct slice name = dkim_verify_need(v, i);
        for (size_t k = 0; name.p && k < n; k++)
            if (slice_starts(name, keys[k].selector) && name.p[keys[k].selector.n] == '.' &&
                slice_ends(name, slice_of(keys[k].domain == 1 ? "._domainkey.kantor.example" : "._domainkey.cabang.example"))) {
                dkim_verify_answer(v, i, DKIM_ANSWER_RECORDS, &keys[k].record, 1);
                break;
            }
        good += dkim_verify_outcome(v, i)->result == DKIM_PASS;
    }
    dkim_verify_free(v);
    return good;
}

/* The same question to python3-dkim: "dkim=2 arc=none". */
static const char *python_says(struct world *w, struct slice message)
{
    struct domain_key *keys;
    size_t n;
    char *line = arena_alloc(&w->arena, 500);
    const char *path = arena_printf(&w->arena, "%s/message", w->path), *records = arena_printf(&w->arena, "%s/records", w->path);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    assert_int_equal(domain_key_list(db, 0, &w->arena, &keys, &n).code, ERROR_NONE);
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(message.p, 1, message.n, f), message.n);
    (void)fclose(f);
    f = fopen(records, "w");
    for (size_t i = 0; i < n; i++)
        (void)fprintf(f, "%.*s._domainkey.%s %.*s\n", SLICE_ARG(keys[i].selector), keys[i].domain == 1 ? "kantor.example" : "cabang.example", SLICE_ARG(keys[i].record));
    (void)fclose(f);
    f = popen(arena_printf(&w->arena, "/usr/bin/python3 tests/unit/mail/relay/verify.py %s %s", path, records), "r");
    assert_non_null(fgets(line, 500, f));
    (void)pclose(f);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static struct outgoing left(struct world *w, struct slice message, struct queue_entry like)
{
    struct outgoing out;
    struct queue_entry e = queued(w, message, like);
    assert_int_equal(outgoing_head(w->store, "kantor.example", &e, &w->arena, &out).code, ERROR_NONE);
    return out;
}

static void the_return_path_stays_here_and_both_keys_sign(void **state)
{
    struct world *w = *state;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    struct slice message = SLICE("Return-Path: <budi@kantor.example>\r\nReceived: from x\r\n\tby y; z\r\n" MESSAGE("Budi <budi@kantor.example>"));
    with_keys(w);
    struct outgoing out = left(w, message, (struct queue_entry){.account = budi, .sender = SLICE("budi@kantor.example"), .head = SLICE("Delivered-To: x@kantor.example\r\n")});
    assert_int_equal(out.signatures, 2);
    assert_true(slice_eq(out.signed_by, SLICE("kantor.example")));
    struct slice all = sent(w, message, &out);
    assert_int_equal(passes(w, all), 2);
    assert_string_equal(python_says(w, all), "dkim=2 arc=none ");
    assert_null(memmem(all.p, all.n, "Return-Path", 11));
    assert_null(memmem(all.p, all.n, "l=", 2));
    assert_non_null(memmem(out.head.p, out.head.n, " x=", 3));
    assert_true(slice_ends(out.head, SLICE("Delivered-To: x@kantor.example\r\n")));
}

static void the_second_destination_gets_the_same_signature(void **state)
{
    struct world *w = *state;
    struct outgoing one, two;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    with_keys(w);
    struct queue_entry e = queued(w, SLICE(MESSAGE("budi@kantor.example")), (struct queue_entry){.account = budi});
    clock_set_fake(1795000000);
    assert_int_equal(outgoing_head(w->store, "", &e, &w->arena, &one).code, ERROR_NONE);
    clock_set_fake(1795000100);
    assert_int_equal(outgoing_head(w->store, "", &e, &w->arena, &two).code, ERROR_NONE);
    clock_set_fake(0);
    assert_true(slice_eq(one.head, two.head) && one.head.p != two.head.p && one.size == two.size && slice_eq(one.signed_by, two.signed_by));
}

/* attacks.md MA-28, and what is broken. */
static void nobody_gets_a_signature_for_an_author_that_is_not_his(void **state)
{
    struct world *w = *state;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example"), rina = add(w, ACCOUNT_PERSON, "rina@cabang.example");
    with_keys(w);
    const struct {
        const char *message;
        int64_t account;
        int flags, signatures;
    } rows[] = {
        {MESSAGE("rina@cabang.example"), budi, 0, 0},                    /* another domain of this server */
        {MESSAGE("sari@kantor.example"), budi, 0, 0},                    /* nobody, or somebody else */
        {MESSAGE("budi@kantor.example"), 0, 0, 0},                       /* came from outside */
        {MESSAGE("budi@elsewhere.example"), budi, 0, 0},                 /* not ours */
        {MESSAGE("budi@kantor.example"), rina, 0, 0},
        {MESSAGE("budi@kantor.example, rina@cabang.example"), budi, 0, 0},
        {MESSAGE("budi@kantor.example\r\nFrom: budi@kantor.example"), budi, 0, 0},
        {MESSAGE("g: budi@kantor.example;"), budi, 0, 0},
        {HEAD("budi@kantor.example") "no field\r\n\r\nx\r\n", budi, 0, 0},
        {MESSAGE("budi@sub.kantor.example"), budi, 0, 0},
        {MESSAGE("Budi+Berita@KANTOR.example"), budi, 0, 2},
        {MESSAGE("MAILER-DAEMON@kantor.example"), 0, DELIVERY_OWN, 2},   /* a report of ours */
        {MESSAGE("MAILER-DAEMON@elsewhere.example"), 0, DELIVERY_OWN, 0},
        {MESSAGE("rina@cabang.example"), rina, 0, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice message = slice_of(rows[i].message);
        struct outgoing out = left(w, message, (struct queue_entry){.account = rows[i].account, .flags = rows[i].flags, .sender = SLICE("budi@kantor.example")});
        if (out.signatures != rows[i].signatures || passes(w, sent(w, message, &out)) != (size_t)rows[i].signatures)
            fail_msg("row %zu: %d signatures", i, out.signatures);
    }
}

static void a_list_signs_for_its_own_mail_only(void **state)
{
    struct world *w = *state;
    int64_t list = add(w, ACCOUNT_GROUP, "staf@cabang.example");
    struct slice message = SLICE(MESSAGE("ani@elsewhere.example"));
    with_keys(w);
    struct outgoing out = left(w, message, (struct queue_entry){.account = list, .sender = SLICE("staf-bounces@cabang.example")});
    assert_int_equal(out.signatures, 2);
    assert_true(slice_eq(out.signed_by, SLICE("cabang.example")));
    assert_int_equal(passes(w, sent(w, message, &out)), 2);
    out = left(w, message, (struct queue_entry){.account = list, .sender = SLICE("ani@elsewhere.example")}); /* passed on to the owner */
    assert_int_equal(out.signatures, 0);
}

/* --- ARC */

#define FOREIGN "From: ani@elsewhere.example\r\nTo: budi@kantor.example\r\nSubject: Halo\r\nDate: Mon, 24 Nov 2025 10:00:00 +0700\r\nMessage-ID: <1@elsewhere.example>\r\n\r\nApa kabar?\r\n"
#define FOUND(arc) "Authentication-Results: mx.kantor.example;\r\n\tspf=pass reason=\"arc=pass; x\" smtp.mailfrom=elsewhere.example; " arc "\r\n"

static struct slice passed_on(struct world *w, struct slice message, const char *mark)
{
    struct outgoing out;
    struct queue_entry e = queued(w, message, (struct queue_entry){.sender = SLICE("SRS0=x@kantor.example"), .head = slice_of(mark)});
    assert_int_equal(outgoing_head(w->store, "mx.kantor.example", &e, &w->arena, &out).code, ERROR_NONE);
    assert_int_equal(out.signatures, 0);
    return sent(w, message, &out);
}

static void what_is_passed_on_is_sealed_and_the_next_station_seals_again(void **state)
{
    struct world *w = *state;
    with_keys(w);
    struct slice one = passed_on(w, SLICE(FOUND("dkim=none") FOREIGN), "Delivered-To: budi@kantor.example\r\n");
    assert_true(slice_starts(one, SLICE("ARC-Seal: i=1; a=rsa-sha256;")));
    assert_non_null(memmem(one.p, one.n, "ARC-Authentication-Results: i=1; mx.kantor.example;", 51));
    assert_string_equal(python_says(w, one), "dkim=0 arc=pass ");
    struct slice again = slice_of(arena_printf(&w->arena, "Received: from x by y; z\r\n" FOUND("arc=pass") "%.*s", SLICE_ARG(one)));
    struct slice two = passed_on(w, again, "Delivered-To: rina@cabang.example\r\n");
    assert_non_null(memmem(two.p, two.n, "cv=pass", 7));
    assert_non_null(memmem(two.p, two.n, "d=cabang.example", 16));
    assert_string_equal(python_says(w, two), "dkim=0 arc=pass ");
    char *changed = arena_string(&w->arena, two);
    changed[strlen(changed) - 4] = 'X';
    assert_true(strncmp(python_says(w, slice_of(changed)), "dkim=0 arc=fail", 15) == 0);
}

static void a_chain_that_we_found_broken_is_sealed_as_broken(void **state)
{
    struct world *w = *state;
    with_keys(w);
    struct slice one = passed_on(w, SLICE(FOUND("dkim=none") FOREIGN), "Delivered-To: budi@kantor.example\r\n");
    struct slice two = passed_on(w, slice_of(arena_printf(&w->arena, FOUND("arc=fail") "%.*s", SLICE_ARG(one))), "Delivered-To: budi@kantor.example\r\n");
    assert_non_null(memmem(two.p, two.n, "ARC-Seal: i=2;", 14));
    assert_non_null(memmem(two.p, two.n, "cv=fail", 7));
    struct slice three = passed_on(w, slice_of(arena_printf(&w->arena, FOUND("arc=fail") "%.*s", SLICE_ARG(two))), "Delivered-To: budi@kantor.example\r\n");
    assert_null(memmem(three.p, three.n, "i=3;", 4)); /* RFC 8617 5.1: nothing is added behind a failure */
}

static void nothing_is_sealed_that_we_know_nothing_of(void **state)
{
    struct world *w = *state;
    with_keys(w);
    struct slice one = passed_on(w, SLICE(FOUND("dkim=none") FOREIGN), "Delivered-To: budi@kantor.example\r\n");
    const struct {
        struct slice message;
        const char *mark;
    } rows[] = {
        {SLICE(FOREIGN), "Delivered-To: budi@kantor.example\r\n"},                                              /* no results */
        {SLICE("Authentication-Results: other.example; spf=pass\r\n" FOREIGN), "Delivered-To: budi@kantor.example\r\n"},
        {SLICE(FOUND("dkim=none") FOREIGN), "Delivered-To: x@elsewhere.example\r\n"},
        {SLICE(FOUND("dkim=none") FOREIGN), "X-Other: y\r\n"},
        {slice_of(arena_printf(&w->arena, FOUND("dkim=none") "%.*s", SLICE_ARG(one))), "Delivered-To: budi@kantor.example\r\n"}, /* a chain, and no verdict of it */
        {SLICE(FOUND("arc=pass") "ARC-Seal: i=2; a=rsa-sha256; cv=pass; d=x; s=y; b=\r\n" FOREIGN), "Delivered-To: budi@kantor.example\r\n"}, /* holes */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!slice_starts(passed_on(w, rows[i].message, rows[i].mark), slice_of(rows[i].mark)))
            fail_msg("row %zu", i);
}

static void only_active_keys_sign(void **state)
{
    struct world *w = *state;
    bool more = true;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    while (more)
        assert_int_equal(keys_make_missing(w->store, DOMAIN_KEY_MADE, &more).code, ERROR_NONE);
    assert_int_equal(left(w, SLICE(MESSAGE("budi@kantor.example")), (struct queue_entry){.account = budi}).signatures, 0);
}

/* Bodies cut at every place of the first pieces, some megabytes, odd ends: what is hashed in pieces is what is sent. */
static void bodies_of_every_size_and_end_verify(void **state)
{
    static const char *const ends[] = {"", "\r\n", "\r\n\r\n\r\n", " \t\r\n", "x", "\r", "\n", "\x80\r\n"};
    struct world *w = *state;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    with_keys(w);
    for (size_t i = 0; i < 3 * sizeof ends / sizeof ends[0]; i++) {
        struct buffer b = {0};
        buffer_add(&b, SLICE("Return-Path: <>\r\n" HEAD("budi@kantor.example") "\r\n"));
        for (size_t k = 0; k < (size_t[]){0, 5000, 40000}[i % 3]; k++)
            buffer_printf(&b, "line %zu  of the\tbody%s\r\n", k * 7919, k % 5 ? "" : "  ");
        buffer_add(&b, slice_of(ends[i / 3]));
        struct slice message = arena_copy(&w->arena, buffer_slice(&b));
        buffer_free(&b);
        struct outgoing out = left(w, message, (struct queue_entry){.account = budi});
        if (passes(w, sent(w, message, &out)) != 2)
            fail_msg("end %zu, size %zu", i / 3, message.n);
    }
}

/* Messages of every awkward shape, signed for a list's domain (whoever wrote them): python3-dkim agrees, where DATA could carry them at all. */
static void awkward_messages_verify_elsewhere(void **state)
{
    struct world *w = *state;
    int64_t list = add(w, ACCOUNT_GROUP, "staf@cabang.example");
    size_t agreed = 0;
    glob_t g;
    with_keys(w);
    assert_int_equal(glob("tests/data/mail/*.eml", 0, NULL, &g), 0);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        static char bytes[1 << 20];
        FILE *f = fopen(g.gl_pathv[i], "rb");
        struct slice message = slice_make(bytes, fread(bytes, 1, sizeof bytes, f));
        (void)fclose(f);
        struct outgoing out = left(w, message, (struct queue_entry){.account = list, .sender = SLICE("staf-bounces@cabang.example")});
        if (!out.signatures || out.holds & OUTGOING_BARE)
            continue;
        struct slice all = sent(w, message, &out);
        if (passes(w, all) != 2 || strcmp(python_says(w, all), "dkim=2 arc=none ") != 0)
            fail_msg("%s: %s", g.gl_pathv[i], python_says(w, all));
        agreed++;
    }
    globfree(&g);
    if (agreed < 5)
        fail_msg("only %zu messages", agreed);
}

/* attacks.md MA-03: whoever replays a message of ours cannot add to it. */
static void nothing_can_be_added_to_what_we_signed(void **state)
{
    static const char *const fields[] = {"From: x@y.example", "To: x", "Cc: x", "Subject: x", "Date: x", "Reply-To: x", "Message-ID: <x>", "MIME-Version: 1.0", "Content-Type: text/html", "Content-Transfer-Encoding: base64",
                                         "List-Id: <x>", "List-Unsubscribe: <x>", "Sender: x@y.example"};
    struct world *w = *state;
    int64_t list = add(w, ACCOUNT_GROUP, "staf@kantor.example");
    with_keys(w);
    struct slice message = SLICE("List-Id: <staf>\r\nList-Unsubscribe: <a>\r\nSender: staf@kantor.example\r\n" MESSAGE("ani@elsewhere.example"));
    struct outgoing out = left(w, message, (struct queue_entry){.account = list});
    struct slice all = sent(w, message, &out);
    assert_int_equal(passes(w, all), 2);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (passes(w, slice_of(arena_printf(&w->arena, "%s\r\n%.*s", fields[i], SLICE_ARG(all)))) != 0)
            fail_msg("%s", fields[i]);
    assert_int_equal(passes(w, slice_of(arena_printf(&w->arena, "%.*sand more\r\n", SLICE_ARG(all)))), 0);
}

static void what_the_other_side_must_take_is_told(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *message;
        int holds;
    } rows[] = {
        {"From: a\r\n\r\nx\r\n", 0},
        {"From: a\r\n\r\nx", OUTGOING_OPEN_END},
        {"From: a\r\n\r\n\xc3\xa9\r\n", OUTGOING_EIGHT_BIT},
        {"From: \xc3\xa9\r\n\r\nx\r\n", OUTGOING_UTF8_HEAD},
        {"From: a\r\n\r\na\nb\r\n", OUTGOING_BARE},
        {"From: a\r\n\r\na\rb\r\n", OUTGOING_BARE},
        {"From: a\r\n\r\na\r\r\n", OUTGOING_BARE},
        {"From: a\r\n\r\na\r", OUTGOING_BARE | OUTGOING_OPEN_END},
        {"Return-Path: <\xc3\xa9>\r\nFrom: a\r\n\r\nx\r\n", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(left(w, slice_of(rows[i].message), (struct queue_entry){0}).holds, rows[i].holds);
    char line[1200];
    for (int n = 997; n <= 1000; n++) {
        (void)snprintf(line, sizeof line, "From: a\r\n\r\n%0*d\r\n", n, 0);
        assert_int_equal(left(w, slice_of(line), (struct queue_entry){0}).holds, n > 998 ? OUTGOING_LONG_LINES : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_return_path_stays_here_and_both_keys_sign, world_open, world_close),
        cmocka_unit_test_setup_teardown(the_second_destination_gets_the_same_signature, world_open, world_close),
        cmocka_unit_test_setup_teardown(nobody_gets_a_signature_for_an_author_that_is_not_his, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_list_signs_for_its_own_mail_only, world_open, world_close),
        cmocka_unit_test_setup_teardown(what_is_passed_on_is_sealed_and_the_next_station_seals_again, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_chain_that_we_found_broken_is_sealed_as_broken, world_open, world_close),
        cmocka_unit_test_setup_teardown(nothing_is_sealed_that_we_know_nothing_of, world_open, world_close),
        cmocka_unit_test_setup_teardown(only_active_keys_sign, world_open, world_close),
        cmocka_unit_test_setup_teardown(bodies_of_every_size_and_end_verify, world_open, world_close),
        cmocka_unit_test_setup_teardown(awkward_messages_verify_elsewhere, world_open, world_close),
        cmocka_unit_test_setup_teardown(nothing_can_be_added_to_what_we_signed, world_open, world_close),
        cmocka_unit_test_setup_teardown(what_the_other_side_must_take_is_told, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
