/* core/store/manifest.c -- writing and reading a backup's manifest */
#include "core/store/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/durable.h"
#include "core/store/internal.h"

enum { PIECE = 256 * 1024 };

static const struct slice first_line = {"kantor backup 2\n", 16};

static const struct fact {
    const char *name;
    size_t offset;
} facts_of[] = {
    {"schema", offsetof(struct backup_facts, schema)},       {"created", offsetof(struct backup_facts, created_at)}, {"modseq", offsetof(struct backup_facts, modseq)},
    {"accounts", offsetof(struct backup_facts, accounts)},   {"mailboxes", offsetof(struct backup_facts, mailboxes)}, {"messages", offsetof(struct backup_facts, messages)},
    {"contents", offsetof(struct backup_facts, contents)},
};

enum { N_FACTS = sizeof facts_of / sizeof facts_of[0] };

static void add_hex(struct buffer *b, const unsigned char hash[32])
{
    for (int i = 0; i < 32; i++)
        buffer_printf(b, "%02x", hash[i]);
}

void manifest_begin(struct buffer *b)
{
    buffer_add(b, first_line);
}

void manifest_add(struct buffer *b, const unsigned char hash[32], int64_t size, const char *name)
{
    buffer_add(b, SLICE("file "));
    add_hex(b, hash);
    buffer_printf(b, " %lld %s\n", (long long)size, name);
}

static bool digest(struct slice bytes, unsigned char out[32])
{
    unsigned n = 32;
    return EVP_Digest(bytes.p, bytes.n, out, &n, EVP_sha256(), NULL) == 1;
}

struct error manifest_write(struct buffer *b, const struct backup_facts *facts, const char *folder)
{
    char path[PATH_MAX];
    unsigned char sum[32];
    buffer_printf(b, "epoch %s\n", facts->epoch);
    for (size_t i = 0; i < N_FACTS; i++)
        buffer_printf(b, "%s %lld\n", facts_of[i].name, (long long) * (const int64_t *)(const void *)((const char *)facts + facts_of[i].offset));
    if (b->failed || !digest(buffer_slice(b), sum))
        return error_make(ERROR_MEMORY, "no memory for a manifest");
    buffer_add(b, SLICE("sum "));
    add_hex(b, sum);
    buffer_add_char(b, '\n');
    (void)snprintf(path, sizeof path, "%s/manifest", folder);
    return b->failed ? error_make(ERROR_MEMORY, "no memory for a manifest") : durable_file(path, buffer_slice(b), 0600);
}

static struct error read_text(const char *folder, struct arena *a, struct slice *out)
{
    char path[PATH_MAX];
    struct buffer b = {0};
    (void)snprintf(path, sizeof path, "%s/manifest", folder);
    SCOPED(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_make(ERROR_NOT_FOUND, "there is no whole backup in that folder (its manifest is missing)");
    for (;;) {
        char *to = buffer_room(&b, PIECE);
        ssize_t n = to ? read(fd, to, PIECE) : -1;
        if (n < 0) {
            buffer_free(&b);
            return error_make(ERROR_IO, "the manifest cannot be read");
        }
        if (n == 0)
            break;
        buffer_added(&b, (size_t)n);
    }
    *out = arena_copy(a, buffer_slice(&b));
    buffer_free(&b);
    return out->p ? OK : error_make(ERROR_MEMORY, "no memory for a manifest");
}

/* The last line is the sum of those above. */
static bool sum_is_right(struct slice *text)
{
    unsigned char said[32], is[32];
    if (text->n < 69 || !slice_starts(*text, first_line))
        return false;
    struct slice last = slice_after(*text, text->n - 69);
    *text = slice_first(*text, text->n - 69);
    return slice_starts(last, SLICE("sum ")) && blob_hash_of_name(slice_make(last.p + 4, 64), said) && digest(*text, is) && memcmp(said, is, 32) == 0;
}

static struct error read_file_line(struct slice line, struct arena *a, struct backup_facts *facts, struct error (*file)(void *, const unsigned char[32], int64_t, const char *), void *arg)
{
    unsigned char hash[32];
    uint64_t size;
    struct slice rest = slice_after(line, 65);
    struct slice number = slice_first(rest, slice_find(rest, ' '));
    char *name = arena_string(a, slice_after(rest, number.n + 1));
    if (line.n < 68 || !blob_hash_of_name(slice_first(line, 64), hash) || !slice_number(number, INT64_MAX, &size) || !name || name[0] == '/' || strstr(name, ".."))
        return error_make(ERROR_CORRUPT, "the manifest has a line that makes no sense");
    facts->files++;
    facts->bytes += (int64_t)size;
    return file ? file(arg, hash, (int64_t)size, name) : OK;
}

struct error manifest_read(const char *folder, struct arena *a, struct backup_facts *facts, struct error (*file)(void *arg, const unsigned char hash[32], int64_t size, const char *name), void *arg)
{
    struct slice text;
    *facts = (struct backup_facts){0};
    TRY(read_text(folder, a, &text));
    if (!sum_is_right(&text))
        return error_make(ERROR_CORRUPT, "the manifest of the backup is damaged or was made by another version");
    text = slice_after(text, first_line.n);
    while (text.n) {
        struct slice line = slice_first(text, slice_find(text, '\n')), word = slice_first(line, slice_find(line, ' ')), value = slice_after(line, word.n + 1);
        text = slice_after(text, line.n + 1);
        uint64_t n;
        if (slice_eq(word, SLICE("file")))
            TRY(read_file_line(value, a, facts, file, arg));
        else if (slice_eq(word, SLICE("epoch")))
            (void)snprintf(facts->epoch, sizeof facts->epoch, "%.*s", SLICE_ARG(value));
        for (size_t i = 0; i < N_FACTS; i++)
            if (slice_eq(word, slice_of(facts_of[i].name)) && slice_number(value, INT64_MAX, &n))
                *(int64_t *)(void *)((char *)facts + facts_of[i].offset) = (int64_t)n;
    }
    return OK;
}

static struct error write_piece(int to, struct slice bytes)
{
    while (bytes.n) {
        ssize_t n = write(to, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return durable_error("the disk does not take the copy");
        bytes = slice_after(bytes, (size_t)n);
    }
    return OK;
}

struct error manifest_hash_file(int from, int to, unsigned char hash[32], int64_t *size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    char *piece = malloc(PIECE);
    struct error e = ctx && piece && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? OK : error_make(ERROR_MEMORY, "no memory for a copy");
    *size = 0;
    while (e.code == ERROR_NONE) {
        ssize_t n = read(from, piece, PIECE);
        if (n < 0)
            e = error_make(ERROR_IO, "a file cannot be read");
        if (n <= 0)
            break;
        *size += n;
        (void)EVP_DigestUpdate(ctx, piece, (size_t)n);
        if (to >= 0)
            e = write_piece(to, slice_make(piece, (size_t)n));
    }
    unsigned n = 32;
    if (e.code == ERROR_NONE && EVP_DigestFinal_ex(ctx, hash, &n) != 1)
        e = error_make(ERROR_MEMORY, "no memory for a copy");
    if (e.code == ERROR_NONE && to >= 0 && fsync(to) != 0)
        e = durable_error("the disk does not take the copy");
    free(piece);
    EVP_MD_CTX_free(ctx);
    return e;
}
