/* core/error.c -- a word for each code */
#include "core/error.h"

static const char *const words[ERROR_CODES] = {
    [ERROR_NONE] = "ok",
    [ERROR_INVALID] = "invalid",
    [ERROR_DENIED] = "denied",
    [ERROR_AUTH] = "auth",
    [ERROR_NOT_FOUND] = "not-found",
    [ERROR_EXISTS] = "exists",
    [ERROR_CONFLICT] = "conflict",
    [ERROR_QUOTA] = "quota",
    [ERROR_LIMIT] = "limit",
    [ERROR_UNSUPPORTED] = "unsupported",
    [ERROR_BUSY] = "busy",
    [ERROR_FULL] = "disk-full",
    [ERROR_IO] = "io",
    [ERROR_MEMORY] = "memory",
    [ERROR_CORRUPT] = "corrupt",
    [ERROR_CLOSED] = "closed",
    [ERROR_LOOP] = "loop",
};

const char *error_word(enum error_code code)
{
    return (unsigned)code < ERROR_CODES && words[code] ? words[code] : "unknown";
}
