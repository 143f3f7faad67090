"""verify.py MESSAGE RECORDS: what python3-dkim says of a message. RECORDS: lines "name text". Prints how many DKIM signatures are right, and ARC's cv."""
import sys

import dkim


def main():
    with open(sys.argv[1], "rb") as f:
        message = f.read()
    with open(sys.argv[2], "rb") as f:
        records = dict(line.rstrip(b"\n").split(b" ", 1) for line in f)

    def txt(name, timeout=5):
        return records.get(name.rstrip(b"."))

    d = dkim.DKIM(message)
    n = sum(name.lower() == b"dkim-signature" for name, value in d.headers)
    good = 0
    for i in range(n):
        try:
            good += dkim.DKIM(message).verify(idx=i, dnsfunc=txt)
        except dkim.DKIMException as e:
            print(e, file=sys.stderr)
    cv, sets, why = dkim.arc_verify(message, dnsfunc=txt)
    print("dkim=%d arc=%s %s" % (good, cv.decode(), "" if cv in (b"pass", b"none") else why))


main()
