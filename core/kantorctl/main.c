/* core/kantorctl/main.c -- the administrator's command: reads the command line, asks for what is missing, asks the server
 *
 * What can be asked for is the table of operations in core/kantord/operations.c; a row's flags say what this side has to do: ask for a password, read files
 * and send messages, receive messages and write files, or do it by itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/kantord/operations.h"
#include "core/kantorctl/receiver.h"
#include "core/kantorctl/secret.h"
#include "core/kantorctl/sender.h"
#include "core/kantorctl/top.h"
#include "core/options.h"
#include "core/store/backup.h"

static const char usage[] = "Usage: kantorctl [--demo DIR | --config FILE] OPERATION … [--json]\n"
                            "       kantorctl help OPERATION\n\n"
                            "  --demo DIR       the demonstration server in DIR\n"
                            "  --config FILE    a server's configuration (default /etc/kantor/kantor.conf)\n"
                            "  --json           answer with JSON instead of a table\n"
                            "  --help, --version\n\n"
                            "It asks the running server, or works on its files when it is stopped. Exit status: 0 done, 1 failed, 2 not understood.\n";

static int fail(struct error e)
{
    const char *text = e.text ? e.text : error_word(e.code);
    size_t n = strlen(text);
    (void)fprintf(stderr, "kantorctl: %s%s", text, n && text[n - 1] == '\n' ? "" : "\n");
    return e.code == ERROR_INVALID ? OPERATION_EXIT_USAGE : OPERATION_EXIT_FAILED;
}

static int print(void (*write)(struct buffer *out), const char *before)
{
    struct buffer b = {0};
    write(&b);
    (void)fputs(before, stdout);
    (void)fwrite(b.bytes, 1, buffer_length(&b), stdout);
    buffer_free(&b);
    return 0;
}

static int print_help_of(int n, char **words)
{
    struct buffer b = {0};
    if (n == 0)
        return print(operations_write_help, usage);
    if (!operations_write_help_of(slice_of(words[0]), slice_of(n > 1 ? words[1] : ""), &b)) {
        struct arena a;
        struct operation_call k = {.arena = &a};
        const struct operation *row;
        struct slice args[2] = {slice_of(words[0]), slice_of(n > 1 ? words[1] : "")};
        arena_init(&a, 1024 * 1024);
        int status = fail(operation_parse(&k, args, n > 1 ? 2 : 1, &row));
        arena_free(&a);
        return status;
    }
    (void)fwrite(b.bytes, 1, buffer_length(&b), stdout);
    buffer_free(&b);
    return 0;
}

/* A whole server, into a folder. (One person's mail goes into the running server: `restore --from`.) */
static int restore(const struct operation_call *k)
{
    struct backup_facts facts;
    int64_t held = 0;
    const char *to = arena_string(k->arena, k->words[2]);
    struct error e = store_restore(arena_string(k->arena, k->words[1]), to, k->arena, &facts, &held);
    if (e.code != ERROR_NONE)
        return fail(e);
    (void)printf("restored to %s: %lld accounts, %lld messages; set data_dir to it (or move it there) and start the server\n", to, (long long)facts.accounts, (long long)facts.messages);
    if (access(arena_printf(k->arena, "%s/config", to), F_OK) == 0)
        (void)printf("the configuration as it was, and certificates from outside the data folder, are in %s/config\n", to);
    if (held)
        (void)printf("%lld recipients of the queue are held, for their mail may have been sent since; `kantorctl queue list` shows them\n", (long long)held);
    return 0;
}

/* --- messages */

static int import(struct call *call, const struct operation_call *k)
{
    struct slice kind = k->words[1];
    struct source source = {.path = arena_string(k->arena, k->words[3]), .mailbox = operation_option(k, "mailbox"), .under = operation_option(k, "under")};
    struct sender s;
    struct error e = sender_open(&s, call);
    if (e.code == ERROR_NONE && !call->answered)
        e = slice_eq(kind, SLICE("mbox")) ? import_mbox(&s, &source) : slice_eq(kind, SLICE("maildir")) ? import_maildir(&s, &source) : import_eml(&s, &source);
    int failed = e.code != ERROR_NONE && e.code != ERROR_CLOSED ? fail(e) : 0; /* closed: the server says why */
    int status = s.labels ? sender_finish(&s) : 1;
    sender_close(&s);
    return failed ? failed : status ? status : s.skipped ? OPERATION_EXIT_FAILED : 0;
}

static int export(struct call *call, const struct operation_call *k)
{
    struct slice kind = k->words[1];
    const char *path = arena_string(k->arena, k->words[3]);
    if (slice_eq(k->words[0], SLICE("account")))
        return receiver_run(call, RECEIVER_ACCOUNT, path);
    return receiver_run(call, slice_eq(kind, SLICE("mbox")) ? RECEIVER_MBOX : slice_eq(kind, SLICE("maildir")) ? RECEIVER_MAILDIR : RECEIVER_EML, path);
}

/* --- a call */

static struct error find_secret(const struct operation *row, const struct operation_call *k, struct slice *secret)
{
    *secret = slice_make(NULL, 0);
    if (row->flags & OPERATION_TEXT)
        return operation_option(k, "text").p ? OK : secret_read_text(k->arena, secret);
    if (row->flags & OPERATION_PASSWORD_OF_USER && !operation_option(k, "user").p)
        return OK;
    if (!(row->flags & OPERATION_PASSWORD) || operation_option(k, "password").p || operation_option(k, "no-password").p || (operation_option(k, "count").p && !operation_option(k, "password-stdin").p))
        return OK;
    if (operation_option(k, "password-stdin").p || (row->flags & OPERATION_PASSWORD_NEEDED && !isatty(0)))
        return secret_read(k->arena, secret);
    return isatty(0) && isatty(2) ? secret_ask(row->flags & OPERATION_PASSWORD_NEEDED ? "New password" : "Password (empty: none yet)", k->arena, secret) : OK;
}

static int ask(const struct config *c, const char *config_path, const struct operation *row, struct operation_call *k, char **words, int n)
{
    struct call call;
    struct slice secret;
    struct error e = find_secret(row, k, &secret);
    if (e.code != ERROR_NONE)
        return fail(e);
    if (row->flags & OPERATION_LOCAL && !row->run)
        return top_run(c, k->arena, operation_option(k, "once").p != NULL, operation_option(k, "json").p != NULL);
    e = call_open(c, k->arena, &call);
    call.server.config_path = config_path; /* nothing has been asked yet; a backup of a stopped server takes the file along */
    if (e.code == ERROR_NONE)
        e = call_request(&call, words, n, secret);
    int status;
    if (e.code != ERROR_NONE)
        status = fail(e);
    else if (row->flags & OPERATION_MESSAGES_IN)
        status = slice_eq(k->words[0], SLICE("account")) ? import_account(&call, arena_string(k->arena, k->words[2])) : import(&call, k);
    else if (row->flags & OPERATION_MESSAGES_OUT)
        status = export(&call, k);
    else
        status = call_finish(&call);
    call_close(&call);
    return status;
}

static int run(const char *config, char **words, int n, struct arena *a)
{
    struct slice args[2 * OPERATION_WORDS_MAX];
    struct operation_call k = {.arena = a};
    const struct operation *row;
    struct config c;
    if (n > 2 * OPERATION_WORDS_MAX)
        return fail(error_make(ERROR_INVALID, "too many words"));
    for (int i = 0; i < n; i++)
        args[i] = slice_of(words[i]);
    struct error e = operation_parse(&k, args, (size_t)n, &row);
    if (e.code != ERROR_NONE)
        return fail(e);
    if (row->flags & OPERATION_LOCAL && row->run && k.n_words == 3) /* the words of a whole restore; with --from the server does it */
        return restore(&k);
    e = config_read(config, a, &c);
    return e.code != ERROR_NONE ? fail(error_make(ERROR_IO, e.text)) : ask(&c, config, row, &k, words, n);
}

int main(int argc, char **argv)
{
    const char *config = "/etc/kantor/kantor.conf";
    struct arena a;
    int at = 1;
    arena_init(&a, ARENA_REQUEST_MAX);
    while (at + 1 < argc && (strcmp(argv[at], "--demo") == 0 || strcmp(argv[at], "--config") == 0)) {
        config = strcmp(argv[at], "--demo") == 0 ? arena_printf(&a, "%s/kantor.conf", argv[at + 1]) : argv[at + 1];
        at += 2;
    }
    int status;
    if (at >= argc || strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
        status = print_help_of(0, NULL);
    else if (strcmp(argv[at], "help") == 0)
        status = print_help_of(argc - at - 1, argv + at + 1);
    else if (strcmp(argv[at], "--version") == 0)
        status = printf("kantorctl %s\n", KANTOR_VERSION) < 0;
    else if (argc - at > 1 && strcmp(argv[argc - 1], "--help") == 0)
        status = print_help_of(argc - at - 1 < 2 ? argc - at - 1 : 2, argv + at);
    else
        status = run(config, argv + at, argc - at, &a);
    arena_free(&a);
    return status;
}
