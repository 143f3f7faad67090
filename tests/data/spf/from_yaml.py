#!/usr/bin/python3
"""The public SPF test-suite (YAML of openspf.org) in the form of the *.txt files here: from_yaml.py SUITE.yml > cases.txt

Records of type SPF count as TXT where a name has no TXT of its own, as the suite says ("auto-magic duplication")."""
import sys

import yaml


def escaped(text):
    return "".join(c if " " <= c <= "~" and c != "\\" else "\\x%02x" % ord(c) for c in text)


def joined(value):
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def zone(name, entries):
    own_txt = any(isinstance(e, dict) and "TXT" in e for e in entries)
    for e in entries:
        if not isinstance(e, dict):
            yield name, str(e)
            continue
        (kind, value), = e.items()
        if kind == "SPF":
            kind = "SPF" if own_txt else "TXT"
        if kind == "SPF" or value == "NONE":
            yield name, "EMPTY"
        elif kind == "MX":
            yield name, kind, "%d %s" % tuple(value)
        else:
            yield name, kind, escaped(joined(value))


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        for scenario in yaml.safe_load_all(f):
            print("scenario\t" + scenario["description"])
            for name, entries in scenario["zonedata"].items():
                for row in zone(str(name), entries):
                    print("\t".join(("zone",) + row))
            for name, case in scenario["tests"].items():
                results = case["result"] if isinstance(case["result"], list) else [case["result"]]
                print("\t".join(["case", str(name), str(case["host"]), escaped(str(case["helo"])), escaped(str(case["mailfrom"])),
                                 "|".join(results), escaped(case.get("explanation", "*"))]))


if __name__ == "__main__":
    main()
