#!/usr/bin/python3
"""docs/walk.md names functions that stand in the files it names."""
import re
import sys

import sources

WORD = re.compile(r"`([^`]+)`")


def main():
    wrong, path, names = [], None, 0
    for word in WORD.findall(sources.read("docs/walk.md").split("## Where to add what")[0]):
        if word.endswith(".c"):
            path = word
            if not sources.exists(path):
                wrong.append("docs/walk.md: %s does not exist; name the file that took its place" % path)
                path = None
        elif path and re.fullmatch(r"[a-z_0-9]+", word):
            names += 1
            if not re.search(r"^[a-z][^\n;=]*\b%s\(" % word, sources.read(path), re.M):
                wrong.append("docs/walk.md: %s is no function of %s; write where the walk goes now" % (word, path))
    if names < 20:
        wrong.append("docs/walk.md: only %d functions were understood; mend tools/check_walk.py" % names)
    return sources.report("check_walk", wrong)


if __name__ == "__main__":
    sys.exit(main())
