#!/bin/sh
# tools/install_packages.sh LIST...: installs the Debian packages named in the lists that are missing; without the right to do so it prints the one line to run.
set -eu
missing=
for p in $(sed 's/#.*//' "$@"); do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
run="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive $run
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo apt-get update -q && sudo DEBIAN_FRONTEND=noninteractive $run
else
    echo "packages are missing; run: sudo $run" >&2
    exit 1
fi
