/* core/kantord/confine.c -- which files the server may see, and the sandbox around it (core/process/sandbox.h) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/kantord/internal.h"
#include "core/log.h"
#include "core/process/privilege.h"
#include "core/process/sandbox.h"

enum { PATHS_MAX = 256 };

/* What the C library, OpenSSL and iconv read at any time: modules, time zones, resolver. No user names, no other program's data. */
static const struct sandbox_path of_the_system[] = {
    {"/usr/lib", SANDBOX_READ},         {"/lib", SANDBOX_READ},           {"/lib64", SANDBOX_READ},         {"/usr/share/zoneinfo", SANDBOX_READ},
    {"/usr/local/lib", SANDBOX_READ},   {"/etc/ssl", SANDBOX_READ},       {"/usr/share/ca-certificates", SANDBOX_READ},
    {"/etc/ld.so.cache", SANDBOX_READ}, {"/etc/resolv.conf", SANDBOX_READ}, {"/etc/hosts", SANDBOX_READ},   {"/etc/nsswitch.conf", SANDBOX_READ},
    {"/etc/gai.conf", SANDBOX_READ},    {"/etc/localtime", SANDBOX_READ}, {"/proc/self", SANDBOX_READ},     {"/proc/meminfo", SANDBOX_READ},
    {"/dev/null", SANDBOX_WRITE},       {"/dev/urandom", SANDBOX_READ},
};

enum { OF_THE_SYSTEM = sizeof of_the_system / sizeof of_the_system[0] };

struct list {
    struct sandbox_path paths[PATHS_MAX];
    size_t n;
};

static void allow(struct list *l, const char *path, enum sandbox_access access)
{
    if (path && l->n < PATHS_MAX)
        l->paths[l->n++] = (struct sandbox_path){path, access};
}

static const char *folder_of(const char *path, struct arena *a)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash)
        return ".";
    return slash == path ? "/" : arena_string(a, slice_make(path, (size_t)(slash - path)));
}

/* The folder of a file, and of what it is a link to (Let's Encrypt's live/ leads to archive/): a renewed file stands there as well. */
static void allow_folders_of(struct list *l, const char *path, enum sandbox_access access, struct arena *a)
{
    char real[4096];
    allow(l, folder_of(path, a), access);
    if (realpath(path, real))
        allow(l, folder_of(arena_string(a, slice_of(real)), a), access);
}

static struct error list_paths(struct kantord *k, struct list *l)
{
    const struct config *c = &k->config;
    struct arena *a = &k->arena;
    struct certificate_files *files;
    size_t n;
    char socket[4096];
    l->n = 0;
    for (size_t i = 0; i < OF_THE_SYSTEM; i++)
        allow(l, of_the_system[i].path, of_the_system[i].access);
    allow_folders_of(l, k->config_path, SANDBOX_READ, a);
    allow(l, c->data_dir, SANDBOX_WRITE);
    control_path(c, socket, sizeof socket);
    allow(l, folder_of(arena_string(a, slice_of(socket)), a), SANDBOX_WRITE);
    if (c->backup_folder[0])
        allow(l, c->backup_folder, SANDBOX_WRITE);
    if (c->tls_certificates[0]) {
        TRY(certificate_files_of(c, k->server.hostname, a, &files, &n));
        for (size_t i = 0; i < n; i++) {
            allow_folders_of(l, files[i].chain, SANDBOX_READ, a);
            allow_folders_of(l, files[i].key, SANDBOX_READ, a);
        }
    }
    struct slice rest = slice_of(c->sandbox_folders);
    while (rest.n) {
        struct slice one = slice_first(rest, slice_find(rest, ','));
        rest = slice_after(rest, one.n + 1);
        allow(l, arena_string(a, slice_trim(one)), SANDBOX_WRITE);
    }
    return OK;
}

/* A mechanism that the kernel lacks is said once and done without; another failure ends the start. */
static struct error taken(struct error e, const char *name)
{
    if (e.code == ERROR_UNSUPPORTED)
        LOG_EVENT(LOG_WARN, "no-sandbox", LOG_WORD("which", name), LOG_WORD("why", e.text));
    else if (e.code != ERROR_NONE)
        return e;
    else
        LOG_EVENT(LOG_INFO, "sandbox", LOG_WORD("which", name));
    return OK;
}

struct error confine(struct kantord *k)
{
    static struct list l;
    privilege_seal();
    if (!k->demo)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* attacks.md CO-12 */
    if (strcmp(k->config.sandbox_folders, "/") != 0) {
        TRY(list_paths(k, &l));
        TRY(taken(sandbox_files(l.paths, l.n, &k->arena), "files"));
    }
    return taken(sandbox_calls(), "calls");
}
