/* tests/fuzz/milter_fuzz.c -- packets of a milter, their texts and replies; what a filter asks to change */
#include "mail/filter/filter.h"
#include "mail/filter/milter_wire.h"
#include "tests/fuzz/target.h"

static void look_at(struct milter_packet p, struct filter_mail *m)
{
    struct slice name, value, enhanced, sentence;
    uint32_t n;
    int code;
    if (milter_reply(p.data, &code, &enhanced, &sentence))
        promise(code >= 400 && code <= 599 && sentence.n <= p.data.n && enhanced.n <= 9);
    if ((p.command & 1 ? milter_number(&p.data, &n) : (n = 0, true)) && milter_text(&p.data, &name) && milter_text(&p.data, &value))
        (void)(p.command & 2 ? filter_insert_field(m, n, name, value) : p.command & 4 ? filter_change_field(m, n, name, value) : filter_add_field(m, name, value));
}

/* However a field's value looks, the head ends where it ended. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = target_slice(data, size);
    struct arena a;
    struct buffer out = {0};
    struct milter_packet p;
    int64_t n;
    arena_init(&a, 64 * 1024 * 1024);
    struct filter_mail m = {.arena = &a, .content = SLICE("From: a\r\nX-A: 1\r\n\r\nbody\r\n")};
    while ((n = milter_packet_read(in, &p)) > 0) {
        promise((size_t)n <= in.n && p.data.n <= MILTER_PACKET_MAX);
        look_at(p, &m);
        in = slice_after(in, (size_t)n);
    }
    if (filter_rewrite(&m, &out).code == ERROR_NONE) {
        struct slice made = buffer_slice(&out);
        const char *end = memmem(made.p, made.n, "\r\n\r\n", 4);
        promise(slice_ends(made, SLICE("\r\n\r\nbody\r\n")) && end == made.p + made.n - 10);
    }
    buffer_free(&out);
    arena_free(&a);
    return 0;
}
