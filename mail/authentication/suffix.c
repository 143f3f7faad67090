/* mail/authentication/suffix.c -- organizational domains by libpsl */
#include <libpsl.h>

#include "core/dns/dns.h"
#include "mail/authentication/suffix.h"

/* A struct suffix_list is a psl_ctx_t under a name of ours: who includes suffix.h need not know the library. */

struct error suffix_list_open(const char *file, struct suffix_list **out)
{
    psl_ctx_t *list = file ? psl_load_file(file) : psl_latest(NULL);
    *out = (struct suffix_list *)list;
    return list ? OK : error_make(ERROR_IO, "no list of public suffixes could be read");
}

void suffix_list_close(struct suffix_list *l)
{
    if (l)
        psl_free((psl_ctx_t *)l);
}

struct slice suffix_organizational(const struct suffix_list *l, struct slice domain)
{
    char name[DNS_NAME_MAX + 1];
    if (!dns_name_fits(domain) || memchr(domain.p, 0, domain.n))
        return slice_make("", 0);
    for (size_t i = 0; i < domain.n; i++)
        name[i] = ascii_lower(domain.p[i]);
    name[domain.n] = 0;
    const char *found = psl_registrable_domain((const psl_ctx_t *)l, name);
    return found ? slice_after(domain, (size_t)(found - name)) : slice_make("", 0);
}

bool suffix_same_organization(const struct suffix_list *l, struct slice one, struct slice other)
{
    struct slice a = suffix_organizational(l, one);
    return a.n && slice_eq_nocase(a, suffix_organizational(l, other));
}
