"""Rights × commands: what each command on another person's mailbox must answer, for every set of rights (RFC 4314 section 4).

`SETS` are the sets of rights to try: none, every single one, each with `l`, all but one, all. `outcome(needed, rights)` is the answer that a command must
get which needs these rights: without `l` the mailbox must not be known, so every command gets exactly the answer that a mailbox that does not exist gets.
"""

LETTERS = "lrswipkxte"

SETS = sorted({""} | set(LETTERS) | {"l" + x for x in LETTERS[1:]} | {"lr" + x for x in LETTERS[2:]} | {LETTERS.replace(x, "") for x in LETTERS} | {LETTERS}, key=lambda s: (len(s), s))
FEW = ["", "l", "r", "lr"] + [s for s in SETS if len(s) >= len(LETTERS) - 1]  # for those who get their rights by another way (a group, another domain)

UNKNOWN, DENIED, DONE = "the answer of a mailbox that does not exist", "NO [NOPERM]", "OK"

# Commands on a mailbox that is not selected: {box} is the foreign mailbox. `needed`: all of these; on the mailbox itself.
NAMED = [
    ("STATUS {box} (MESSAGES UNSEEN)", "r"), ("EXAMINE {box}", "r"), ("SELECT {box}", "r"), ("SUBSCRIBE {box}", ""), ("COPY 1 {box}", "i"), ("UID COPY 1:2 {box}", "i"),
    ("MOVE 1 {box}", "i"), ("UID MOVE 2 {box}", "i"), ("LIST \"\" {box} RETURN (STATUS (MESSAGES))", None),
]

# Commands inside the selected mailbox: needed is a list of alternatives, one of which must be there whole.
SELECTED = [
    ("FETCH 1 (FLAGS ENVELOPE)", ["r"]), ("UID FETCH 1 BODY[]", ["r"]), ("SEARCH SUBJECT mail", ["r"]), ("UID SEARCH RETURN (ALL) ALL", ["r"]), ("COPY 1 Archive", ["r"]), ("UID COPY 1 Archive", ["r"]),
    ("STORE 1 +FLAGS (\\Seen)", ["s"]), ("UID STORE 1 -FLAGS (\\Seen)", ["s"]), ("STORE 1 +FLAGS (\\Flagged)", ["w"]), ("STORE 1 +FLAGS (\\Answered $Done)", ["w"]), ("UID STORE 1 -FLAGS.SILENT (\\Draft)", ["w"]),
    ("STORE 1 +FLAGS (\\Deleted)", ["t"]), ("UID STORE 1 -FLAGS.SILENT (\\Deleted)", ["t"]), ("STORE 1 +FLAGS (\\Seen \\Flagged \\Deleted)", ["s", "w", "t"]), ("STORE 1 FLAGS ()", ["s", "w", "t"]),
    ("STORE 1 FLAGS (keyword)", ["w"]), ("EXPUNGE", ["e"]), ("UID EXPUNGE 4", ["e"]), ("MOVE 2 Archive", ["rte"]), ("UID MOVE 3 Archive", ["rte"]), ("NOOP", [""]), ("CHECK", [""]), ("UNSELECT", [""]), ("CLOSE", [""]),
]


def outcome(needed, rights):
    """needed: one string, or a list of alternatives."""
    if "l" not in rights:
        return UNKNOWN
    alternatives = [needed] if isinstance(needed, str) else needed
    return DONE if any(set(a) <= set(rights) for a in alternatives) else DENIED


def settable(flags, rights):
    """Which of these flags a person with these rights may set."""
    return {f for f in flags if {"\\Seen": "s", "\\Deleted": "t"}.get(f, "w") in rights}
