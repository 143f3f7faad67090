/* tests/bench/mime_bench.c -- `make bench-mime`: CPU time of what delivery derives from a message (parse, ENVELOPE, BODYSTRUCTURE, part index, sort keys)
 *
 * Usual messages first (target: 4 KB below 20 us), then a megabyte of what an attacker would send (ceiling: 100 ms). One thread; CPU time, so that a busy
 * machine matters little; the best of five rounds. Exit 1 when a row misses its ceiling.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mail/mailbox/index.h"
#include "mail/mime/text.h"
#include "mail/mime/words.h"

enum { ROUNDS = 5, KB = 1024, MB = 1024 * 1024 };

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void derive(struct slice bytes, struct arena *a)
{
    struct message_index x;
    if (message_index_make(bytes, a, &x).code != ERROR_NONE)
        exit(2);
}

static void search_text(struct slice bytes, struct arena *a)
{
    struct buffer b = {0};
    if (text_of_bodies(bytes, a, &b).code != ERROR_NONE)
        exit(2);
    text_of_head(bytes, a, &b);
    buffer_free(&b);
}

static const char head[] = "Return-Path: <budi@kantor.example>\r\nReceived: from mail.elsewhere.example ([192.0.2.7])\r\n\tby kantor.example (Kantor) with ESMTPS id 0duacbxta.91e5897e\r\n\tfor <sari@kantor.example>;\r\n\t"
                           "Tue, 24 Nov 2026 08:00:01 +0000\r\nDate: Tue, 24 Nov 2026 15:00:00 +0700\r\nFrom: \"Santoso, Budi\" <budi@kantor.example>\r\nTo: Sari <sari@kantor.example>, dewi@kantor.example\r\n"
                           "Cc: Andi <andi@kantor.example>\r\nSubject: =?utf-8?q?Laporan_bulanan_=E2=82=AC?= dan rapat\r\nMessage-ID: <20261124080000.1234@kantor.example>\r\nIn-Reply-To: <1@kantor.example>\r\n"
                           "References: <0@kantor.example> <1@kantor.example>\r\nUser-Agent: Test\r\nMIME-Version: 1.0\r\n";

static void fill(struct buffer *b, const char *piece, size_t size)
{
    while (buffer_length(b) + strlen(piece) <= size)
        buffer_add(b, slice_of(piece));
}

static void plain(struct buffer *b, size_t size)
{
    buffer_add(b, slice_of(head));
    buffer_add(b, SLICE("Content-Type: text/plain; charset=utf-8\r\n\r\n"));
    fill(b, "Selamat pagi, ini sebuah baris yang biasa dalam surat kantor.\r\n", size);
}

static void alternative(struct buffer *b, size_t size)
{
    buffer_add(b, slice_of(head));
    buffer_add(b, SLICE("Content-Type: multipart/alternative; boundary=\"=_b1\"\r\n\r\n--=_b1\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"));
    fill(b, "Selamat pagi=2C baris biasa\r\n", size / 2);
    buffer_add(b, SLICE("\r\n--=_b1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"));
    fill(b, "<p>Selamat pagi=2C baris biasa</p>\r\n", size - 20);
    buffer_add(b, SLICE("\r\n--=_b1--\r\n"));
}

static void attachment(struct buffer *b, size_t size)
{
    buffer_add(b, slice_of(head));
    buffer_add(b, SLICE("Content-Type: multipart/mixed; boundary=\"=_b1\"\r\n\r\n--=_b1\r\n\r\nhalo\r\n--=_b1\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"));
    fill(b, "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\r\n", size - 20);
    buffer_add(b, SLICE("--=_b1--\r\n"));
}

struct row {
    const char *name, *piece;
    void (*make)(struct buffer *b, size_t size);
    void (*run)(struct slice bytes, struct arena *a);
    size_t size;
    double most_us;
};

static const struct row rows[] = {
    {"4 KB text", NULL, plain, derive, 4 * KB, 20},
    {"4 KB text and HTML", NULL, alternative, derive, 4 * KB, 20},
    {"64 KB attachment", NULL, attachment, derive, 64 * KB, 100},
    {"1 MB attachment", NULL, attachment, derive, MB, 2000},
    {"1 MB of `--`", "--\r\n", NULL, derive, MB, 100000},
    {"1 MB of delimiters", "--x\r\n", NULL, derive, MB, 100000},
    {"1 MB of nested multiparts", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n", NULL, derive, MB, 100000},
    {"1 MB of nested messages", "Content-Type: message/rfc822\r\n\r\n", NULL, derive, MB, 100000},
    {"1 MB of To: fields", "To: a@b\r\n", NULL, derive, MB, 100000},
    {"1 MB of one folded To:", " a@b,\r\n", NULL, derive, MB, 100000},
    {"1 MB of (", "(((((((((((((((\r\n ", NULL, derive, MB, 100000},
    {"1 MB of =?utf-8?q?", " =?utf-8?q?=E2=82?=\r\n", NULL, derive, MB, 100000},
    {"1 MB of parameters", ";\r\n a*0*=\"b\"", NULL, derive, MB, 100000},
    {"1 MB of empty lines", "\n", NULL, derive, MB, 100000},
    {"1 MB of NUL", NULL, NULL, derive, MB, 100000},
    {"SEARCH text of 4 KB", NULL, alternative, search_text, 4 * KB, 400},
    {"SEARCH text of 1 MB of <", "<<&<!--", NULL, search_text, MB, 1000000},
    {"SEARCH text of 1 MB of charsets", " =?big5?q?a?= =?euc-kr?q?b?=\r\n", NULL, search_text, MB, 1000000},
};

static void make(const struct row *r, struct buffer *b)
{
    if (r->make) {
        r->make(b, r->size);
        return;
    }
    buffer_add(b, SLICE("Content-Type: multipart/mixed; boundary=x\r\nTo:"));
    if (r->run == search_text)
        buffer_add(b, r->piece[0] == '<' ? SLICE("\r\nContent-Type: text/html\r\n\r\n") : SLICE("\r\nSubject:"));
    else if (r->piece && r->piece[0] == ';')
        buffer_add(b, SLICE("\r\nContent-Disposition: a"));
    else if (r->piece && r->piece[0] == '-')
        buffer_add(b, SLICE("\r\n\r\n"));
    while (buffer_length(b) < r->size)
        buffer_add(b, r->piece ? slice_of(r->piece) : SLICE("\0\0\0\0\0\0\0\0"));
}

int main(void)
{
    int missed = 0;
    (void)printf("%-34s %10s %12s %10s\n", "derived at delivery from", "bytes", "us CPU", "ceiling");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer b = {0};
        struct arena a;
        double best = 1e12;
        make(&rows[i], &b);
        arena_init(&a, ARENA_REQUEST_MAX);
        size_t repeat = buffer_length(&b) < 100 * KB ? 2000 : 1;
        for (int round = 0; round < ROUNDS; round++) {
            double before = now_us();
            for (size_t k = 0; k < repeat; k++) {
                rows[i].run(buffer_slice(&b), &a);
                arena_reset(&a);
            }
            double took = (now_us() - before) / (double)repeat;
            best = took < best ? took : best;
        }
        (void)printf("%-34s %10zu %12.1f %10.0f%s\n", rows[i].name, buffer_length(&b), best, rows[i].most_us, best > rows[i].most_us ? "  MISSED" : "");
        missed |= best > rows[i].most_us;
        arena_free(&a);
        buffer_free(&b);
    }
    return missed;
}
