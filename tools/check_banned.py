#!/usr/bin/python3
"""Functions that may not be called in the server, each with what to use instead; TODO marks and commented-out code."""
import re
import sys

import sources

INSTEAD = {
    "strcpy": "arena_string or a buffer", "strcat": "a buffer", "strncpy": "snprintf with a checked length", "strncat": "a buffer", "sprintf": "snprintf, arena_printf or buffer_printf", "vsprintf": "vsnprintf",
    "gets": "the input buffer", "strtok": "slice_find", "strtok_r": "slice_find", "atoi": "slice_number", "atol": "slice_number", "atoll": "slice_number", "strtol": "slice_number", "strtoul": "slice_number",
    "system": "a function (the server never starts programs)", "popen": "a function (the server never starts programs)", "execve": "nothing: seccomp denies it", "execvp": "nothing: seccomp denies it", "execl": "nothing: seccomp denies it",
    "fork": "a thread of the pool", "tmpnam": "the store's temp folder", "mktemp": "the store's temp folder", "tempnam": "the store's temp folder",
    "localtime": "gmtime_r (the server knows UTC only)", "gmtime": "gmtime_r", "ctime": "strftime", "asctime": "strftime", "rand": "RAND_bytes", "srand": "RAND_bytes", "random": "RAND_bytes", "alloca": "the arena",
    "setlocale": "nothing: the C locale, own ASCII functions", "toupper": "ascii_upper", "tolower": "ascii_lower", "isalpha": "ascii_is_alpha", "isdigit": "ascii_is_digit", "isspace": "ascii_is_space", "isalnum": "the ascii_ functions",
    "strcasecmp": "slice_eq_nocase (locale)", "strncasecmp": "slice_eq_nocase (locale)", "sleep": "a timer or RUN_DELAY", "usleep": "a timer or RUN_DELAY", "exit": "an error that travels to main", "abort": "an error that travels",
    "time": "clock_now", "gettimeofday": "clock_us", "select": "an event", "signal": "net_signal or sigaction", "setjmp": "an error by value", "longjmp": "an error by value",
}
ELSEWHERE = {("core/clock.c", "time"), ("core/clock.c", "gettimeofday")}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(INSTEAD))


def check(path):
    text = sources.read(path)
    code = sources.without_comments_and_strings(text)
    for i, line in enumerate(code.split("\n"), 1):
        if line.startswith("#include"):
            continue
        for m in CALL.finditer(line):
            if (path, m[1]) not in ELSEWHERE:
                yield "%s:%d: %s() is banned here; use %s" % (path, i, m[1], INSTEAD[m[1]])
    for i, line in enumerate(text.split("\n"), 1):
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            yield "%s:%d: a mark for later; do it, or write an issue" % (path, i)
        if re.match(r"\s*(//|/\*)\s*(if|for|while|return|struct|int|char)\b.*[;{]\s*(\*/)?$", line):
            yield "%s:%d: code in a comment; git remembers it" % (path, i)


def main():
    wrong = [w for path in sources.files("c", "h") if path.startswith(sources.ROOMS) for w in check(path)]
    return sources.report("check_banned", wrong)


if __name__ == "__main__":
    sys.exit(main())
