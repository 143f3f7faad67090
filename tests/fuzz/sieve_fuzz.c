/* tests/fuzz/sieve_fuzz.c -- a script up to the first NUL, a message behind it: compiles or says why, runs within its limits, and never loses the message */
#include "mail/mime/header.h"
#include "mail/sieve/sieve.h"
#include "tests/fuzz/target.h"

static struct error content(void *arg, size_t most, struct arena *a, struct slice *out)
{
    (void)a;
    *out = slice_first(*(struct slice *)arg, most);
    return OK;
}

static bool seen(void *arg, struct slice handle, struct slice id)
{
    (void)arg;
    return (handle.n + id.n) % 2;
}

static void promise_visible(const char *text)
{
    for (; *text; text++)
        promise((unsigned char)*text >= ' ');
}

static void run(const struct sieve_script *script, struct slice message)
{
    struct sieve_message m = {.head = slice_first(message, header_length(message)), .size = message.n, .from = SLICE("a+b@kantor.example"), .to = SLICE("c@kantor.example"), .now = 1795507200, .zone = 420, .arg = &message, .content = content, .seen = seen};
    struct sieve_result result;
    struct arena a;
    size_t redirects = 0, done = 0;
    arena_init(&a, 64 * 1024 * 1024);
    sieve_run(script, &m, &a, &result);
    promise(result.n <= SIEVE_ACTIONS_MAX + 1);
    promise(!result.fault.text || (result.n == 1 && result.actions[0].kind == SIEVE_KEEP));
    if (result.fault.text)
        promise_visible(result.fault.text);
    for (size_t i = 0; i < result.n; i++) {
        const struct sieve_action *x = &result.actions[i];
        redirects += x->kind == SIEVE_REDIRECT;
        done += x->kind != SIEVE_VACATION && x->kind != SIEVE_REMEMBER;
        if (x->kind == SIEVE_REDIRECT)
            for (size_t k = 0; k < x->text.n; k++)
                promise(x->text.p[k] >= ' ');
    }
    promise(redirects <= SIEVE_REDIRECTS_MAX && done > 0); /* kept, sent, refused, or thrown away because somebody said so */
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice all = target_slice(data, size), script = slice_first(all, slice_find(all, '\0'));
    struct sieve_script *compiled;
    struct sieve_fault fault;
    struct arena a;
    arena_init(&a, 64 * 1024 * 1024);
    if (sieve_compile(script, &a, &compiled, &fault).code == ERROR_NONE) {
        run(compiled, slice_after(all, script.n + 1));
    } else {
        promise(fault.line > 0 && fault.text);
        promise_visible(fault.text);
    }
    arena_free(&a);
    return 0;
}
