/* core/kantorctl/tree.c -- folders of messages: names, index, one file */
#include "core/kantorctl/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "mail/mailbox/name.h"

enum { INDEX_LINE_MAX = 1024 * 1024 };

/* --- names */

/* "&AC4-" is a dot that parts no levels: our way, and what a reader of modified UTF-7 understands. */
static struct slice level_from(struct slice level, struct arena *a)
{
    struct buffer plain = {0}, out = {0};
    while (level.n) {
        if (slice_starts(level, SLICE("&AC4-"))) {
            if (!name_from_utf7(buffer_slice(&plain), &out))
                buffer_add(&out, buffer_slice(&plain));
            buffer_clear(&plain);
            buffer_add_char(&out, '.');
            level = slice_after(level, 5);
        } else {
            buffer_add_char(&plain, level.p[0]);
            level = slice_after(level, 1);
        }
    }
    size_t before = buffer_length(&out);
    if (!name_from_utf7(buffer_slice(&plain), &out)) {
        out.end = out.start + before;
        buffer_add(&out, buffer_slice(&plain));
    }
    struct slice s = arena_copy(a, buffer_slice(&out));
    buffer_free(&plain);
    buffer_free(&out);
    return s;
}

struct slice tree_from_maildir(struct slice name, struct arena *a)
{
    struct slice path = SLICE("");
    if (name.n && name.p[0] == '.')
        name = slice_after(name, 1);
    while (name.n) {
        struct slice level = slice_first(name, slice_find(name, '.'));
        name = slice_after(name, level.n + 1);
        level = level_from(level, a);
        path = path.n ? slice_of(arena_printf(a, "%.*s/%.*s", SLICE_ARG(path), SLICE_ARG(level))) : level;
    }
    return path;
}

struct slice tree_to_maildir(struct slice path, struct arena *a)
{
    struct buffer out = {0}, level = {0};
    if (slice_eq(path, SLICE("INBOX")))
        return SLICE("");
    while (path.n) {
        struct slice one = slice_first(path, slice_find(path, '/'));
        path = slice_after(path, one.n + 1);
        buffer_add_char(&out, '.');
        buffer_clear(&level);
        name_to_utf7(one, &level);
        for (size_t i = 0; i < buffer_length(&level); i++) {
            char c = buffer_slice(&level).p[i];
            buffer_add(&out, c == '.' ? SLICE("&AC4-") : slice_make(&c, 1));
        }
    }
    struct slice s = arena_copy(a, buffer_slice(&out));
    buffer_free(&out);
    buffer_free(&level);
    return s;
}

struct slice tree_to_folder(struct slice path, struct arena *a)
{
    struct buffer out = {0};
    for (size_t i = 0; i < path.n; i++) {
        int first = i == 0 || path.p[i - 1] == '/';
        buffer_add(&out, first && path.p[i] == '.' ? SLICE("_.") : slice_make(path.p + i, 1));
    }
    struct slice s = arena_copy(a, buffer_slice(&out));
    buffer_free(&out);
    return s;
}

/* --- the index */

static bool next_line(struct tree_index *index)
{
    free(index->pending);
    index->pending = NULL;
    while (index->file && !index->pending) {
        ssize_t n = getline(&index->line, &index->size, index->file);
        if (n <= 0)
            return false;
        json_t *json = n < INDEX_LINE_MAX ? json_loadb(index->line, (size_t)n, 0, NULL) : NULL;
        const char *file = json_string_value(json_object_get(json, "file"));
        if (json_is_true(json_object_get(json, "exact")))
            index->exact = 1;
        index->pending = file ? strdup(file) : NULL;
        json_decref(json);
    }
    return index->pending != NULL;
}

void tree_index_open(int folder, struct tree_index *index)
{
    *index = (struct tree_index){0};
    int fd = openat(folder, TREE_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    index->file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (fd >= 0 && !index->file)
        (void)close(fd);
    (void)next_line(index);
}

void tree_index_close(struct tree_index *index)
{
    if (index->file)
        (void)fclose(index->file);
    free(index->line);
    free(index->pending);
    *index = (struct tree_index){0};
}

bool tree_index_find(struct tree_index *index, const char *file, struct arena *a, struct about *about)
{
    while (index->pending && strcmp(index->pending, file) < 0)
        (void)next_line(index);
    if (!index->pending || strcmp(index->pending, file) != 0)
        return false;
    json_t *json = json_loads(index->line, 0, NULL), *one;
    size_t i;
    about->received = json_integer_value(json_object_get(json, "received"));
    about->n_flags = 0;
    json_array_foreach(json_object_get(json, "flags"), i, one)
        about_flag(about, arena_copy(a, slice_of(json_string_value(one) ? json_string_value(one) : "")));
    json_decref(json);
    return true;
}

/* --- files */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct error read_names(int folder, bool dotted, bool (*wanted)(const char *name), struct tree_names *names)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    *names = (struct tree_names){0};
    if (!d)
        return error_make(ERROR_IO, "a folder cannot be read");
    for (struct dirent *entry; (entry = readdir(d));) {
        if ((entry->d_name[0] == '.') != dotted || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0 || !wanted(entry->d_name))
            continue;
        if (names->n == names->room) {
            size_t room = names->room ? names->room * 2 : 256;
            char **grown = realloc(names->all, room * sizeof *grown);
            if (!grown)
                break;
            names->all = grown;
            names->room = room;
        }
        names->all[names->n] = strdup(entry->d_name);
        if (!names->all[names->n])
            break;
        names->n++;
    }
    (void)closedir(d);
    if (names->n)
        qsort(names->all, names->n, sizeof *names->all, by_name);
    return OK;
}

struct error tree_names_read(int folder, bool (*wanted)(const char *name), struct tree_names *names)
{
    return read_names(folder, false, wanted, names);
}

struct error tree_names_dotted(int folder, bool (*wanted)(const char *name), struct tree_names *names)
{
    return read_names(folder, true, wanted, names);
}

void tree_names_free(struct tree_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->all[i]);
    free(names->all);
    *names = (struct tree_names){0};
}

static struct error send_bytes(struct sender *s, int fd)
{
    char piece[FRAME_DATA_BYTES];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? OK : error_make(ERROR_IO, "a file could not be read to its end");
        TRY(sender_data(s, slice_make(piece, (size_t)n)));
    }
}

struct error tree_send_file(struct sender *s, int folder, const char *name, const char *label, enum sender_form form,
                            struct about *about, int use_time)
{
    struct stat st;
    SCOPED(file_close) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const char *wrong = fd < 0                                        ? (errno == ELOOP    ? "it is a link"
                                                                         : errno == EACCES ? "it may not be read"
                                                                                           : "it cannot be opened")
                        : fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ? "it is no plain file"
                        : st.st_size == 0                             ? "it is empty"
                                                                      : NULL;
    if (wrong) {
        sender_skip(s, label, wrong);
        return OK;
    }
    if (use_time && !about->received)
        about->received = st.st_mtime;
    TRY(sender_begin(s, label, form));
    struct error e = send_bytes(s, fd);
    if (e.code == ERROR_IO) { /* half a message is none */
        sender_skip(s, label, e.text);
        about->drop = 1;
        e = OK;
    }
    TRY(e);
    return sender_end(s, about);
}
