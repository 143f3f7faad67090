#!/bin/sh
# tools/check_headers.sh: every header of the rooms compiles by itself, so that the order of includes never matters.
set -eu
wrong=0
for header in $(git ls-files -co --exclude-standard '*.h' | grep -E '^(core|calendar|contacts|tasks|mail|dav|web)/'); do
    if ! printf '#include "%s"\n' "$header" | ${CC:-gcc} -std=c11 -D_GNU_SOURCE -DKANTOR_VERSION='"0"' -Wall -Wextra -Werror -I. -fsyntax-only -x c - 2>/tmp/check_headers.$$; then
        sed 's/^/    /' /tmp/check_headers.$$
        echo "$header: does not compile alone; include what it uses"
        wrong=1
    fi
done
rm -f /tmp/check_headers.$$
[ $wrong -eq 0 ] && echo "check_headers: fine"
exit $wrong
