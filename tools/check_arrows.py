#!/usr/bin/python3
"""Who may include whom (the table of rooms in README.md), private headers, SQL in its places only.

The longest prefix of a file's path decides. A folder may always include itself.
"""
import re
import sys

import sources

# folder → what it may include (prefixes of our own headers)
ALLOWED = {
    "core/": ["core/"],
    "core/net/": ["core/net/"],
    "core/dns/": [],
    "core/process/": [],
    "core/store/": [],
    "core/account/": ["core/store/"],
    "core/kantorctl/": ["core/process/", "core/store/", "core/account/", "core/kantord/", "mail/mime/date.h", "mail/mailbox/name.h"],  # pure texts of import and export
    "core/kantord/": ["core/", "mail/", "calendar/", "contacts/", "tasks/", "dav/", "web/"],
    "calendar/": ["core/"],
    "contacts/": ["core/"],
    "tasks/": ["core/", "calendar/ical/"],
    "mail/mime/": [],
    "mail/authentication/": ["core/dns/", "mail/mime/"],
    "mail/sieve/": ["mail/mime/"],
    "mail/dkim/": ["mail/mime/"],
    "mail/mailbox/": ["core/store/", "core/account/", "mail/mime/"],
    "mail/trace/": ["core/store/"],
    "mail/queue/": ["core/store/", "core/account/", "mail/trace/"],
    "mail/delivery/": ["core/store/", "core/account/", "mail/mime/", "mail/sieve/", "mail/mailbox/", "mail/queue/", "mail/trace/"],
    "mail/filter/": ["core/store/", "core/account/", "core/net/", "core/dns/", "mail/mime/", "mail/mailbox/", "mail/trace/", "mail/delivery/", "mail/authentication/", "mail/dkim/"],
    "mail/managesieve/": ["core/store/", "core/account/", "core/net/", "mail/mime/", "mail/sieve/"],
    "mail/": ["core/store/", "core/account/", "core/net/", "core/dns/", "mail/mime/", "mail/mailbox/", "mail/queue/", "mail/trace/", "mail/delivery/", "mail/filter/", "mail/authentication/", "mail/dkim/"],
    "mail/signing/": ["core/store/", "core/account/", "core/dns/", "mail/mime/", "mail/dkim/"],
    "mail/relay/": ["core/store/", "core/account/", "core/net/", "core/dns/", "mail/mime/", "mail/authentication/", "mail/dkim/", "mail/signing/", "mail/queue/", "mail/trace/", "mail/delivery/"],
    "dav/": ["core/", "calendar/", "contacts/", "tasks/"],
    "web/": ["core/", "calendar/", "contacts/", "tasks/", "mail/", "dav/"],
}
SQLITE = "core/store/"  # the only folder that knows which database it is
SQL = ("core/store/", "core/account/", "mail/mailbox/", "mail/trace/", "mail/queue/", "mail/delivery/", "mail/filter/", "mail/relay/")  # the store, accounts, and the index files of mail
STATEMENT = re.compile(r'"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|WITH RECURSIVE)\s+[a-z_$*(]', re.S)


def rule_of(path):
    best = max((p for p in ALLOWED if path.startswith(p)), key=len, default=None)
    return best, ALLOWED.get(best, [])


def check(path):
    own, allowed = rule_of(path)
    folder = path.rsplit("/", 1)[0] + "/"
    for i, line in enumerate(sources.read(path).split("\n"), 1):
        m = re.match(r'#include "([^"]+)"', line)
        if m:
            header = m[1]
            at_the_top = header.startswith("core/") and header.count("/") == 1  # core/slice.h and its like are for everybody
            if not (header.startswith((folder, own)) or at_the_top or header.startswith(tuple(allowed))):
                yield "%s:%d: %s may not include %s; arrows go down the table of tools/check_arrows.py: move the function, or let the caller pass what is needed" % (path, i, own, header)
            if header.endswith("/internal.h") and not header.startswith(folder):
                yield "%s:%d: %s is private to its folder; what others need belongs into a public header there" % (path, i, header)
        if re.match(r"#include <sqlite3", line) and not path.startswith(SQLITE):
            yield "%s:%d: only core/store may include sqlite3.h; use core/store/sql.h" % (path, i)
    if not path.startswith(SQL):
        m = STATEMENT.search(sources.read(path))
        if m:
            yield "%s:%d: SQL outside of %s; put the statement into the index file of its subject" % (path, sources.read(path).count("\n", 0, m.start()) + 1, ", ".join(SQL))


def main():
    wrong = [w for path in sources.files("c", "h") if path.startswith(sources.ROOMS) for w in check(path)]
    return sources.report("check_arrows", wrong)


if __name__ == "__main__":
    sys.exit(main())
