/* core/kantorctl/maildir.c -- Maildir, Maildir++ and folders in folders; trees of .eml files
 *
 * A folder with `cur` or `new` in it is a mailbox. Its name is the way to it: levels as folders, and in Maildir++ dots
 * inside a name that begins with one. Flags stand behind ":2," in the file's name, letters a to z are keywords of
 * `dovecot-keywords`, the file's time is when it came. What our own export wrote beside the messages
 * (kantor-index.jsonl) is believed before all that.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/kantorctl/tree.h"

enum { DEPTH_MAX = 50, KEYWORDS = 26 };

enum layout { MAILDIR, EML };

struct walk {
    struct sender *s;
    const struct source *source;
    enum layout layout;
    struct arena arena; /* of one folder */
};

static bool any_file(const char *name)
{
    (void)name;
    return true;
}

static bool is_eml(const char *name)
{
    return slice_ends(slice_of(name), SLICE(".eml")) || slice_ends(slice_of(name), SLICE(".EML"));
}

/* --- flags of a Maildir */

static void read_keywords(int folder, struct slice keywords[KEYWORDS], struct arena *a)
{
    int fd = openat(folder, "dovecot-keywords", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    char line[256];
    for (int i = 0; i < KEYWORDS; i++)
        keywords[i] = SLICE("");
    while (f && fgets(line, sizeof line, f)) {
        struct slice s = slice_trim(slice_of(line)), number = slice_first(s, slice_find(s, ' '));
        uint64_t n;
        if (slice_number(number, KEYWORDS - 1, &n))
            keywords[n] = arena_copy(a, slice_trim(slice_after(s, number.n)));
    }
    if (f)
        (void)fclose(f);
    else if (fd >= 0)
        (void)close(fd);
}

static void maildir_flags(const char *name, const struct slice keywords[KEYWORDS], struct about *about)
{
    static const struct {
        char letter;
        struct slice flag;
    } letters[] = {{'S', {"\\Seen", 5}},    {'R', {"\\Answered", 9}}, {'F', {"\\Flagged", 8}},
                   {'T', {"\\Deleted", 8}}, {'D', {"\\Draft", 6}},    {'P', {"$Forwarded", 10}}};
    const char *info = strstr(name, ":2,");
    for (const char *p = info ? info + 3 : ""; *p && *p != ','; p++) {
        for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
            if (*p == letters[i].letter)
                about_flag(about, letters[i].flag);
        if (*p >= 'a' && *p <= 'z')
            about_flag(about, keywords[*p - 'a']);
    }
}

/* --- a folder's messages */

static int open_folder(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void count_bytes(struct walk *w, int folder, const struct tree_names *names)
{
    struct stat st;
    for (size_t i = 0; i < names->n && w->s->progress.shown; i++)
        if (fstatat(folder, names->all[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            w->s->progress.of_bytes += st.st_size;
}

static struct error send_folder(struct walk *w, int folder, int beside, struct slice mailbox,
                                const struct slice *keywords)
{
    struct tree_names names;
    struct tree_index index;
    struct error e = tree_names_read(folder, w->layout == EML ? is_eml : any_file, &names);
    struct slice shown = slice_first(mailbox, 60);
    tree_index_open(beside, &index);
    count_bytes(w, folder, &names);
    for (size_t i = 0; e.code == ERROR_NONE && i < names.n; i++) {
        struct arena a;
        char label[SENDER_LABEL_BYTES];
        struct about about = {.mailbox = mailbox};
        arena_init(&a, 1024 * 1024);
        (void)snprintf(label, sizeof label, "%.*s: %s", SLICE_ARG(shown), names.all[i]);
        if (keywords)
            maildir_flags(names.all[i], keywords, &about);
        bool told = tree_index_find(&index, names.all[i], &a, &about);
        e = tree_send_file(w->s, folder, names.all[i], label, told && index.exact ? SENDER_EXACT : SENDER_LINES, &about,
                           w->layout == MAILDIR);
        arena_free(&a);
    }
    tree_index_close(&index);
    tree_names_free(&names);
    return e;
}

static struct error send_maildir(struct walk *w, int folder, struct slice mailbox)
{
    static const char *const parts[] = {"cur", "new"};
    struct slice keywords[KEYWORDS];
    read_keywords(folder, keywords, &w->arena);
    for (int i = 0; i < 2; i++) {
        SCOPED(file_close) int part = open_folder(folder, parts[i]);
        if (part >= 0)
            TRY(send_folder(w, part, folder, mailbox, keywords));
    }
    return OK;
}

/* --- the tree */

static bool is_part(const char *name)
{
    return strcmp(name, "cur") == 0 || strcmp(name, "new") == 0 || strcmp(name, "tmp") == 0;
}

static struct slice longer(struct walk *w, struct slice below, const char *name)
{
    struct slice own = w->layout == MAILDIR && name[0] == '.'      ? tree_from_maildir(slice_of(name), &w->arena)
                       : slice_starts(slice_of(name), SLICE("_.")) ? slice_of(name + 1)
                                                                   : slice_of(name);
    own = arena_copy(&w->arena, own);
    return below.n ? slice_of(arena_printf(&w->arena, "%.*s/%.*s", SLICE_ARG(below), SLICE_ARG(own))) : own;
}

static struct error visit(struct walk *w, int folder, struct slice below, int depth)
{
    struct error e = OK;
    struct slice mailbox = source_mailbox(w->source, below, &w->arena);
    if (depth == 0 && w->layout == EML && !w->source->mailbox.p && !w->source->under.p)
        mailbox = SLICE("INBOX");
    e = w->layout == MAILDIR ? send_maildir(w, folder, mailbox) : send_folder(w, folder, folder, mailbox, NULL);
    int copy = open_folder(folder, ".");
    DIR *d = copy >= 0 && depth < DEPTH_MAX ? fdopendir(copy) : NULL;
    if (copy >= 0 && !d)
        (void)close(copy);
    for (struct dirent *entry; d && e.code == ERROR_NONE && (entry = readdir(d));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (w->layout == MAILDIR && is_part(name)) ||
            (w->layout == EML && name[0] == '.'))
            continue;
        SCOPED(file_close) int inner = open_folder(folder, name);
        if (inner >= 0)
            e = visit(w, inner, longer(w, below, name), depth + 1);
    }
    if (d)
        (void)closedir(d);
    return e;
}

static struct error walk_tree(struct sender *s, const struct source *source, enum layout layout)
{
    struct walk w = {.s = s, .source = source, .layout = layout};
    SCOPED(file_close) int root = open(source->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_make(ERROR_NOT_FOUND,
                          arena_printf(s->call->arena, "the folder %s cannot be opened: %m", source->path));
    arena_init(&w.arena, 64 * 1024 * 1024);
    struct error e = visit(&w, root, SLICE(""), 0);
    arena_free(&w.arena);
    return e;
}

struct error import_maildir(struct sender *s, const struct source *source)
{
    return walk_tree(s, source, MAILDIR);
}

struct error import_eml(struct sender *s, const struct source *source)
{
    return walk_tree(s, source, EML);
}
