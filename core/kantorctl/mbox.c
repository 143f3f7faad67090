/* core/kantorctl/mbox.c -- mbox files: one, standard input, or a folder of them (Thunderbird's NAME and NAME.sbd)
 *
 * A line "From … date" behind an empty line (or at the start) begins a message; the empty line is the file's, not the
 * message's. ">From " loses one '>' (mboxrd). Status, X-Status, X-Keywords and Thunderbird's own fields hold flags of
 * the file's last reader: they become flags and are not part of the message. The file is read once, in pieces; a line
 * of any length costs one piece.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/kantorctl/sender.h"
#include "mail/mime/date.h"

enum { PIECE = 256 * 1024, DEPTH_MAX = 20, FLAG_TEXT_MAX = 4096 };

struct reader {
    int fd;
    char *bytes;
    size_t start, end;
    int at_end, line_start; /* the next piece begins a line */
    int64_t offset;         /* of the next piece in the file */
};

/* A line with its end, or as much of a longer one as there is room for; n 0: the end of the file. */
static struct error next_piece(struct reader *r, struct slice *piece, int *begins)
{
    for (;;) {
        struct slice held = slice_make(r->bytes + r->start, r->end - r->start);
        size_t n = slice_find(held, '\n');
        if (n < held.n || held.n == PIECE || (r->at_end && held.n)) {
            *piece = slice_first(held, n + 1);
            *begins = r->line_start;
            r->line_start = n < held.n;
            r->start += piece->n;
            r->offset += (int64_t)piece->n;
            return OK;
        }
        if (r->at_end) {
            *piece = SLICE("");
            return OK;
        }
        memmove(r->bytes, held.p, held.n);
        r->start = 0;
        r->end = held.n;
        ssize_t k = read(r->fd, r->bytes + r->end, PIECE - r->end);
        if (k < 0 && errno != EINTR)
            return error_make(ERROR_IO, "the file cannot be read on");
        r->at_end = k == 0;
        r->end += k > 0 ? (size_t)k : 0;
    }
}

/* --- the line that begins a message */

static bool read_clock(struct slice s, int *h, int *m, int *sec)
{
    uint64_t v[3] = {0, 0, 0};
    int n = 0;
    while (s.n && n < 3) {
        struct slice one = slice_first(s, slice_find(s, ':'));
        s = slice_after(s, one.n + 1);
        if (!slice_number(one, 61, &v[n++]))
            return false;
    }
    *h = (int)v[0];
    *m = (int)v[1];
    *sec = (int)v[2];
    return n >= 2 && s.n == 0;
}

/* "Tue Nov 24 15:00:00 2026", also with a zone before or behind the year, or a date as in mail. */
static bool read_from_date(struct slice s, int64_t *at)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct slice words[8];
    size_t n = 0;
    int month = -1, h, m, sec;
    uint64_t day, year = 0;
    char text[64];
    while (s.n && n < 8) {
        s = slice_trim(s);
        words[n] = slice_first(s, slice_find(s, ' '));
        s = slice_after(s, words[n].n);
        n += words[n].n > 0;
    }
    for (size_t i = 0; i + 3 < n && month < 0; i++) {
        for (int k = 0; k < 12 && words[i].n == 3; k++)
            if (slice_eq_nocase(words[i], slice_make(months + 3 * k, 3)))
                month = k;
        if (month < 0)
            continue;
        if (!slice_number(words[i + 1], 31, &day) || !read_clock(words[i + 2], &h, &m, &sec))
            return false;
        struct slice zone = SLICE("+0000");
        for (size_t k = i + 3; k < n; k++) {
            if (words[k].n == 4 && slice_number(words[k], 9999, &year))
                continue;
            if (words[k].n == 5 && (words[k].p[0] == '+' || words[k].p[0] == '-'))
                zone = words[k];
        }
        (void)snprintf(text, sizeof text, "%d %.3s %d %02d:%02d:%02d %.*s", (int)day, months + 3 * month, (int)year, h,
                       m, sec, SLICE_ARG(zone));
        return year && date_read(slice_of(text), at, NULL);
    }
    return false;
}

/* The sender may hold blanks; the date is what is readable behind one of them. */
static bool is_from_line(struct slice line, int64_t *at)
{
    if (!slice_starts(line, SLICE("From ")) || line.n > 1000)
        return false;
    struct slice rest = slice_trim(slice_after(line, 5));
    for (int i = 0; i < 4 && rest.n; i++) {
        if (read_from_date(rest, at) || (i && date_read(rest, at, NULL)))
            return true;
        rest = slice_trim(slice_after(rest, slice_find(rest, ' ')));
    }
    return false;
}

/* --- a message */

struct parsing {
    struct sender *s;
    struct arena arena; /* of one message */
    struct about about;
    int64_t n; /* of the message in the file, from 1 */
    int open, sent, in_head, dropping, blank_held;
    struct slice blank;    /* the empty line that is held back: its bytes */
    int64_t empty, before; /* messages without a byte; bytes before the first From line */
    const char *name;
};

static void flag_letters(struct about *a, struct slice value)
{
    static const struct {
        char letter;
        struct slice flag;
    } letters[] = {{'R', {"\\Seen", 5}},
                   {'A', {"\\Answered", 9}},
                   {'F', {"\\Flagged", 8}},
                   {'D', {"\\Deleted", 8}},
                   {'T', {"\\Draft", 6}}};
    for (size_t i = 0; i < value.n; i++)
        for (size_t k = 0; k < sizeof letters / sizeof letters[0]; k++)
            if (value.p[i] == letters[k].letter)
                about_flag(a, letters[k].flag);
}

static void mozilla_status(struct about *a, struct slice value)
{
    unsigned bits = 0;
    value = slice_trim(value);
    for (size_t i = 0; i < value.n && i < 4 && ascii_hex(value.p[i]) >= 0; i++)
        bits = bits << 4 | (unsigned)ascii_hex(value.p[i]);
    flag_letters(a, slice_make("R", bits & 1));
    flag_letters(a, slice_make("A", bits >> 1 & 1));
    flag_letters(a, slice_make("F", bits >> 2 & 1));
    flag_letters(a, slice_make("D", bits >> 3 & 1));
}

static void keywords(struct parsing *p, struct slice value)
{
    value = slice_trim(value);
    while (value.n) {
        struct slice one = slice_first(value, slice_find(value, ' '));
        value = slice_trim(slice_after(value, one.n));
        about_flag(&p->about, arena_copy(&p->arena, slice_trim(one)));
    }
}

/* True: the line is the file's own and not passed on. */
static bool take_field(struct parsing *p, struct slice line)
{
    static const struct slice names[] = {{"Status:", 7},          {"X-Status:", 9},
                                         {"X-Keywords:", 11},     {"X-Mozilla-Status:", 17},
                                         {"X-Mozilla-Keys:", 15}, {"X-Mozilla-Status2:", 18}};
    if (line.n > FLAG_TEXT_MAX)
        return false;
    if (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
        return p->dropping;
    p->dropping = 0;
    if (slice_starts_nocase(line, SLICE("Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA")))
        p->about.drop = 1; /* the first message of UW IMAP's and Dovecot's mbox files is none */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!slice_starts_nocase(line, names[i]))
            continue;
        struct slice value = slice_trim(slice_after(line, names[i].n));
        if (i < 2)
            flag_letters(&p->about, value);
        else if (i == 3)
            mozilla_status(&p->about, value);
        else if (i != 5)
            keywords(p, value);
        p->dropping = 1;
        return true;
    }
    return false;
}

static struct error open_message(struct parsing *p)
{
    char label[SENDER_LABEL_BYTES];
    (void)snprintf(label, sizeof label, "message %lld of %s", (long long)p->n, p->name);
    p->sent = 1;
    return sender_begin(p->s, label, SENDER_LINES);
}

static struct error pass_on(struct parsing *p, struct slice bytes)
{
    if (!p->sent)
        TRY(open_message(p));
    if (p->blank_held) {
        p->blank_held = 0;
        TRY(sender_data(p->s, p->blank));
    }
    return sender_data(p->s, bytes);
}

static struct error message_ends(struct parsing *p)
{
    char label[SENDER_LABEL_BYTES];
    if (!p->open)
        return OK;
    p->open = 0;
    if (p->sent)
        return sender_end(p->s, &p->about);
    (void)snprintf(label, sizeof label, "message %lld of %s", (long long)p->n, p->name);
    sender_skip(p->s, label, "it is empty");
    return OK;
}

static void message_begins(struct parsing *p, struct slice mailbox, int64_t at)
{
    arena_reset(&p->arena);
    p->about = (struct about){.mailbox = mailbox, .received = at};
    p->n++;
    p->open = p->in_head = 1;
    p->sent = p->dropping = p->blank_held = 0;
}

static struct error take_piece(struct parsing *p, struct slice piece, int begins)
{
    static const struct slice ends[] = {{"\n", 1}, {"\r\n", 2}};
    bool empty = begins && (slice_eq(piece, ends[0]) || slice_eq(piece, ends[1]));
    if (!p->open) {
        p->before += !empty ? (int64_t)piece.n : 0;
        return OK;
    }
    if (empty) {
        p->in_head = 0;
        if (p->blank_held)
            TRY(pass_on(p, SLICE("")));
        p->blank_held = 1;
        p->blank = ends[piece.n - 1];
        return OK;
    }
    if (begins && p->in_head && take_field(p, piece))
        return OK;
    if (!begins && p->in_head && p->dropping)
        return OK;
    size_t quotes = 0;
    while (begins && quotes < piece.n && piece.p[quotes] == '>')
        quotes++;
    if (quotes && slice_starts(slice_after(piece, quotes), SLICE("From ")))
        piece = slice_after(piece, 1);
    return pass_on(p, piece);
}

static struct error read_messages(struct parsing *p, struct reader *r, struct slice mailbox)
{
    int begins, after_empty = 1;
    struct slice piece;
    int64_t at;
    for (;;) {
        TRY(next_piece(r, &piece, &begins));
        if (piece.n == 0)
            break;
        struct slice line = slice_trim(piece);
        if (begins && after_empty && is_from_line(line, &at)) {
            TRY(message_ends(p));
            message_begins(p, mailbox, at);
            continue; /* an empty line must come before the next, or the message is empty: a second From line is then
                         its text */
        }
        after_empty = begins && line.n == 0;
        TRY(take_piece(p, piece, begins));
    }
    return message_ends(p);
}

static struct error import_fd(struct sender *s, int fd, const char *name, struct slice mailbox)
{
    struct reader r = {.fd = fd, .bytes = malloc(PIECE), .line_start = 1};
    struct parsing p = {.s = s, .name = name};
    char label[SENDER_LABEL_BYTES], why[80];
    if (!r.bytes)
        return error_make(ERROR_MEMORY, "no memory to read a file");
    arena_init(&p.arena, 1024 * 1024);
    struct error e = read_messages(&p, &r, mailbox);
    if (e.code == ERROR_NONE && p.before) {
        (void)snprintf(label, sizeof label, "the beginning of %s", name);
        (void)snprintf(why, sizeof why, "%lld bytes before the first line that begins a message", (long long)p.before);
        sender_skip(s, label, p.n ? why : "it is no mbox: no line begins with \"From \" and a date");
    }
    arena_free(&p.arena);
    free(r.bytes);
    return e;
}

/* --- files and folders */

static bool looks_like_mbox(int fd)
{
    char head[5];
    return pread(fd, head, 5, 0) == 5 && memcmp(head, "From ", 5) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct error import_folder(struct sender *s, const struct source *source, int folder, struct slice below,
                                  int depth);

static struct error import_entry(struct sender *s, const struct source *source, int folder, const char *name,
                                 struct slice below, int depth, struct arena *a)
{
    struct stat st;
    struct slice own = slice_of(name);
    SCOPED(file_close) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return OK;
    if (slice_ends(own, SLICE(".sbd")))
        own.n -= 4;
    struct slice path = below.n ? slice_of(arena_printf(a, "%.*s/%.*s", SLICE_ARG(below), SLICE_ARG(own))) : own;
    if (S_ISDIR(st.st_mode))
        return import_folder(s, source, fd, path, depth + 1);
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || slice_ends(own, SLICE(".msf")) || slice_ends(own, SLICE(".dat")))
        return OK;
    if (!looks_like_mbox(fd)) {
        sender_skip(s, name, "it is no mbox file");
        return OK;
    }
    s->progress.of_bytes += st.st_size;
    return import_fd(s, fd, name, source_mailbox(source, path, a));
}

static struct error import_folder(struct sender *s, const struct source *source, int folder, struct slice below,
                                  int depth)
{
    char **names = NULL;
    size_t n = 0;
    struct arena a;
    struct error e = OK;
    DIR *d = depth < DEPTH_MAX ? fdopendir(dup(folder)) : NULL;
    arena_init(&a, 64 * 1024 * 1024);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        if (entry->d_name[0] == '.')
            continue;
        names = arena_grow(&a, names, n * sizeof *names, (n + 1) * sizeof *names);
        if (!names)
            break;
        names[n++] = arena_string(&a, slice_of(entry->d_name));
    }
    if (d)
        (void)closedir(d);
    if (names && n)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; names && i < n && e.code == ERROR_NONE; i++)
        e = import_entry(s, source, folder, names[i], below, depth, &a);
    arena_free(&a);
    return e;
}

struct error import_mbox(struct sender *s, const struct source *source)
{
    struct stat st;
    const char *slash = strrchr(source->path, '/');
    if (strcmp(source->path, "-") == 0)
        return import_fd(s, 0, "standard input", source_mailbox(source, SLICE(""), s->call->arena));
    SCOPED(file_close) int fd = open(source->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_make(ERROR_NOT_FOUND, arena_printf(s->call->arena, "%s cannot be opened: %m", source->path));
    if (S_ISDIR(st.st_mode))
        return import_folder(s, source, fd, SLICE(""), 0);
    s->progress.of_bytes = st.st_size;
    return import_fd(s, fd, slash ? slash + 1 : source->path, source_mailbox(source, SLICE(""), s->call->arena));
}
