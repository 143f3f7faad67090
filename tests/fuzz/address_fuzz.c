/* tests/fuzz/address_fuzz.c -- address lists, and paths and addresses of accounts */
#include "core/account/account.h"
#include "mail/mime/address.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = target_slice(data, size);
    struct mime_addresses list;
    struct address one;
    struct arena a;
    int open = 0;
    size_t bytes = 0;
    arena_init(&a, 64 * 1024 * 1024);
    promise(address_list_parse(text, &a, &list).code == ERROR_NONE && list.n <= MIME_ADDRESSES_MAX);
    for (size_t i = 0; i < list.n; i++) {
        const struct mime_address *x = &list.all[i];
        promise(x->domain.p || !open || !x->local.p); /* groups do not nest */
        open = x->domain.p ? open : x->local.p != NULL;
        bytes += x->name.n + x->local.n + x->domain.n;
    }
    promise(bytes <= 2 * size);
    (void)address_parse(text, &a, &one);
    arena_free(&a);
    return 0;
}
