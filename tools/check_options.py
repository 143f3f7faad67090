#!/usr/bin/python3
"""Each option of core/options.h says what it does and is used; what the documentation mentions exists."""
import re
import sys

import sources

ROW = re.compile(r'^\s+[XR]\((\w+),\s*"([^"]+)",\s*(\w+),.*"([^"]*)"\)', re.M)
MENTION = re.compile(r"`?\b((?:auth|control|dns|lmtp|admin|tls|listen|limit|log|mail|proxy|process|queue|relay|sandbox|store|threads|timeout)\.[a-z_]+)\b`?\s*=")


def main():
    wrong = []
    rows = ROW.findall(sources.read("core/options.h"))
    names = {name for _, name, _, _ in rows}
    code = "".join(sources.read(p) for p in sources.files("c") if p.startswith(sources.ROOMS) and p != "core/options.c")
    for field, name, _, help_text in rows:
        if not help_text.endswith("."):
            wrong.append("core/options.h: %s has no sentence that says what it does" % name)
        if not re.search(r"(->|\.)%s\b" % field, code):
            wrong.append("core/options.h: %s is read from the file and used nowhere; use it or remove the row" % name)
    for path in sources.files("md") + ["conf/debian/postinst"]:
        for m in MENTION.finditer(sources.read(path)):
            if m[1] not in names:
                wrong.append("%s: mentions the option %s, which does not exist" % (path, m[1]))
    if len(rows) < 20:
        wrong.append("core/options.h: only %d rows were understood; mend the pattern of tools/check_options.py" % len(rows))
    return sources.report("check_options", wrong)


if __name__ == "__main__":
    sys.exit(main())
