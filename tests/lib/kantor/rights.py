"""Rights × commands: every IMAP command with the rights of RFC 4314 section 4 that it needs on another person's mailbox.

`cases()` yields (command text, needed rights): the text has {box} for the foreign mailbox and {uid} for a message in it.
"""

COMMANDS = [
    ("SELECT {box}", "r"), ("EXAMINE {box}", "r"), ("STATUS {box} (MESSAGES)", "r"), ("APPEND {box}", "i"), ("COPY 1 {box}", "i"), ("UID COPY 1 {box}", "i"),
    ("MOVE 1 {box}", "i"), ("UID MOVE 1 {box}", "i"), ("DELETE {box}", "x"), ("RENAME {box} {box}-new", "x"), ("CREATE {box}/child", "k"), ("SUBSCRIBE {box}", "l"),
]

SELECTED = [
    ("STORE 1 +FLAGS (\\Seen)", "s"), ("STORE 1 +FLAGS (\\Flagged)", "w"), ("STORE 1 +FLAGS (\\Deleted)", "t"), ("UID STORE 1 +FLAGS (\\Deleted)", "t"), ("EXPUNGE", "e"), ("UID EXPUNGE 1", "e"),
    ("MOVE 1 INBOX", "te"),
]


def cases(letters="lrswipkxte"):
    """Every command with every single right, and with all rights but the needed ones."""
    for command, needed in COMMANDS:
        for right in letters:
            yield command, needed, right
        yield command, needed, "".join(l for l in letters if l not in needed)
