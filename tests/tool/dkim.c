/* tests/tool/dkim.c -- DKIM at the command line, for tests against another implementation
 *
 *   dkim verify NOW KEYS [old] [PIECE] <message   one line a signature: "proved|- " and the words of Authentication-Results. KEYS: lines "name text", the text
 *                                                 "NONE" for no record and "FAILED" for no answer. old: rsa-sha1 and keys of 512 bits count; PIECE: bytes a piece
 *   dkim sign NOW DOMAIN [SELECTOR KEYFILE]... <message   the fields
 *   dkim key rsa|ed25519                          private key and record
 */
#include <stdio.h>
#include <stdlib.h>

#include "mail/dkim/sign.h"
#include "mail/dkim/verify.h"
#include "mail/mime/header.h"

static void read_all(FILE *f, struct buffer *out)
{
    size_t n;
    char *room;
    while ((room = buffer_room(out, 65536)) && (n = fread(room, 1, 65536, f)) > 0)
        buffer_added(out, n);
}

static struct buffer file_bytes(const char *path)
{
    struct buffer b = {0};
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    read_all(f, &b);
    (void)fclose(f);
    return b;
}

static void answer(struct dkim_verify *v, size_t i, struct slice keys)
{
    struct slice name = dkim_verify_need(v, i), texts[DKIM_RECORDS_MAX];
    size_t n = 0;
    enum dkim_answer how = DKIM_ANSWER_NONE;
    if (!name.p)
        return;
    for (size_t end; keys.n; keys = slice_after(keys, end + 1)) {
        end = slice_find(keys, '\n');
        struct slice line = slice_first(keys, end);
        size_t blank = slice_find(line, ' ');
        if (!slice_eq_nocase(slice_first(line, blank), name) || n == DKIM_RECORDS_MAX)
            continue;
        struct slice text = slice_after(line, blank + 1);
        if (slice_eq(text, SLICE("FAILED")))
            how = DKIM_ANSWER_FAILED;
        else if (!slice_eq(text, SLICE("NONE"))) {
            how = DKIM_ANSWER_RECORDS;
            texts[n++] = text;
        }
    }
    dkim_verify_answer(v, i, how, texts, n);
}

static int verify(int argc, char **argv, struct slice message)
{
    struct dkim_limits limits = dkim_limits_usual;
    size_t piece = 0, head = header_length(message);
    struct arena a;
    struct dkim_verify *v;
    struct buffer keys = file_bytes(argv[3]), out = {0};
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "old") == 0)
            limits = (struct dkim_limits){512, 4096, DKIM_SHA1, 300};
        else
            piece = (size_t)strtoul(argv[i], NULL, 10);
    }
    arena_init(&a, ARENA_REQUEST_MAX);
    if (dkim_verify_begin(&a, slice_first(message, head), strtoll(argv[2], NULL, 10), &limits, &v).code != ERROR_NONE)
        return 1;
    for (struct slice body = slice_after(message, head); body.n; body = slice_after(body, piece ? piece : body.n))
        dkim_verify_body(v, slice_first(body, piece ? piece : body.n));
    dkim_verify_body_end(v);
    for (size_t i = 0; i < dkim_verify_count(v); i++) {
        answer(v, i, buffer_slice(&keys));
        buffer_printf(&out, "%s ", dkim_verify_outcome(v, i)->proved ? "proved" : "-");
        dkim_outcome_text(dkim_verify_outcome(v, i), &out);
        buffer_add_char(&out, '\n');
    }
    (void)fwrite(buffer_slice(&out).p, 1, buffer_length(&out), stdout);
    dkim_verify_free(v);
    arena_free(&a);
    buffer_free(&keys);
    buffer_free(&out);
    return 0;
}

static int sign(int argc, char **argv, struct slice message)
{
    struct dkim_key keys[4];
    struct dkim_signer signers[4];
    size_t n = 0, head = header_length(message);
    struct arena a;
    struct dkim_sign *s;
    struct buffer out = {0};
    arena_init(&a, ARENA_REQUEST_MAX);
    for (int i = 4; i + 1 < argc && n < 4; i += 2, n++) {
        struct buffer pem = file_bytes(argv[i + 1]);
        if (dkim_key_read(buffer_slice(&pem), &keys[n]).code != ERROR_NONE)
            return 1;
        buffer_free(&pem);
        signers[n] = (struct dkim_signer){slice_of(argv[3]), slice_of(argv[i]), &keys[n]};
    }
    struct error e = dkim_sign_begin(&a, slice_first(message, head), strtoll(argv[2], NULL, 10), 7 * 86400, &s);
    if (e.code == ERROR_NONE) {
        dkim_sign_body(s, slice_after(message, head));
        e = dkim_sign_end(s, signers, n, &out);
        dkim_sign_free(s);
    }
    if (e.code != ERROR_NONE)
        (void)fprintf(stderr, "%s\n", e.text);
    (void)fwrite(buffer_slice(&out).p, 1, buffer_length(&out), stdout);
    for (size_t i = 0; i < n; i++)
        dkim_key_free(&keys[i]);
    arena_free(&a);
    buffer_free(&out);
    return e.code == ERROR_NONE ? 0 : 3;
}

static int make_key(const char *kind)
{
    struct dkim_key key;
    struct buffer out = {0};
    if (dkim_key_generate(strcmp(kind, "rsa") == 0 ? DKIM_RSA : DKIM_ED25519, &key).code != ERROR_NONE)
        return 1;
    if (dkim_key_pem(&key, &out).code != ERROR_NONE || dkim_key_record(&key, &out).code != ERROR_NONE)
        return 1;
    (void)fwrite(buffer_slice(&out).p, 1, buffer_length(&out), stdout);
    (void)puts("");
    dkim_key_free(&key);
    buffer_free(&out);
    return 0;
}

int main(int argc, char **argv)
{
    struct buffer message = {0};
    int code = 2;
    if (argc == 3 && strcmp(argv[1], "key") == 0)
        return make_key(argv[2]);
    if (argc < 4)
        return code;
    read_all(stdin, &message);
    if (strcmp(argv[1], "verify") == 0)
        code = verify(argc, argv, buffer_slice(&message));
    else if (strcmp(argv[1], "sign") == 0)
        code = sign(argc, argv, buffer_slice(&message));
    buffer_free(&message);
    return code;
}
