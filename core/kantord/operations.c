/* core/kantord/operations.c -- the table of operations, and what is made of it: the check of a command line, help, manual */
#include "core/kantord/operations.h"

#include <stdio.h>

#include "core/kantord/operations_internal.h"
#include "core/near.h"

/* group, first, second, least and most words, flags, function, arguments, one line, more */
const struct operation operations[] = {
    {"Domains", "domain", "add", 3, 3, 0, run_domain_add, "NAME", "serve mail for a domain", "The name may be written with its own letters (büro.example); it is kept in its ASCII form."},
    {"Domains", "domain", "list", 2, 2, 0, run_domain_list, "", "the domains served here", ""},
    {"Domains", "domain", "alias", 4, 4, 0, run_domain_alias, "NAME DOMAIN", "let every address of DOMAIN exist at NAME, too", "Undone with `kantorctl domain remove NAME`."},
    {"Domains", "domain", "catch-all", 4, 4, 0, run_domain_catch_all, "DOMAIN ADDRESS|-", "mail for unknown names of DOMAIN goes to ADDRESS; - for nobody", ""},
    {"Domains", "domain", "archive", 4, 4, 0, run_domain_archive, "DOMAIN ADDRESS|-", "a report of each mail in and out of DOMAIN, with the mail, goes to ADDRESS; - for nobody",
     "The report names the sender and every recipient, blind ones too. It is the rule `archive`."},
    {"Domains", "domain", "dns", 3, 3, 0, run_domain_dns, "NAME [--check]", "every DNS record to publish for a domain, as a zone file has it; or which of them are wrong",
     "--check asks the DNS and says of each record whether it is fine, missing or wrong, and what to write. Keys whose records it sees sign from then on."},
    {"Domains", "domain", "dkim", 4, 5, 0, run_domain_dkim, "list|rotate|activate|delete DOMAIN [SELECTOR] [--unseen]", "the keys that sign what a domain sends (DKIM): show them, make new ones, use them, delete one",
     "A domain has an RSA key and an Ed25519 one, made with it. rotate makes the next two; they sign once the DNS shows their records (the server looks every ten minutes, activate looks now, --unseen "
     "does not ask), the old ones retire, and their records stay for two weeks, until nothing that they signed is under way."},
    {"Domains", "domain", "remove", 3, 3, 0, run_domain_remove, "NAME", "stop serving a domain that has no accounts", ""},

    {"Accounts", "account", "add", 2, 3, OPERATION_PASSWORD, run_account_add, "ADDRESS [--title NAME] [--quota SIZE] [--password-stdin] [--no-password] [--password TEXT] | --count N --prefix P --domain D [--password TEXT]",
     "add a person; or many: P1@D to PN@D",
     "The password is asked for on a terminal; --password-stdin takes the first line of standard input. --password TEXT is seen by everybody who may list processes: for tests only. "
     "Accounts made with --count have one password and log in by PLAIN or LOGIN, not SCRAM, until their password is set singly."},
    {"Accounts", "account", "list", 2, 2, 0, run_account_list, "[--domain NAME] [--removed]", "all accounts, or those of a domain; with --removed the removed ones", ""},
    {"Accounts", "account", "show", 3, 3, 0, run_account_show, "ADDRESS", "everything about one account", ""},
    {"Accounts", "account", "rename", 4, 4, 0, run_account_rename, "ADDRESS NEW [--drop-old]", "give another address; the old one stays as an alias unless --drop-old", "Mail, password and app passwords stay as they are; sessions end."},
    {"Accounts", "account", "title", 4, 4, 0, run_account_title, "ADDRESS NAME", "the name that people read", ""},
    {"Accounts", "account", "password", 3, 3, OPERATION_PASSWORD | OPERATION_PASSWORD_NEEDED, run_account_password, "ADDRESS [--password-stdin] [--password TEXT]", "set the password; sessions end",
     "Asked for on a terminal, else the first line of standard input."},
    {"Accounts", "account", "suspend", 3, 3, 0, run_account_suspend, "ADDRESS", "no login and no delivery until resumed; sessions end", ""},
    {"Accounts", "account", "resume", 3, 3, 0, run_account_resume, "ADDRESS", "undo suspend", ""},
    {"Accounts", "account", "remove", 3, 3, 0, run_account_remove, "ADDRESS [--now]", "remove an account, a group or a shared mailbox; it can be restored for a time",
     "For store.retention (30 days by default) everything is kept and the address stays reserved; `kantorctl account restore` brings it back. --now deletes it for good and frees the address."},
    {"Accounts", "account", "restore", 3, 3, 0, run_account_restore, "ADDRESS", "bring a removed account back", ""},
    {"Accounts", "account", "quota", 3, 4, 0, run_account_quota, "ADDRESS [SIZE|none] [--messages N]", "show or set how much mail an account may keep",
     "SIZE is a number with K, M or G: 5G. --messages: how many at most; 0: any number."},
    {"Accounts", "account", "sending", 3, 3, 0, run_account_sending, "ADDRESS [--hour N|default] [--day N|default]", "show how much an account sent, or set how many recipients it may have in an hour and a day",
     "Without limits of its own it has those of kantor.conf (sending.hour, sending.day, sending.app_hour, sending.app_day). 0: any number. What is not given takes the default."},
    {"Accounts", "account", "block-sending", 3, 3, 0, run_account_block_sending, "ADDRESS", "the account cannot send; it can still read its mail", "For an account whose password is known to others: the log and a mail to the postmaster say when one reaches its limit."},
    {"Accounts", "account", "allow-sending", 3, 3, 0, run_account_allow_sending, "ADDRESS", "undo block-sending", ""},
    {"Accounts", "account", "export", 4, 4, OPERATION_MESSAGES_OUT, run_account_export, "ADDRESS DIR", "a whole person into a folder: all mail as Maildir, and what belongs to it as JSON",
     "DIR is made. DIR/account.json holds name, quota, aliases, grants, subscriptions and mailboxes; DIR/mail is a Maildir++ tree that other programs read, with an index of uid, flags, keywords "
     "and dates beside each mailbox."},
    {"Accounts", "account", "import", 3, 3, OPERATION_MESSAGES_IN, run_account_import, "DIR [--as ADDRESS]", "the way back: makes the account of an export, or fills an existing one", "Running it again adds nothing twice. A password has to be set with `kantorctl account password`."},

    {"Addresses and groups", "alias", "add", 4, OPERATION_WORDS_MAX, 0, run_alias_add, "ALIAS ACCOUNT|ADDRESS...", "another address of an account, or one that leads to other addresses, here or elsewhere",
     "*@DOMAIN as ALIAS catches what no other address of the domain takes. With several addresses (at once, or one after the other) each gets the mail; nobody sends with such an alias: `kantorctl group add` "
     "makes one that people may be granted. An alias that would lead to itself is refused."},
    {"Addresses and groups", "alias", "list", 2, 3, 0, run_alias_list, "[ACCOUNT]", "the addresses of an account, or of all", ""},
    {"Addresses and groups", "alias", "remove", 3, 4, 0, run_alias_remove, "ALIAS [ACCOUNT|ADDRESS]", "remove it, or one of the addresses that it leads to", ""},
    {"Addresses and groups", "forward", "set", 4, OPERATION_WORDS_MAX, 0, run_forward_set, "ACCOUNT ADDRESS... [--keep-copy]", "send the mail of an account on to other addresses, in place of what was set",
     "With --keep-copy it stays here as well. A forward that would come back is refused. The account's own log-in, mail and sending stay as they are."},
    {"Addresses and groups", "forward", "list", 2, 3, 0, run_forward_list, "[ACCOUNT]", "whose mail is sent on, and where", ""},
    {"Addresses and groups", "forward", "remove", 3, 3, 0, run_forward_remove, "ACCOUNT", "mail stays here again", ""},
    {"Addresses and groups", "group", "add", 3, 3, 0, run_group_add, "ADDRESS [--title NAME]", "add a group", ""},
    {"Addresses and groups", "group", "join", 4, 4, 0, run_group_join, "GROUP MEMBER", "add a member: an account, another group, or an address elsewhere", "A group that would contain itself is refused."},
    {"Addresses and groups", "group", "leave", 4, 4, 0, run_group_leave, "GROUP MEMBER", "remove a member", ""},
    {"Addresses and groups", "group", "members", 3, 3, 0, run_group_members, "GROUP", "its members", ""},
    {"Addresses and groups", "shared", "add", 3, 3, 0, run_shared_add, "ADDRESS [--title NAME]", "add a shared mailbox; `kantorctl grant set` says who uses it", ""},

    {"Lists", "list", "add", 3, 3, 0, run_list_add, "ADDRESS [--title NAME] [--owner ADDRESS] [--post anyone|members|owner] [--moderated yes|no] [--prefix TEXT] [--reply-to sender|list]",
     "make a list, or a list of a group; members come by `kantorctl group join`",
     "Only members post unless --post says otherwise (by the envelope sender or the log-in). The owner moderates, gets what is written to NAME-owner and is told of members whose mail comes back; without one it is "
     "the domain's postmaster. Members leave by a mail to NAME-leave."},
    {"Lists", "list", "set", 3, 3, 0, run_list_set, "ADDRESS [--owner ADDRESS] [--post anyone|members|owner] [--moderated yes|no] [--prefix TEXT] [--reply-to sender|list]", "change options of a list", ""},
    {"Lists", "list", "list", 2, 2, 0, run_list_list, "", "all lists with their options", ""},
    {"Lists", "list", "remove", 3, 3, 0, run_list_remove, "ADDRESS", "make it a plain group again; posts that wait go", ""},
    {"Lists", "list", "pending", 2, 3, 0, run_list_pending, "[ADDRESS]", "posts that wait for a moderator", ""},
    {"Lists", "list", "approve", 3, 3, 0, run_list_approve, "ID", "distribute a post that waits", ""},
    {"Lists", "list", "reject", 3, 3, 0, run_list_reject, "ID [--reason TEXT]", "do not distribute it; with a reason its sender is told", ""},
    {"Lists", "list", "bounces", 3, 3, 0, run_list_bounces, "ADDRESS", "members whose mail came back; after three times they get nothing", ""},
    {"Lists", "list", "resume", 4, 4, 0, run_list_resume, "ADDRESS MEMBER", "a member gets mail again", ""},

    {"Rights and devices", "app-password", "add", 4, 4, 0, run_app_password_add, "ADDRESS NAME [--scope imap,pop3,smtp,dav]", "make a password for one device; it is shown once", ""},
    {"Rights and devices", "app-password", "list", 3, 3, 0, run_app_password_list, "ADDRESS", "names, scopes, last use", ""},
    {"Rights and devices", "app-password", "remove", 4, 4, 0, run_app_password_remove, "ADDRESS ID", "revoke it; sessions end", ""},
    {"Rights and devices", "grant", "set", 5, 5, 0, run_grant_set, "OWNER[/MAILBOX] GRANTEE RIGHTS", "let GRANTEE (an account or a group) use OWNER's mail, or one mailbox of it",
     "RIGHTS are letters of lrswipkxtea (RFC 4314), S (send as) and B (send on behalf: the sender's own address stands in Sender); or `read`, `write`, `all`, `send-as`, `send-on-behalf`. - for none. "
     "What is sent as a shared mailbox, or on its behalf, stands in its Sent, too."},
    {"Rights and devices", "grant", "list", 3, 3, 0, run_grant_list, "OWNER", "who has which rights", ""},
    {"Rights and devices", "grant", "remove", 4, 4, 0, run_grant_remove, "OWNER[/MAILBOX] GRANTEE", "take them away", ""},

    {"Rules", "rule", "add", 4, 4, 0, run_rule_add,
     "DOMAIN NAME [--direction in|out|inside] [--sender PATTERN] [--recipient PATTERN] [--header NAME:TEXT] [--larger SIZE] [--attachment] [--disclaimer TEXT] [--add-header LINE] [--redirect ADDRESS] [--reject TEXT] "
     "[--journal ADDRESS] [--stop] [--place N]",
     "what is done to mail of a domain that meets all conditions",
     "Mail from outside is asked by the recipient's domain, mail of people who logged in by the sender's. In a PATTERN * is anything. --disclaimer adds a part behind the message (\\n: a new line); signed and encrypted "
     "mail stays whole. --reject refuses the message for all recipients. --journal sends a report with the message. All rules that match act, lower --place first (100 by default), up to one with --stop. What "
     "the server writes itself (lists, reports) passes them by."},
    {"Rules", "rule", "list", 2, 3, 0, run_rule_list, "[DOMAIN]", "the rules, in their order", ""},
    {"Rules", "rule", "delete", 4, 4, 0, run_rule_delete, "DOMAIN NAME", "delete one", ""},

    {"Sieve", "sieve", "list", 3, 3, 0, run_sieve_list, "ACCOUNT", "the scripts of an account, and which is active", ""},
    {"Sieve", "sieve", "show", 3, 4, 0, run_sieve_show, "ACCOUNT NAME | DOMAIN|server [--before] [--after]", "print one", ""},
    {"Sieve", "sieve", "put", 3, 4, OPERATION_TEXT, run_sieve_put, "ACCOUNT NAME [--activate] [--text SCRIPT] | DOMAIN|server [--before] [--after] [--text SCRIPT]", "keep a script, read from standard input",
     "It is checked first. Those of a domain or of the server run --before or --after the scripts of its people; they go on from each other's keep. What ManageSieve clients keep is shown and changed here, too."},
    {"Sieve", "sieve", "activate", 4, 4, 0, run_sieve_activate, "ACCOUNT NAME|-", "make a script the active one; - for none", ""},
    {"Sieve", "sieve", "delete", 3, 4, 0, run_sieve_delete, "ACCOUNT NAME | DOMAIN|server [--before] [--after]", "delete one that is not active", ""},
    {"Sieve", "vacation", "set", 3, 3, 0, run_vacation_set, "ACCOUNT --text TEXT [--subject TEXT] [--from DATE] [--until DATE]", "answer mail while somebody is away",
     "Each sender gets one answer a week; lists, bulk mail, machines and mail that names none of the account's addresses get none. DATE is YYYY-MM-DD, both days included. The account's own script runs as before."},
    {"Sieve", "vacation", "show", 3, 3, 0, run_vacation_show, "ACCOUNT", "what is answered", ""},
    {"Sieve", "vacation", "off", 3, 3, 0, run_vacation_off, "ACCOUNT", "answer no more", ""},

    {"Mail", "trace", NULL, 1, 1, 0, run_trace, "[--message ID] [--sender ADDRESS] [--recipient ADDRESS] [--since TIME] [--until TIME]", "what became of a message: when, by which rule, to which server, with which answer",
     "ID is a Message-ID, or the id that the log and the Received field show. TIME is an age (30m, 2h, 3d) or a date (2026-11-25, 2026-11-25T14:00 UTC). Kept for trace.keep (14 days by default)."},
    {"Mail", "import", "mbox", 4, 4, OPERATION_MESSAGES_IN, run_import, "ADDRESS FILE|DIR [--mailbox NAME] [--under NAME]", "messages of an mbox file, or of a folder of them, one mailbox each",
     "FILE - is standard input. Lines quoted with > before From are taken as mboxrd. Dates come from the From line, flags from Status, X-Status and X-Keywords. What is there already is passed over, "
     "so a cut-off import is resumed by running it again."},
    {"Mail", "import", "maildir", 4, 4, OPERATION_MESSAGES_IN, run_import, "ADDRESS DIR [--mailbox NAME] [--under NAME]", "a Maildir, with Maildir++ folders, flags, keywords and dates", "Dates are the files' times. A second run adds only what is new."},
    {"Mail", "import", "eml", 4, 4, OPERATION_MESSAGES_IN, run_import, "ADDRESS DIR [--mailbox NAME] [--under NAME]", "every .eml file of a folder; folders in it become mailboxes", "Dates come from the newest Received field, else from Date."},
    {"Mail", "export", "mbox", 4, 4, OPERATION_MESSAGES_OUT, run_export, "ADDRESS FILE [--mailbox NAME]", "a mailbox as an mbox file (mboxrd)", ""},
    {"Mail", "export", "maildir", 4, 4, OPERATION_MESSAGES_OUT, run_export, "ADDRESS DIR [--mailbox NAME]", "all mailboxes, or one, as a Maildir++ tree", ""},
    {"Mail", "export", "eml", 4, 4, OPERATION_MESSAGES_OUT, run_export, "ADDRESS DIR [--mailbox NAME]", "all mailboxes, or one, as folders of .eml files", ""},
    {"Mail", "route", "list", 2, 2, 0, run_route_list, "", "where mail for other domains goes, when not as the DNS says", ""},
    {"Mail", "route", "set", 3, 3, OPERATION_PASSWORD | OPERATION_PASSWORD_OF_USER | OPERATION_PASSWORD_NEEDED, run_route_set,
     "DOMAIN|*.DOMAIN|* [--host HOST] [--port N] [--tls none|may|encrypt|dane|verify] [--user NAME] [--password-stdin] [--password TEXT]", "send mail for a domain, all below it, or every domain another way",
     "HOST is a name or an address as [192.0.2.1]; without it the servers of the domain are asked, so that * can have an exception. --tls is relay.tls when it is left out. With --user the password is asked for on a "
     "terminal, else it is the first line of standard input; it is sent only to a host whose certificate has its name. The route counts at once; the row before is replaced."},
    {"Mail", "route", "delete", 3, 3, 0, run_route_delete, "DOMAIN|*.DOMAIN|*", "as the DNS says again", ""},
    {"Mail", "queue", "list", 2, 2, 0, run_queue_list, "[--sender ADDRESS] [--recipient ADDRESS] [--domain NAME] [--state waiting|held] [--limit N]", "mail that waits: for other servers, or for room in a mailbox here",
     "A line for each recipient: when it is tried next, which server said what last. 1,000 messages unless --limit says another number; --sender '<>' finds reports."},
    {"Mail", "queue", "summary", 2, 2, 0, run_queue_summary, "", "how much waits for which domain, since when, with the last reply", "The 1,000 domains with most recipients."},
    {"Mail", "queue", "show", 3, 3, 0, run_queue_show, "ID", "one message of the queue: envelope, tries, header", ""},
    {"Mail", "queue", "export", 3, 3, 0, run_queue_export, "ID", "the message itself, on standard output", ""},
    {"Mail", "queue", "hold", 3, 3, 0, run_queue_hold, "ID|DOMAIN|all", "do not try until released; what is held never expires", ""},
    {"Mail", "queue", "release", 3, 3, 0, run_queue_release, "ID|DOMAIN|all", "let go what is held, also after a restore", ""},
    {"Mail", "queue", "retry", 3, 3, 0, run_queue_retry, "ID|DOMAIN|all", "try now what waits for its next try", ""},
    {"Mail", "queue", "bounce", 3, 3, 0, run_queue_bounce, "ID|DOMAIN|all", "give up now; the sender gets a report with the last reply", "Senders who may be forged, and reports, get none."},
    {"Mail", "queue", "delete", 3, 3, 0, run_queue_delete, "ID", "take it out of the queue; its sender is not told", ""},

    {"Server", "sessions", "list", 2, 2, OPERATION_RUNNING, run_sessions_list, "", "who is connected", ""},
    {"Server", "sessions", "kill", 3, 3, OPERATION_RUNNING, run_sessions_kill, "ID|ADDRESS", "end one session, or all of an account", ""},
    {"Server", "top", NULL, 1, 1, OPERATION_RUNNING | OPERATION_LOCAL, NULL, "[--once]", "what the server does, each second: logins, mail, commands, bytes, queue, commits", "q ends it. --once waits one second and prints once; with --json for scripts."},
    {"Server", "counters", NULL, 1, 1, OPERATION_RUNNING | OPERATION_QUIET, run_counters, "", "the counters of /metrics", ""},
    {"Server", "reload", NULL, 1, 1, OPERATION_RUNNING, run_reload, "", "read certificates and log level anew, as SIGHUP does", "Other options need a restart. The log says whether it was done."},
    {"Server", "check", NULL, 1, 1, 0, run_check, "[--repair]", "verify everything; mend what can be mended, no mail is deleted",
     "The server goes on beside it. Each finding is one line; content that cannot be read is set aside with its messages, a second check is clean."},
    {"Server", "backup", NULL, 1, 2, 0, run_backup, "[FOLDER] [--previous FOLDER] [--verify FOLDER]", "a consistent copy of the running server with configuration and keys; or read one back",
     "--previous: what that backup holds is linked, not copied. --verify reads a backup whole and compares every file. Nightly ones: the options backup.* of kantor.conf."},
    {"Server", "restore", NULL, 1, 3, OPERATION_LOCAL, run_restore, "[BACKUP FOLDER] [--from FOLDER] [--account ADDRESS] [--mailbox NAME]", "make a data folder from a backup, or bring one person's mail back",
     "BACKUP FOLDER: a whole server, into a folder on which no server runs. --from with --account: what is missing of that person's mail, or of one mailbox, into the running server."},
    {"Server", "gc", NULL, 1, 1, 0, run_gc, "", "delete now what retention has outlived", ""},
};
const size_t n_operations = sizeof operations / sizeof operations[0];

/* --- one row's name and options */

static const char *name_of(const struct operation *o, struct arena *a)
{
    return o->second ? arena_printf(a, "%s %s", o->first, o->second) : o->first;
}

/* Does the row's text of arguments name the option? *value: "--name VALUE" rather than "[--name]". */
static bool has_option(const struct operation *o, struct slice name, bool *value)
{
    struct slice rest = slice_of(o->arguments);
    while (rest.n) {
        struct slice word = slice_first(rest, slice_find(rest, ' '));
        rest = slice_after(rest, word.n + 1);
        while (word.n && word.p[0] == '[')
            word = slice_after(word, 1);
        bool alone = word.n && word.p[word.n - 1] == ']';
        if (alone)
            word.n--;
        if (slice_starts(word, SLICE("--")) && slice_eq(slice_after(word, 2), name)) {
            *value = !alone;
            return true;
        }
    }
    return false;
}

struct slice operation_option(const struct operation_call *k, const char *name)
{
    for (size_t i = 0; i < k->n_options; i++)
        if (slice_eq(k->options[i][0], slice_of(name)))
            return k->options[i][1];
    return slice_make(NULL, 0);
}

/* --- what a person probably meant */

/* Words of other programs. */
static struct slice our_word(struct slice typed)
{
    static const struct {
        struct slice theirs, ours;
    } words[] = {{{"delete", 6}, {"remove", 6}}, {{"del", 3}, {"remove", 6}}, {{"rm", 2}, {"remove", 6}}, {{"create", 6}, {"add", 3}}, {{"new", 3}, {"add", 3}}, {{"ls", 2}, {"list", 4}},
                 {{"passwd", 6}, {"password", 8}}, {{"undelete", 8}, {"restore", 7}}, {{"enable", 6}, {"resume", 6}}, {{"disable", 7}, {"suspend", 7}}, {{"user", 4}, {"account", 7}}, {{"status", 6}, {"top", 3}}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (slice_eq_nocase(typed, words[i].theirs))
            return words[i].ours;
    return slice_first(typed, NEAR_BYTES);
}

/* Within three letters of the words as typed, or of the second word alone where the first is right. */
static const struct operation *nearest(const struct slice *words, size_t n, struct arena *a)
{
    const struct operation *best = NULL;
    size_t least = 4;
    for (size_t i = 0; i < n_operations && n; i++) {
        const char *typed = operations[i].second && n > 1 ? arena_printf(a, "%.*s %.*s", SLICE_ARG(our_word(words[0])), SLICE_ARG(our_word(words[1]))) : arena_string(a, our_word(words[0]));
        const char *name = operations[i].second && n == 1 ? operations[i].first : name_of(&operations[i], a);
        size_t d = typed && name ? near_distance(slice_of(typed), slice_of(name)) : 99;
        if (d < least) {
            least = d;
            best = &operations[i];
        }
    }
    return best;
}

static struct error no_such_operation(const struct slice *words, size_t n, struct arena *a)
{
    struct buffer b = {0};
    for (size_t i = 0; i < n_operations && n == 1; i++)
        if (operations[i].second && slice_eq(words[0], slice_of(operations[i].first)))
            buffer_printf(&b, "%s%s", buffer_length(&b) ? ", " : "", operations[i].second);
    const struct operation *near = buffer_length(&b) ? NULL : nearest(words, n, a);
    const char *text;
    if (n == 0)
        text = "which operation? `kantorctl --help` shows all";
    else if (buffer_length(&b))
        text = arena_printf(a, "%.*s needs another word: %.*s; `kantorctl help %.*s` tells more", SLICE_ARG(words[0]), SLICE_ARG(buffer_slice(&b)), SLICE_ARG(words[0]));
    else if (near)
        text = arena_printf(a, "there is no operation \"%.*s%s%.*s\"; did you mean `kantorctl %s`? `kantorctl --help` shows all", SLICE_ARG(slice_first(words[0], 40)), n > 1 ? " " : "",
                            n > 1 ? (int)slice_first(words[1], 40).n : 0, n > 1 ? words[1].p : "", name_of(near, a));
    else
        text = "there is no such operation; `kantorctl --help` shows all";
    buffer_free(&b);
    return error_make(ERROR_INVALID, text);
}

/* --- the command line */

static const struct operation *find_row(const struct slice *words, size_t n)
{
    for (size_t i = 0; i < n_operations; i++)
        if (n && slice_eq(words[0], slice_of(operations[i].first)) && (!operations[i].second || (n > 1 && slice_eq(words[1], slice_of(operations[i].second)))))
            return &operations[i];
    return NULL;
}

static struct error no_such_option(const struct operation *o, struct slice name, struct arena *a)
{
    return error_make(ERROR_INVALID, arena_printf(a, "%s has no option --%.*s; write `kantorctl %s %s`", name_of(o, a), SLICE_ARG(slice_first(name, 40)), name_of(o, a), o->arguments));
}

/* Words first: the row says which options take a value. `--` ends the options. */
static void take_words(struct operation_call *k, const struct slice *args, size_t n)
{
    for (size_t i = 0; i < n && k->n_words < 2 && !slice_starts(args[i], SLICE("--")); i++)
        k->words[k->n_words++] = args[i];
}

static struct error take_option(struct operation_call *k, const struct operation *row, const struct slice *args, size_t n, size_t *i)
{
    struct slice text = slice_after(args[*i], 2), name = slice_first(text, slice_find(text, '='));
    bool value = false;
    if (k->n_options == OPERATION_WORDS_MAX)
        return error_make(ERROR_INVALID, "too many options");
    if (!slice_eq(name, SLICE("json")) && !has_option(row, name, &value))
        return no_such_option(row, name, k->arena);
    struct slice *to = k->options[k->n_options++];
    to[0] = name;
    to[1] = SLICE("");
    if (!value)
        return name.n == text.n ? OK : error_make(ERROR_INVALID, arena_printf(k->arena, "--%.*s takes no value", SLICE_ARG(name)));
    if (name.n < text.n)
        to[1] = slice_after(text, name.n + 1);
    else if (*i + 1 < n)
        to[1] = args[++*i];
    else
        return error_make(ERROR_INVALID, arena_printf(k->arena, "--%.*s needs a value", SLICE_ARG(slice_first(name, 50))));
    return OK;
}

struct error operation_parse(struct operation_call *k, const struct slice *args, size_t n, const struct operation **row)
{
    struct arena *a = k->arena;
    int words_only = 0;
    k->n_words = k->n_options = 0;
    size_t first = 0;
    while (first < n && slice_eq(args[first], SLICE("--json")))
        first++;
    take_words(k, args + first, n - first);
    *row = find_row(k->words, k->n_words);
    if (!*row)
        return no_such_operation(k->words, k->n_words, a);
    k->n_words = 0;
    for (size_t i = 0; i < n; i++) {
        if (!words_only && slice_eq(args[i], SLICE("--"))) {
            words_only = 1;
        } else if (!words_only && slice_starts(args[i], SLICE("--"))) {
            TRY(take_option(k, *row, args, n, &i));
        } else {
            if (k->n_words == (*row)->most)
                return error_make(ERROR_INVALID, arena_printf(a, "\"%.*s\" is too much; write `kantorctl %s %s`", SLICE_ARG(slice_first(args[i], 100)), name_of(*row, a), (*row)->arguments));
            k->words[k->n_words++] = args[i];
        }
    }
    if (k->n_words < (*row)->least)
        return error_make(ERROR_INVALID, arena_printf(a, "something is missing; write `kantorctl %s %s`", name_of(*row, a), (*row)->arguments));
    return OK;
}

struct error operation_run(const struct operation *row, struct operation_call *k)
{
    if (!row->run)
        return error_make(ERROR_UNSUPPORTED, "kantorctl does that by itself");
    if (row->flags & OPERATION_RUNNING && !k->server->net)
        return error_make(ERROR_UNSUPPORTED, "the server does not run; start it (systemctl start kantor), then ask again");
    if (row->flags & (OPERATION_MESSAGES_IN | OPERATION_MESSAGES_OUT) && !k->frames)
        return error_make(ERROR_UNSUPPORTED, "messages need a connection");
    return row->run(k);
}

/* --- help and manual */

void operations_write_help(struct buffer *out)
{
    const char *group = "";
    for (size_t i = 0; i < n_operations; i++) {
        const struct operation *o = &operations[i];
        if (strcmp(group, o->group) != 0)
            buffer_printf(out, "\n%s\n", group = o->group);
        struct buffer b = {0};
        buffer_printf(&b, "%s%s%s", o->first, o->second ? " " : "", o->second ? o->second : "");
        buffer_printf(out, "  %-20.*s %s\n", SLICE_ARG(buffer_slice(&b)), o->help);
        buffer_free(&b);
    }
}

bool operations_write_help_of(struct slice first, struct slice second, struct buffer *out)
{
    bool any = false;
    for (size_t i = 0; i < n_operations; i++) {
        const struct operation *o = &operations[i];
        if (!slice_eq(first, slice_of(o->first)) || (second.n && !(o->second && slice_eq(second, slice_of(o->second)))))
            continue;
        buffer_printf(out, "%skantorctl %s%s%s %s\n    %s.\n", any ? "\n" : "", o->first, o->second ? " " : "", o->second ? o->second : "", o->arguments, o->help);
        if (o->more[0])
            buffer_printf(out, "    %s\n", o->more);
        any = true;
    }
    return any;
}

/* Text for man(7): a backslash and a dash are written so that they stay themselves. */
static void man_text(const char *text, struct buffer *out)
{
    if (*text == '.' || *text == '\'')
        buffer_add(out, SLICE("\\&"));
    for (const char *p = text; *p; p++) {
        if (*p == '-' || *p == '\\')
            buffer_add_char(out, '\\');
        buffer_add_char(out, *p == '\\' ? 'e' : *p == '`' ? '\'' : *p);
    }
}

void operations_write_man(struct buffer *out)
{
    const char *group = "";
    for (size_t i = 0; i < n_operations; i++) {
        const struct operation *o = &operations[i];
        if (strcmp(group, o->group) != 0)
            buffer_printf(out, ".SS %s\n", group = o->group);
        buffer_add(out, SLICE(".TP\n\\fB"));
        man_text(o->first, out);
        if (o->second) {
            buffer_add_char(out, ' ');
            man_text(o->second, out);
        }
        buffer_add(out, SLICE("\\fR "));
        man_text(o->arguments, out);
        buffer_add_char(out, '\n');
        buffer_add_char(out, ascii_upper(o->help[0]));
        man_text(o->help + 1, out);
        buffer_add(out, SLICE(".\n"));
        if (o->more[0]) {
            man_text(o->more, out);
            buffer_add_char(out, '\n');
        }
    }
}
