/* core/kantorctl/secret.c -- reading a password */
#include "core/kantorctl/secret.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

#include "core/kantorctl/terminal.h"

enum { LINE_BYTES = 512, TEXT_BYTES = 64 * 1024 };

static bool is_utf8(struct slice s)
{
    for (size_t at = 0; at < s.n;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s.p + at, (utf8proc_ssize_t)(s.n - at), &point);
        if (k <= 0)
            return false;
        at += (size_t)k;
    }
    return true;
}

static struct error read_line(struct arena *a, struct slice *out)
{
    char line[LINE_BYTES];
    size_t n = 0;
    for (char c; n < sizeof line && read(0, &c, 1) == 1 && c != '\n';)
        line[n++] = c;
    if (n && line[n - 1] == '\r')
        n--;
    *out = arena_copy(a, slice_make(line, n));
    explicit_bzero(line, sizeof line);
    if (!out->p)
        return error_make(ERROR_MEMORY, "no memory for a password");
    return is_utf8(*out) ? OK : error_make(ERROR_INVALID, "the password is not UTF-8; set your terminal to UTF-8, or use other letters");
}

struct error secret_read_text(struct arena *a, struct slice *out)
{
    char *text = arena_alloc(a, TEXT_BYTES + 1);
    size_t n = 0;
    ssize_t got = 1;
    if (!text)
        return error_make(ERROR_MEMORY, "no memory for a text");
    while (n <= TEXT_BYTES && (got = read(0, text + n, TEXT_BYTES + 1 - n)) > 0)
        n += (size_t)got;
    *out = slice_make(text, n);
    if (n > TEXT_BYTES)
        return error_make(ERROR_LIMIT, "standard input is longer than 64 KiB");
    return is_utf8(*out) ? OK : error_make(ERROR_INVALID, "standard input is not UTF-8");
}

struct error secret_read(struct arena *a, struct slice *out)
{
    return read_line(a, out);
}

struct error secret_ask(const char *what, struct arena *a, struct slice *out)
{
    struct slice again;
    if (!terminal_set(TERMINAL_HIDDEN))
        return error_make(ERROR_IO, "the terminal cannot be set to hide a password");
    (void)fprintf(stderr, "%s: ", what);
    struct error e = read_line(a, out);
    if (e.code == ERROR_NONE && out->n) {
        (void)fprintf(stderr, "\nOnce more: ");
        e = read_line(a, &again);
        if (e.code == ERROR_NONE && !slice_eq(*out, again))
            e = error_make(ERROR_INVALID, "the two were not the same; nothing was changed");
    }
    (void)fputc('\n', stderr);
    terminal_restore();
    return e;
}
