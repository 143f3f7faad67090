#!/bin/sh
# tools/install_packages.sh LIST...: installs the Debian packages named in the lists that are missing; without the right to do so it prints the one line to run.
# No service of theirs is started: the tests use programs of postfix, never a running Postfix.
set -eu
missing=
for p in $(sed 's/#.*//' "$@"); do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
run="apt-get install -y --no-install-recommends$missing"
as=
if [ "$(id -u)" != 0 ]; then
    as=sudo
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
        echo "packages are missing; run: sudo $run" >&2
        exit 1
    fi
fi
policy=/usr/sbin/policy-rc.d # invoke-rc.d asks it before it starts anything; a machine's own stays as it is
if [ ! -e $policy ]; then
    trap '$as rm -f $policy' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' | $as tee $policy >/dev/null
    $as chmod 755 $policy
fi
$as apt-get update -q
$as env DEBIAN_FRONTEND=noninteractive $run
