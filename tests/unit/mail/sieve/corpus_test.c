/* Scripts of other servers' tests (../shared/corpus/sieve, when it is there): what they mark as errors is refused, all else compiles; Cyrus's answers are ours */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/unit/mail/sieve/sieve_test.h"

enum { PATH_ROOM = 1024 };

static const char *corpus(void)
{
    static const char *const places[] = {"../shared/corpus/sieve", "../../shared/corpus/sieve"};
    struct stat st;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (stat(places[i], &st) == 0)
            return places[i];
    return NULL;
}

static struct slice file_read(struct arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *p = arena_alloc(a, SIEVE_SCRIPT_MAX + 1);
    size_t n = fread(p, 1, SIEVE_SCRIPT_MAX + 1, f);
    (void)fclose(f);
    return slice_make(p, n);
}

/* Refused although their own server takes them, each for a reason. */
static const char *const refused[] = {
    "uberTestScript.s",           /* redirects to an address with a comment inside; see below */
    "addressAllResend-From.script", /* Resend-From is no field that holds addresses */
    "reject.script",              /* does not require reject */
    "commands-endblock.sieve", "commands-semicolon.sieve", "tests-endcomma.sieve", /* samples of broken scripts */
};

/* Errors that only a run can tell, or that are none here. */
static const char *const accepted[] = {
    "error.sieve", "conflict-reject.sieve", /* faults of the run */
    "mailboxexists-bad-utf8.sieve",         /* such a mailbox does not exist */
};

static bool listed(const char *const *all, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (slice_ends(slice_of(path), slice_of(all[i])))
            return true;
    return false;
}

static int scripts, wrong;

static void check_script(const char *path)
{
    struct arena a;
    struct sieve_script *s;
    struct sieve_fault fault;
    arena_init(&a, ARENA_REQUEST_MAX);
    struct error e = sieve_compile(file_read(&a, path), &a, &s, &fault);
    bool unknown = e.code == ERROR_INVALID && strstr(fault.text, "does not know the extension");
    bool must_fail = (strstr(path, "/errors/") && !listed(accepted, sizeof accepted / sizeof accepted[0], path)) || listed(refused, sizeof refused / sizeof refused[0], path);
    scripts++;
    if (!unknown && must_fail != (e.code != ERROR_NONE)) {
        wrong++;
        print_error("%s: line %u: %s\n", path, fault.line, fault.text ? fault.text : "compiles");
    }
    arena_free(&a);
}

static void walk(const char *folder, int depth)
{
    char path[PATH_ROOM];
    struct stat st;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= PATH_ROOM || stat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth < 10)
            walk(path, depth + 1);
        else if (slice_ends(slice_of(path), SLICE(".sieve")) || slice_ends(slice_of(path), SLICE(".script")) || slice_ends(slice_of(path), SLICE(".s")))
            check_script(path);
    }
    (void)closedir(d);
}

static void scripts_of_other_servers_compile_or_are_refused_as_there(void **state)
{
    (void)state;
    if (!corpus())
        skip();
    walk(corpus(), 0);
    assert_true(scripts > 100);
    assert_int_equal(wrong, 0);
}

/* The whole of `from` in `s` becomes `to`. */
static void replace(struct slice s, struct slice from, struct slice to, struct buffer *out)
{
    while (s.n) {
        bool here = slice_starts(s, from);
        buffer_add(out, here ? to : slice_first(s, 1));
        s = slice_after(s, here ? from.n : 1);
    }
}

/* Its many redirects become mailboxes: we allow five addresses a message. */
static void the_answers_of_cyrus_test_script_are_ours(void **state)
{
    static const char common[] = "fileinto \"me+goodtrue@blah.com\"\nfileinto \"me+goodnot@blah.com\"\nfileinto \"me+goodif@blah.com\"\nfileinto \"me+goodelseif@blah.com\"\nfileinto \"me+goodelse@blah.com\"\n"
                                 "fileinto \"me+goodnull@blah.com\"\nfileinto \"me+goodnesting@blah.com\"\nfileinto \"me+goodallof@blah.com\"\nfileinto \"me+goodanyof@blah.com\"\n";
    static const struct {
        const char *message, *actions;
    } rows[] = {
        {"utest-address", "fileinto \"me+aallis@blah.com\"\nfileinto \"me+aallcontains@blah.com\"\nfileinto \"me+aallmatches@blah.com\"\nfileinto \"me+adomainis@blah.com\"\nfileinto \"me+adomaincontains@blah.com\"\n"
                          "fileinto \"me+adomainmatches@blah.com\"\nfileinto \"me+alocalpartis@blah.com\"\nfileinto \"me+alocalpartcontains@blah.com\"\nfileinto \"me+alocalpartmatches@blah.com\"\n"},
        {"utest-header", "fileinto \"me+headercontains@blah.com\"\nfileinto \"me+headeris@blah.com\"\nfileinto \"me+headermatches@blah.com\"\n"},
    };
    char path[PATH_ROOM];
    struct arena a;
    (void)state;
    if (!corpus())
        skip();
    arena_init(&a, ARENA_REQUEST_MAX);
    snprintf(path, sizeof path, "%s/cyrus/test/uberTestScript.s", corpus());
    struct buffer script = {0}, got = {0}, expected = {0};
    buffer_add(&script, SLICE("require \"fileinto\";"));
    replace(file_read(&a, path), SLICE("redirect"), SLICE("fileinto"), &script);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/cyrus/test/testm/%s", corpus(), rows[i].message);
        buffer_printf(&expected, "%sfileinto \"me+toexists@blah.com\"\nfileinto \"me+under1k@blah.com\"\n%s", rows[i].actions, common);
        sieve_test_run(buffer_slice(&script), file_read(&a, path), SLICE("a@b"), SLICE("c@d"), &got);
    }
    buffer_add_char(&got, '\0');
    buffer_add_char(&expected, '\0');
    assert_string_equal(buffer_slice(&got).p, buffer_slice(&expected).p);
    buffer_free(&script);
    buffer_free(&got);
    buffer_free(&expected);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts_of_other_servers_compile_or_are_refused_as_there),
        cmocka_unit_test(the_answers_of_cyrus_test_script_are_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
