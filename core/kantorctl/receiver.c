/* core/kantorctl/receiver.c -- an export's frames to files
 *
 * A mailbox of a tree gets kantor-index.jsonl beside it (uid, flags, keywords, dates), so that the way back loses
 * nothing; other programs read the flags in the names, `dovecot-keywords` and the files' times.
 */
#include "core/kantorctl/receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/kantord/report.h"
#include "core/kantorctl/progress.h"
#include "core/kantorctl/tree.h"

enum { KEYWORDS = 26 };

struct receiver {
    struct call *call;
    enum receiver_form form;
    const char *path;
    struct progress progress;
    struct arena arena;     /* of a mailbox */
    int root, folder, part; /* descriptors: of the whole, of the mailbox, of its cur */
    FILE *file;             /* the message, or the mbox */
    FILE *index;
    char name[200];
    json_t *about; /* the message */
    char *keywords[KEYWORDS];
    int line_start, in_head, last_cr;
};

static struct error trouble(struct receiver *r, const char *what)
{
    return error_make(errno == ENOSPC || errno == EDQUOT ? ERROR_FULL : ERROR_IO,
                      arena_printf(r->call->arena, "%s: %m", what));
}

static int make_folder(int at, const char *name)
{
    if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
        return -1;
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static FILE *new_file(int at, const char *name)
{
    int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (fd >= 0 && !f)
        (void)close(fd);
    return f;
}

static int close_file(FILE **f)
{
    int bad = *f && (ferror(*f) != 0) + (fclose(*f) != 0);
    *f = NULL;
    return bad;
}

/* --- a mailbox */

static struct error end_mailbox(struct receiver *r)
{
    int bad = close_file(&r->index);
    FILE *k = r->form != RECEIVER_MBOX && r->form != RECEIVER_EML && r->folder >= 0 && r->keywords[0]
                  ? new_file(r->folder, "dovecot-keywords")
                  : NULL;
    for (int i = 0; i < KEYWORDS; i++) {
        if (r->keywords[i] && k)
            (void)fprintf(k, "%d %s\n", i, r->keywords[i]);
        free(r->keywords[i]);
        r->keywords[i] = NULL;
    }
    bad += close_file(&k);
    if (r->part >= 0 && r->part != r->folder)
        (void)close(r->part);
    if (r->folder >= 0 && r->folder != r->root)
        (void)close(r->folder);
    r->folder = r->part = -1;
    return bad ? trouble(r, "a file of the export cannot be written") : OK;
}

/* Every level of a path, each a folder in the one before. */
static int make_path(int at, struct slice path, struct arena *a)
{
    int here = dup(at);
    while (path.n && here >= 0) {
        struct slice level = slice_first(path, slice_find(path, '/'));
        path = slice_after(path, level.n + 1);
        int inner = make_folder(here, arena_string(a, level));
        (void)close(here);
        here = inner;
    }
    return here;
}

static struct error open_maildir(struct receiver *r, struct slice path)
{
    const char *name = arena_string(&r->arena, tree_to_maildir(path, &r->arena));
    r->folder = name && name[0] ? make_folder(r->root, name) : dup(r->root);
    if (r->folder >= 0) {
        int new = make_folder(r->folder, "new"), tmp = make_folder(r->folder, "tmp");
        r->part = make_folder(r->folder, "cur");
        if (new >= 0)
            (void)close(new);
        if (tmp >= 0)
            (void)close(tmp);
        int marker = name && name[0] ? openat(r->folder, "maildirfolder", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
        if (marker >= 0)
            (void)close(marker);
    }
    return r->part >= 0 ? OK : trouble(r, "a folder of the export cannot be made");
}

static struct error begin_mailbox(struct receiver *r, struct slice bytes, const json_t *about)
{
    struct slice path = slice_of(json_string_value(json_object_get(about, "mailbox")));
    TRY(end_mailbox(r));
    if (r->form == RECEIVER_MBOX)
        return OK;
    arena_reset(&r->arena);
    if (r->form == RECEIVER_EML) {
        r->folder = make_path(r->root, tree_to_folder(path, &r->arena), &r->arena);
        r->part = r->folder;
        if (r->folder < 0)
            return trouble(r, "a folder of the export cannot be made");
    } else {
        TRY(open_maildir(r, path));
    }
    r->index = new_file(r->folder, TREE_INDEX);
    if (!r->index)
        return trouble(
            r, "the index of a mailbox cannot be written (a mailbox twice, or names that differ in case only?)");
    (void)fprintf(r->index, "{\"kantor_index\": 1, \"exact\": %s, \"about\": %.*s}\n",
                  r->form == RECEIVER_MAILDIR ? "false" : "true", SLICE_ARG(bytes));
    return OK;
}

/* --- a message: its name, its mark */

static char keyword_letter(struct receiver *r, const char *name)
{
    for (int i = 0; i < KEYWORDS; i++) {
        if (!r->keywords[i])
            r->keywords[i] = strdup(name);
        if (r->keywords[i] && strcmp(r->keywords[i], name) == 0)
            return (char)('a' + i);
    }
    return 0;
}

/* Sorted, as Maildir wants it; capitals first. */
static void maildir_info(struct receiver *r, char *out)
{
    static const struct {
        const char *flag;
        char letter;
    } letters[] = {{"\\Draft", 'D'},    {"\\Flagged", 'F'}, {"$Forwarded", 'P'},
                   {"\\Answered", 'R'}, {"\\Seen", 'S'},    {"\\Deleted", 'T'}};
    unsigned own = 0;
    size_t i;
    const json_t *one, *flags = json_object_get(r->about, "flags");
    for (size_t k = 0; k < sizeof letters / sizeof letters[0]; k++)
        json_array_foreach(flags, i,
                           one) if (strcmp(json_string_value(one), letters[k].flag) == 0) *out++ = letters[k].letter;
    json_array_foreach(flags, i, one)
    {
        const char *name = json_string_value(one);
        char letter = name[0] != '\\' && strcmp(name, "$Forwarded") != 0 ? keyword_letter(r, name) : 0;
        own |= letter ? 1U << (letter - 'a') : 0;
    }
    for (int k = 0; k < KEYWORDS; k++)
        if (own >> k & 1)
            *out++ = (char)('a' + k);
    *out = '\0';
}

static int has_flag(const struct receiver *r, const char *name)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(r->about, "flags"), i,
                       one) if (strcmp(json_string_value(one), name) == 0) return 1;
    return 0;
}

/* The fields in which an mbox file keeps flags, at the end of the head. */
static void write_status(const struct receiver *r)
{
    size_t i;
    int some = 0;
    const json_t *one;
    (void)fprintf(r->file, "Status: %sO\nX-Status: %s%s%s%s\n", has_flag(r, "\\Seen") ? "R" : "",
                  has_flag(r, "\\Answered") ? "A" : "", has_flag(r, "\\Flagged") ? "F" : "",
                  has_flag(r, "\\Deleted") ? "D" : "", has_flag(r, "\\Draft") ? "T" : "");
    json_array_foreach(json_object_get(r->about, "flags"), i, one) if (json_string_value(one)[0] != '\\')(void)
        fprintf(r->file, some++ ? " %s" : "X-Keywords: %s", json_string_value(one));
    if (some)
        (void)fputc('\n', r->file);
}

static struct error begin_message(struct receiver *r, struct slice bytes)
{
    char info[2 * KEYWORDS + 16], date[40];
    struct tm t;
    json_decref(r->about);
    r->about = json_loadb(bytes.p, bytes.n, 0, NULL);
    long long uid = json_integer_value(json_object_get(r->about, "uid")),
              received = json_integer_value(json_object_get(r->about, "received")),
              size = json_integer_value(json_object_get(r->about, "size"));
    time_t when = (time_t)received;
    r->line_start = r->in_head = 1;
    r->last_cr = 0;
    if (r->form == RECEIVER_MBOX) {
        (void)gmtime_r(&when, &t);
        (void)fprintf(r->file, "From MAILER-DAEMON %.*s\n",
                      (int)strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &t), date);
        return OK;
    }
    maildir_info(r, info);
    if (r->form == RECEIVER_EML)
        (void)snprintf(r->name, sizeof r->name, "%010lld.eml", uid);
    else
        (void)snprintf(r->name, sizeof r->name, "%010lld.%lld.kantor,S=%lld:2,%s", uid, received, size, info);
    r->file = new_file(r->part, r->name);
    return r->file ? OK : trouble(r, "a message of the export cannot be written");
}

static void mbox_line(struct receiver *r, struct slice line)
{
    size_t quotes = 0;
    if (r->in_head && r->line_start && (slice_eq(line, SLICE("\n")) || slice_eq(line, SLICE("\r\n")))) {
        r->in_head = 0;
        write_status(r);
    }
    while (r->line_start && quotes < line.n && line.p[quotes] == '>')
        quotes++;
    if (r->line_start && slice_starts(slice_after(line, quotes), SLICE("From ")))
        (void)fputc('>', r->file);
    r->line_start = line.n && line.p[line.n - 1] == '\n';
}

/* CR LF becomes LF, wherever the pieces are cut. */
static void write_lf(struct receiver *r, struct slice bytes)
{
    for (size_t at = 0; at < bytes.n;) {
        size_t n = slice_find(slice_after(bytes, at), '\n');
        struct slice line = slice_make(bytes.p + at, n < bytes.n - at ? n + 1 : bytes.n - at);
        at += line.n;
        if (r->last_cr && line.p[0] != '\n')
            (void)fputc('\r', r->file);
        r->last_cr = 0;
        if (r->form == RECEIVER_MBOX)
            mbox_line(r, line);
        int whole = line.p[line.n - 1] == '\n';
        if (whole)
            line.n--;
        if (line.n && line.p[line.n - 1] == '\r') {
            line.n--;
            r->last_cr = !whole;
        }
        (void)fwrite(line.p, 1, line.n, r->file);
        if (whole)
            (void)fputc('\n', r->file);
    }
}

static void take_data(struct receiver *r, struct slice bytes)
{
    if (r->form == RECEIVER_MBOX || r->form == RECEIVER_MAILDIR)
        write_lf(r, bytes);
    else
        (void)fwrite(bytes.p, 1, bytes.n, r->file);
    r->progress.bytes += (int64_t)bytes.n;
    progress_show(&r->progress);
}

static struct error end_message(struct receiver *r)
{
    r->progress.messages++;
    if (r->form == RECEIVER_MBOX) {
        if (r->in_head)
            write_status(r);
        (void)fputs(r->line_start ? "\n" : "\n\n", r->file);
        return ferror(r->file) ? trouble(r, "the file cannot be written") : OK;
    }
    struct timespec times[2] = {{.tv_sec = (time_t)json_integer_value(json_object_get(r->about, "received"))},
                                {.tv_sec = (time_t)json_integer_value(json_object_get(r->about, "received"))}};
    int bad = fflush(r->file) != 0 || futimens(fileno(r->file), times) != 0;
    if (close_file(&r->file) || bad)
        return trouble(r, "a message of the export cannot be written");
    (void)json_object_set_new(r->about, "file", json_string(r->name));
    char *line = json_dumps(r->about, JSON_COMPACT | JSON_SORT_KEYS);
    (void)fprintf(r->index, "%s\n", line ? line : "{}");
    free(line);
    return OK;
}

/* --- the whole */

static struct error take_file(struct receiver *r, struct slice bytes)
{
    json_t *json = json_loadb(bytes.p, bytes.n, 0, NULL), *account = json_object_get(json, "account");
    struct error e = OK;
    if (account) {
        FILE *f = new_file(AT_FDCWD, arena_printf(r->call->arena, "%s/account.json", r->path));
        int bad = !f || json_dumpf(account, f, JSON_INDENT(2)) != 0 || fputc('\n', f) == EOF;
        e = close_file(&f) || bad ? trouble(r, "account.json cannot be written") : OK;
    } else if (json) {
        e = begin_mailbox(r, bytes, json);
    }
    json_decref(json);
    return e;
}

static struct error open_target(struct receiver *r)
{
    struct arena *a = r->call->arena;
    const char *root = r->form == RECEIVER_ACCOUNT ? arena_printf(a, "%s/mail", r->path) : r->path;
    if (r->form == RECEIVER_MBOX) {
        r->file = new_file(AT_FDCWD, r->path);
        return r->file ? OK : trouble(r, arena_printf(a, "%s cannot be made", r->path));
    }
    if (mkdir(r->path, 0700) != 0 && errno != EEXIST)
        return trouble(r, arena_printf(a, "%s cannot be made", r->path));
    if (rmdir(r->path) != 0 || mkdir(r->path, 0700) != 0)
        return error_make(ERROR_EXISTS,
                          arena_printf(a, "%s is not an empty folder; name one that does not exist yet", r->path));
    r->root = make_folder(AT_FDCWD, root);
    return r->root >= 0 ? OK : trouble(r, arena_printf(a, "%s cannot be made", root));
}

/* Nothing came: nothing of ours stays. */
static void remove_target(struct receiver *r)
{
    if (r->form == RECEIVER_MBOX) {
        (void)unlink(r->path);
        return;
    }
    if (r->form == RECEIVER_ACCOUNT)
        (void)rmdir(arena_printf(r->call->arena, "%s/mail", r->path));
    (void)rmdir(r->path);
}

static void on_progress(void *arg, struct slice json)
{
    struct receiver *r = arg;
    json_t *about = json_loadb(json.p, json.n, 0, NULL);
    r->progress.of_bytes = json_integer_value(json_object_get(about, "bytes"));
    r->progress.of_messages = json_integer_value(json_object_get(about, "messages"));
    json_decref(about);
}

static struct error take_frames(struct receiver *r)
{
    enum frame_kind kind;
    struct slice bytes;
    while (!r->call->answered) {
        TRY(call_next(r->call, &kind, &bytes));
        if (kind == FRAME_FILE)
            TRY(take_file(r, bytes));
        else if (kind == FRAME_MESSAGE)
            TRY(begin_message(r, bytes));
        else if (kind == FRAME_DATA && r->file)
            take_data(r, bytes);
        else if (kind == FRAME_MESSAGE_END && r->file)
            TRY(end_message(r));
    }
    return OK;
}

/* Everything on the disk before we say that it is exported. */
static struct error finish(struct receiver *r)
{
    int fd = r->form == RECEIVER_MBOX ? fileno(r->file) : r->root;
    TRY(end_mailbox(r));
    if ((r->form == RECEIVER_MBOX && fflush(r->file) != 0) || syncfs(fd) != 0)
        return trouble(r, "the disk does not take the export");
    return OK;
}

int receiver_run(struct call *call, enum receiver_form form, const char *path)
{
    struct receiver r = {.call = call, .form = form, .path = path, .root = -1, .folder = -1, .part = -1};
    call->progress = on_progress;
    call->arg = &r;
    arena_init(&r.arena, 16 * 1024 * 1024);
    progress_begin(&r.progress);
    struct error e = open_target(&r);
    if (e.code == ERROR_NONE)
        e = take_frames(&r);
    if (e.code == ERROR_NONE)
        e = finish(&r);
    progress_clear(&r.progress);
    (void)close_file(&r.file);
    (void)close_file(&r.index);
    json_decref(r.about);
    for (int i = 0; i < KEYWORDS; i++)
        free(r.keywords[i]);
    if (r.root >= 0)
        (void)close(r.root);
    if (call->answered && call->status != 0 && r.progress.messages == 0)
        remove_target(&r);
    arena_free(&r.arena);
    if (e.code != ERROR_NONE)
        (void)fprintf(stderr, "kantorctl: %s; what is in %s is not whole\n", e.text ? e.text : "the export failed",
                      path);
    return e.code == ERROR_NONE ? call->status : 1;
}
