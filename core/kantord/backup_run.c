/* core/kantord/backup_run.c -- which files beside the data folder a restored server needs */
#include "core/kantord/backup_run.h"

#include "core/options.h"

enum { FILES_MAX = 130 };

static void add(struct store_backup_file *files, size_t *n, const char *path, const char *name)
{
    if (path && name && *n < FILES_MAX)
        files[(*n)++] = (struct store_backup_file){path, name};
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Pairs of tls.certificates; those in the data folder are taken with it. */
static void add_certificates(struct slice rest, struct store_backup_file *files, size_t *n, struct arena *a)
{
    for (int i = 0; rest.n; i++) {
        struct slice one = slice_first(rest, slice_find(rest, ','));
        rest = slice_after(rest, one.n + 1);
        one = slice_trim(one);
        size_t colon = slice_find(one, ':');
        char *chain = arena_string(a, slice_first(one, colon)), *key = arena_string(a, slice_after(one, colon + 1));
        if (!chain || !key || colon == one.n)
            continue;
        add(files, n, chain, arena_printf(a, "tls/%d-%s", i, base_of(chain)));
        add(files, n, key, arena_printf(a, "tls/%d-%s", i, base_of(key)));
    }
}

struct error backup_run(struct server *server, struct store_backup *b, struct arena *a)
{
    const struct config *config = server->config;
    struct store_backup_file *files = arena_zero(a, FILES_MAX, sizeof *files);
    if (!files)
        return error_make(ERROR_MEMORY, "no memory for a backup");
    b->n_files = 0;
    if (server->config_path)
        add(files, &b->n_files, server->config_path, "kantor.conf");
    if (config)
        add_certificates(slice_of(config->tls_certificates), files, &b->n_files, a);
    b->files = files;
    return store_backup(server->store, b);
}
