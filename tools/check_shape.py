#!/usr/bin/python3
"""Files below 800 lines, functions below 80, a README.md in each folder of sources; every header opens with a comment. Lines of 160 columns are noted."""
import os
import re
import sys

import sources

FILE_LINES, FUNCTION_LINES, COLUMNS = 800, 80, 160
WIDE_TABLES = {"core/options.h"}  # one row an option: read across


def functions(lines):
    """(name, first line, length) of each function body: K&R with the brace in the first column."""
    name, begin = None, None
    for i, line in enumerate(lines, 1):
        if re.match(r"^[A-Za-z_].*\(", line) and not line.rstrip().endswith(";"):
            name = (re.search(r"(\w+)\(", line) or [line, line])[1]
        if line.startswith("{"):
            begin = i
        elif line.startswith("}") and begin:
            yield name, begin, i - begin + 1
            begin = None


def main():
    wrong = []
    wide = {}
    for path in sources.files("c", "h"):
        lines = sources.read(path).split("\n")
        if len(lines) > FILE_LINES:
            wrong.append("%s: %d lines; split it by subject, at most %d" % (path, len(lines), FILE_LINES))
        for name, at, n in functions(lines):
            if n > FUNCTION_LINES:
                wrong.append("%s:%d: %s has %d lines; take steps out into functions of their own, at most %d" % (path, at, name, n, FUNCTION_LINES))
        for i, line in enumerate(lines, 1):
            if len(line) >= COLUMNS and path not in WIDE_TABLES:
                wide.setdefault(path, []).append(i)
        if path.endswith(".h") and not lines[0].startswith("/*"):
            wrong.append("%s:1: a header opens with a comment that says what it is for" % path)
    for path, at in sorted(wide.items()):
        print("note: %s:%d: %d lines of %d columns or more; break them at about 120" % (path, at[0], len(at), COLUMNS))
    for folder in sorted({os.path.dirname(p) for p in sources.files("c", "h", "py", "sql") if p.startswith(sources.ROOMS + ("tests/", "tools/"))}):
        place = folder
        while place and not os.path.exists(os.path.join(place, "README.md")) and place.startswith(("tests/", "core/store/schema")):
            place = os.path.dirname(place)  # a folder of the tests may be described by the one above
        if not os.path.exists(os.path.join(place, "README.md")):
            wrong.append("%s: there is no README.md; a few lines: what lives here, what it may include, where to start reading" % folder)
    return sources.report("check_shape", wrong)


if __name__ == "__main__":
    sys.exit(main())
