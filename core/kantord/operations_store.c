/* core/kantord/operations_store.c -- check, backup, restore, garbage: words to the calls of core/store and back to sentences */
#include <stdarg.h>
#include <stdio.h>

#include "core/kantord/backup_run.h"
#include "core/kantord/operations_internal.h"
#include "core/kantord/restore_account.h"
#include "core/log.h"
#include "core/store/backup.h"
#include "mail/mailbox/index.h"

#define say(k, ...) report_say(&(k)->report, __VA_ARGS__)

static void say_line(void *arg, const char *line)
{
    struct operation_call *k = arg;
    say(k, "%s", line);
}

/* How far a long one is: into the log, for the answer comes at the end. */
static void log_line(void *arg, const char *line)
{
    (void)arg;
    LOG_EVENT(LOG_INFO, "progress", LOG_WORD("what", line));
}

static char *option_text(struct operation_call *k, const char *name)
{
    struct slice value = operation_option(k, name);
    return value.p ? arena_string(k->arena, value) : NULL;
}

struct error run_check(struct operation_call *k)
{
    int repair = operation_option(k, "repair").p != NULL;
    struct store_check check = {.mode = repair ? STORE_CHECK_REPAIR : STORE_CHECK_ONLY, .finding = say_line, .progress = log_line, .arg = k, .derived = message_index_look, .derive = message_index_mend};
    TRY(store_check(k->server->store, &check));
    if (check.findings == 0) {
        say(k, "the store is clean");
        return OK;
    }
    say(k, "%lld findings%s", (long long)check.findings, repair ? "; what can be mended was mended, run check again" : "; `kantorctl check --repair` mends what can be mended and deletes no mail");
    return repair ? OK : error_make(ERROR_CORRUPT, "the store is not clean; the lines above say where");
}

static void say_facts(struct operation_call *k, const char *what, const struct backup_facts *f)
{
    say(k, "%s: %lld accounts, %lld mailboxes, %lld messages; schema %lld, epoch %s", what, (long long)f->accounts, (long long)f->mailboxes, (long long)f->messages, (long long)f->schema, f->epoch);
}

struct error run_backup(struct operation_call *k)
{
    struct backup_facts facts;
    struct store_backup b = {.previous = option_text(k, "previous")};
    char *verify = option_text(k, "verify");
    if (verify) {
        TRY(store_backup_verify(verify, k->arena, &facts, NULL));
        say(k, "the backup is whole: %lld files, %lld bytes", (long long)facts.files, (long long)facts.bytes);
        say_facts(k, "it holds", &facts);
        return OK;
    }
    if (k->n_words < 2)
        return error_make(ERROR_INVALID, "write `kantorctl backup FOLDER` or `kantorctl backup --verify FOLDER`");
    b.to = arena_string(k->arena, k->words[1]);
    struct error e = backup_run(k->server, &b, k->arena);
    if (e.code == ERROR_IO && k->server->net)
        return error_make(ERROR_IO, arena_printf(k->arena, "%s (the running server writes only below data_dir, backup.folder and sandbox.folders)", e.text));
    TRY(e);
    say(k, "backed up to %s", b.to);
    say_facts(k, "it holds", &b.facts);
    if (b.missing || b.unread)
        say(k, "left out: %lld contents whose file is missing in the store (run `kantorctl check`), %lld files that could not be read (the log names them)", (long long)b.missing, (long long)b.unread);
    return b.missing ? error_make(ERROR_CORRUPT, "the backup is whole, but the store itself is damaged") : OK;
}

struct error run_restore(struct operation_call *k)
{
    struct account_restore r = {.from = option_text(k, "from"), .address = operation_option(k, "account"), .mailbox = operation_option(k, "mailbox"), .progress = log_line};
    if (!r.from || !r.address.p)
        return error_make(ERROR_INVALID, "write `kantorctl restore --from FOLDER --account ADDRESS [--mailbox NAME]`; a whole server: `kantorctl restore BACKUP FOLDER`");
    struct error e = account_restore_run(k->server->store, &r, k->arena);
    if (e.code == ERROR_NONE || r.added)
        say(k, "%lld messages added in %lld mailboxes, %lld were there%s", (long long)r.added, (long long)r.mailboxes, (long long)r.were_there, r.unreadable ? "; some could not be read in the backup" : "");
    return e;
}

struct error run_gc(struct operation_call *k)
{
    TRY(store_collect_garbage(k->server->store));
    say(k, "collected");
    return OK;
}
