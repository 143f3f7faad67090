/* core/kantorctl/person.c -- a whole person, from the folder that `account export` wrote */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/kantorctl/sender.h"
#include "core/kantorctl/tree.h"

/* The mailboxes in the order of their names, each from the first line of its index: their true names, roles, and those
 * that are empty. */
static bool is_mailbox(const char *name)
{
    return strcmp(name, "cur") != 0 && strcmp(name, "new") != 0 && strcmp(name, "tmp") != 0;
}

static json_t *about_folder(int folder)
{
    json_t *line = NULL, *about;
    int fd = openat(folder, TREE_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (f)
        line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
    if (f)
        (void)fclose(f);
    about = json_incref(json_object_get(line, "about"));
    json_decref(line);
    return about;
}

static struct error send_about(struct sender *s, int folder)
{
    json_t *about = about_folder(folder);
    char *text = about ? json_dumps(about, JSON_COMPACT) : NULL;
    struct error e = text ? sender_file(s, slice_of(text)) : OK;
    free(text);
    json_decref(about);
    return e;
}

static struct error send_mailboxes(struct sender *s, int root)
{
    struct tree_names names;
    TRY(send_about(s, root));
    TRY(tree_names_dotted(root, is_mailbox, &names));
    struct error e = OK;
    for (size_t i = 0; i < names.n && e.code == ERROR_NONE; i++) {
        SCOPED(file_close) int folder = openat(root, names.all[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (folder >= 0)
            e = send_about(s, folder);
    }
    tree_names_free(&names);
    return e;
}

static struct error send_person(struct sender *s, const char *path)
{
    struct arena *a = s->call->arena;
    json_t *account = json_load_file(arena_printf(a, "%s/account.json", path), 0, NULL);
    char *text = account ? json_dumps(account, JSON_COMPACT) : NULL;
    struct error e =
        text
            ? sender_file(s, slice_of(text))
            : error_make(
                  ERROR_NOT_FOUND,
                  arena_printf(
                      a,
                      "%s/account.json is not there or cannot be read; is this a folder of `kantorctl account export`?",
                      path));
    free(text);
    json_decref(account);
    TRY(e);
    const char *mail = arena_printf(a, "%s/mail", path);
    SCOPED(file_close) int root = open(mail, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_make(ERROR_NOT_FOUND, arena_printf(a, "%s cannot be opened: %m", mail));
    TRY(send_mailboxes(s, root));
    return import_maildir(s, &(struct source){.path = mail});
}

int import_account(struct call *call, const char *path)
{
    struct sender s;
    struct error e = sender_open(&s, call);
    if (e.code == ERROR_NONE && !call->answered)
        e = send_person(&s, path);
    if (e.code != ERROR_NONE && e.code != ERROR_CLOSED) {
        (void)fprintf(stderr, "kantorctl: %s\n", e.text);
        sender_close(&s);
        return 1;
    }
    int status = s.labels ? sender_finish(&s) : 1;
    sender_close(&s);
    return status ? status : s.skipped != 0;
}
