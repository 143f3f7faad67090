"""What the check_*.py share: the files of the repository, and how a complaint is printed."""
import subprocess

ROOMS = ("core/", "calendar/", "contacts/", "tasks/", "mail/", "dav/", "web/")


def files(*endings):
    """Every file that git knows or could know, not ignored."""
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True).stdout
    return sorted(f for f in out.splitlines() if f.rsplit(".", 1)[-1] in endings and exists(f))


def exists(path):
    try:
        open(path).close()
        return True
    except OSError:
        return False


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def without_comments_and_strings(text):
    """The same number of lines; comments and the inside of strings are blanks."""
    out, i, n = [], 0, len(text)
    while i < n:
        two = text[i:i + 2]
        if two == "/*":
            end = text.find("*/", i + 2)
            end = n if end < 0 else end + 2
        elif two == "//":
            end = text.find("\n", i)
            end = n if end < 0 else end
        elif text[i] in "\"'":
            end = i + 1
            while end < n and text[end] != text[i] and text[end] != "\n":
                end += 2 if text[end] == "\\" else 1
            end += 1
            out.append('""' if text[i] == '"' else "0")
            i = end
            continue
        else:
            out.append(text[i])
            i += 1
            continue
        out.append("".join(c if c == "\n" else " " for c in text[i:end]))
        i = end
    return "".join(out)


def report(name, wrong):
    for line in wrong:
        print(line)
    print("%s: %s" % (name, "%d to mend" % len(wrong) if wrong else "fine"))
    return 1 if wrong else 0
