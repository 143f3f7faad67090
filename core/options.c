/* core/options.c -- one table read three ways: file, sample, manual */
#include "core/options.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/near.h"

enum { FILE_MAX_BYTES = 1024 * 1024 };

enum type { TEXT, PATH, LIST, CHOICE, NUMBER, SIZE, TIME }; /* from NUMBER on with bounds */

static const struct option {
    const char *name;
    enum type type;
    const char *standard;
    int64_t lo, hi;
    const char *choices, *help;
    size_t offset;
    bool fixed; /* needs a restart */
} options[] = {
#define OPTION_ROW(field, name_, type_, standard_, lo_, hi_, choices_, help_) {name_, type_, standard_, lo_, hi_, choices_, help_, offsetof(struct config, field), false},
#define OPTION_ROW_FIXED(field, name_, type_, standard_, lo_, hi_, choices_, help_) {name_, type_, standard_, lo_, hi_, choices_, help_, offsetof(struct config, field), true},
    OPTIONS(OPTION_ROW, OPTION_ROW_FIXED)
#undef OPTION_ROW
#undef OPTION_ROW_FIXED
};

enum { N_OPTIONS = sizeof options / sizeof options[0] };

/* "10m", "50M", "200": a number with a unit of its type. */
static bool read_number(const struct option *o, struct slice s, int64_t *out)
{
    static const struct {
        enum type type;
        char unit[3];
        int64_t factor;
    } units[] = {{SIZE, "K", 1024}, {SIZE, "M", 1024 * 1024}, {SIZE, "G", 1024 * 1024 * 1024}, {TIME, "ms", 1}, {TIME, "s", 1000}, {TIME, "m", 60000}, {TIME, "h", 3600000}, {TIME, "d", 86400000}};
    size_t digits = 0;
    uint64_t v;
    int64_t factor = o->type == TIME ? 0 : 1;
    while (digits < s.n && ascii_is_digit(s.p[digits]))
        digits++;
    struct slice unit = slice_after(s, digits);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].type == o->type && slice_eq(unit, slice_of(units[i].unit)))
            factor = units[i].factor;
    if (unit.n == 0 && o->type == TIME && slice_eq(s, SLICE("0")))
        factor = 1;
    if (!slice_number(slice_first(s, digits), INT64_MAX, &v) || (unit.n && factor == 1 && !slice_eq(unit, SLICE("ms"))) || factor == 0)
        return false;
    return !__builtin_mul_overflow((int64_t)v, factor, out) && *out >= o->lo && *out <= o->hi;
}

static int choice_of(const struct option *o, struct slice s)
{
    struct slice rest = slice_of(o->choices);
    for (int i = 0; rest.n; i++) {
        struct slice one = slice_first(rest, slice_find(rest, '|'));
        if (slice_eq(one, s))
            return i;
        rest = slice_after(rest, one.n + 1);
    }
    return -1;
}

/* False: the value is not legal. */
static bool set(const struct option *o, struct slice value, const char *folder, struct arena *a, struct config *c)
{
    char *at = (char *)c + o->offset;
    int choice;
    switch (o->type) {
    case TEXT:
    case LIST:
        *(const char **)(void *)at = arena_string(a, value);
        return *(const char **)(void *)at != NULL;
    case PATH:
        *(const char **)(void *)at = value.n && value.p[0] != '/' && folder ? arena_printf(a, "%s/%.*s", folder, SLICE_ARG(value)) : arena_string(a, value);
        return *(const char **)(void *)at != NULL;
    case CHOICE:
        choice = choice_of(o, value);
        *(int *)(void *)at = choice;
        return choice >= 0;
    default:
        return read_number(o, value, (int64_t *)(void *)at);
    }
}

struct error config_defaults(struct arena *a, struct config *out)
{
    *out = (struct config){0};
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (!set(&options[i], slice_of(options[i].standard), NULL, a, out))
            return error_make(ERROR_INVALID, arena_printf(a, "the default of %s is not legal", options[i].name));
    return OK;
}

static const char *wanted(const struct option *o, struct arena *a)
{
    switch (o->type) {
    case CHOICE:
        return arena_printf(a, "one of %s", o->choices);
    case NUMBER:
        return arena_printf(a, "a number from %lld to %lld", (long long)o->lo, (long long)o->hi);
    case SIZE:
        return arena_printf(a, "a size from %lld to %lld bytes, like 50M", (long long)o->lo, (long long)o->hi);
    case TIME:
        return arena_printf(a, "a time from %lld to %lld seconds, like 30s, 10m, 2h or 1d", (long long)o->lo / 1000, (long long)o->hi / 1000);
    default:
        return "text";
    }
}

/* The option whose name is nearest: what a person probably meant. A name of another program's level ("size" for "mail.max_message_size") is near, too. */
static const char *nearest(struct slice name)
{
    const char *best = options[0].name;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        struct slice other = slice_of(options[i].name), last = slice_after(other, slice_find(other, '.') + 1);
        size_t whole = near_distance(name, other), part = last.n ? near_distance(name, last) : whole, d = whole < part ? whole : part;
        if (d < least) {
            least = d;
            best = options[i].name;
        }
    }
    return best;
}

static const char *read_line(struct slice line, int number, const char *path, const char *folder, int *seen, struct arena *a, struct config *out)
{
    line = slice_trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return "";
    size_t equal = slice_find(line, '=');
    struct slice name = slice_trim(slice_first(line, equal)), value = slice_trim(slice_after(line, equal + 1));
    if (equal == line.n)
        return arena_printf(a, "%s:%d: there is no '='; write `name = value`, or put a # before a comment\n", path, number);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (!slice_eq(name, slice_of(options[i].name)))
            continue;
        if (seen[i]++)
            return arena_printf(a, "%s:%d: %s stands in the file twice; remove one of the lines\n", path, number, options[i].name);
        if (!set(&options[i], value, folder, a, out))
            return arena_printf(a, "%s:%d: %s cannot be \"%.*s\"; write %s\n", path, number, options[i].name, SLICE_ARG(slice_first(value, 200)), wanted(&options[i], a));
        return "";
    }
    return arena_printf(a, "%s:%d: there is no option \"%.*s\"; did you mean %s? `kantord --print-sample` shows all\n", path, number, SLICE_ARG(slice_first(name, 100)), nearest(name));
}

static struct error read_file(const char *path, struct arena *a, struct slice *out)
{
    FILE *f = fopen(path, "re");
    struct buffer b = {0};
    if (!f)
        return error_make(ERROR_IO, arena_printf(a, "%s: cannot be read (%m); `kantord --print-sample` writes one to begin with\n", path));
    while (buffer_length(&b) <= FILE_MAX_BYTES) {
        char *to = buffer_room(&b, 4096);
        size_t n = to ? fread(to, 1, 4096, f) : 0;
        if (n == 0)
            break;
        buffer_added(&b, n);
    }
    const char *wrong = ferror(f) ? arena_printf(a, "%s: cannot be read (%m)\n", path) : buffer_length(&b) > FILE_MAX_BYTES ? arena_printf(a, "%s: is larger than 1 MB; that is no kantor.conf\n", path) : NULL;
    (void)fclose(f);
    if (wrong) {
        buffer_free(&b);
        return error_make(ERROR_IO, wrong);
    }
    *out = arena_copy(a, buffer_slice(&b));
    buffer_free(&b);
    return out->p ? OK : error_make(ERROR_MEMORY, "no memory for the configuration");
}

struct error config_read(const char *path, struct arena *a, struct config *out)
{
    struct slice text;
    int seen[N_OPTIONS] = {0}, number = 0;
    const char *wrong = "";
    TRY(config_defaults(a, out));
    TRY(read_file(path, a, &text));
    const char *slash = strrchr(path, '/');
    const char *folder = slash ? arena_string(a, slice_make(path, (size_t)(slash - path))) : ".";
    if (slice_starts(text, SLICE("\xEF\xBB\xBF")))
        text = slice_after(text, 3);
    while (text.n) {
        struct slice line = slice_first(text, slice_find(text, '\n'));
        text = slice_after(text, line.n + 1);
        wrong = arena_printf(a, "%s%s", wrong, read_line(line, ++number, path, folder, seen, a, out));
        if (!wrong)
            return error_make(ERROR_MEMORY, "no memory for the configuration");
    }
    if (wrong[0])
        return error_make(ERROR_INVALID, wrong);
    struct error e = config_check(out, a);
    return e.code == ERROR_NONE ? OK : error_make(e.code, arena_printf(a, "%s: %s", path, e.text));
}

static bool same(const struct option *o, const struct config *one, const struct config *other)
{
    const void *x = (const char *)one + o->offset, *y = (const char *)other + o->offset;
    switch (o->type) {
    case TEXT:
    case LIST:
    case PATH:
        return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
    case CHOICE:
        return *(const int *)x == *(const int *)y;
    default:
        return *(const int64_t *)x == *(const int64_t *)y;
    }
}

static size_t value_size(enum type t)
{
    return t == TEXT || t == LIST || t == PATH ? sizeof(const char *) : t == CHOICE ? sizeof(int) : sizeof(int64_t);
}

bool config_equal(const struct config *one, const struct config *other)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (!same(&options[i], one, other))
            return false;
    return true;
}

void config_keep_fixed(const struct config *running, struct config *fresh, void (*tell)(const char *name, void *arg), void *arg)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];
        if (!o->fixed || same(o, running, fresh))
            continue;
        tell(o->name, arg);
        memcpy((char *)fresh + o->offset, (const char *)running + o->offset, value_size(o->type));
    }
}

static bool is_time_of_day(const char *s)
{
    return strlen(s) == 5 && ascii_is_digit(s[0]) && ascii_is_digit(s[1]) && s[2] == ':' && ascii_is_digit(s[3]) && ascii_is_digit(s[4]) && (s[0] - '0') * 10 + s[1] - '0' < 24 && s[3] < '6';
}

struct error config_check(const struct config *c, struct arena *a)
{
    if (c->workers < c->readers)
        return error_make(ERROR_INVALID, arena_printf(a, "threads.readers (%lld) is larger than threads.workers (%lld); more readers than workers are never used\n", (long long)c->readers, (long long)c->workers));
    if (!is_time_of_day(c->backup_at))
        return error_make(ERROR_INVALID, arena_printf(a, "backup.at cannot be \"%.50s\"; write hours and minutes, like 03:00\n", c->backup_at));
    if (c->idle_imap < 30 * 60000 && c->port_base == 0)
        return error_make(ERROR_INVALID, "timeout.imap is below 30 minutes, which RFC 9051 5.4 forbids; write 30m or more\n");
    return OK;
}

/* A bound as a person writes it: 1048576 bytes are 1M, 3600000 ms are 1h. */
static void bound(const struct option *o, int64_t v, struct buffer *out)
{
    static const struct {
        enum type type;
        int64_t factor;
        const char *unit;
    } units[] = {{SIZE, 1 << 30, "G"}, {SIZE, 1 << 20, "M"}, {SIZE, 1 << 10, "K"}, {TIME, 86400000, "d"}, {TIME, 3600000, "h"}, {TIME, 60000, "m"}, {TIME, 1000, "s"}, {TIME, 1, "ms"}};
    for (size_t i = 0; v && i < sizeof units / sizeof units[0]; i++)
        if (units[i].type == o->type && v % units[i].factor == 0) {
            buffer_printf(out, "%lld%s", (long long)(v / units[i].factor), units[i].unit);
            return;
        }
    buffer_printf(out, "%lld", (long long)v);
}

/* "A number from 4 to 256; default 32; a change needs a restart." */
static void describe(const struct option *o, struct buffer *out)
{
    static const char *const kinds[] = {[TEXT] = "A text", [PATH] = "A path", [LIST] = "A list, parted by commas", [CHOICE] = "One of ", [NUMBER] = "A number", [SIZE] = "A size", [TIME] = "A time"};
    buffer_printf(out, "%s", kinds[o->type]);
    for (const char *p = o->type == CHOICE ? o->choices : ""; *p; p++)
        buffer_add(out, *p == '|' ? SLICE(", ") : slice_make(p, 1));
    if (o->type >= NUMBER) {
        buffer_add(out, SLICE(" from "));
        bound(o, o->lo, out);
        buffer_add(out, SLICE(" to "));
        bound(o, o->hi, out);
    }
    buffer_printf(out, "; default %s%s.", o->standard[0] ? o->standard : "empty", o->fixed ? "; a change needs a restart" : "");
}

static void man_text(const char *text, struct buffer *out)
{
    for (const char *p = text; *p; p++) {
        if (*p == '-' || *p == '\\')
            buffer_add_char(out, '\\');
        buffer_add_char(out, *p == '\\' ? 'e' : *p == '`' ? '\'' : *p);
    }
}

void config_write_sample(struct buffer *out)
{
    buffer_add(out, SLICE("# kantor.conf: what kantord needs to start. Every option is shown with its default;\n# remove the # before a line to change it. People, domains and mail rules are not here:\n"
                          "# `kantorctl --help` shows how they are kept.\n"));
    for (size_t i = 0; i < N_OPTIONS; i++) {
        buffer_printf(out, "\n# %s\n# ", options[i].help);
        describe(&options[i], out);
        buffer_printf(out, "\n#%s = %s\n", options[i].name, options[i].standard);
    }
}

void config_write_man(struct buffer *out)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        buffer_printf(out, ".TP\n.B %s\n", options[i].name);
        man_text(options[i].help, out);
        buffer_add_char(out, '\n');
        struct buffer b = {0};
        describe(&options[i], &b);
        buffer_add_char(&b, '\0');
        man_text(b.failed ? "" : b.bytes, out);
        buffer_free(&b);
        buffer_add_char(out, '\n');
    }
}
