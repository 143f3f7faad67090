#!/bin/sh
# tools/make_deb.sh BUILD: a Debian package of what was built there, in BUILD/deb (docs/decisions/0021-package.md).
# Needs dpkg-deb and dpkg-shlibdeps (dpkg-dev). DEB_MAINTAINER="Name <address>" goes into it (default: who made the last commit).
# Reproducible: times come from the last commit.
set -eu
build=$1
top=$build/deb
root=$top/root
version=$(cat VERSION)
maintainer=${DEB_MAINTAINER:-"$(git log -1 --format="%an <%ae>" 2>/dev/null)"}
arch=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
rm -rf "$top"
mkdir -p "$root/DEBIAN" "$top/debian"
umask 022
"${MAKE:-make}" --no-print-directory BUILD="$build" DESTDIR="$root" PREFIX=/usr install >/dev/null

strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root"/usr/sbin/*
doc=$root/usr/share/doc/kantor
mkdir -p "$doc"
cp conf/debian/copyright "$doc/copyright"
printf 'kantor (%s) unstable; urgency=medium\n\n  * See /usr/share/doc/kantor/CHANGELOG.md.gz.\n\n -- %s  %s\n' "$version" "$maintainer" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")" >"$doc/changelog"
cp CHANGELOG.md "$doc/CHANGELOG.md"
gzip -9n "$doc/changelog" "$doc/CHANGELOG.md"

# which packages the shared libraries come from
printf 'Source: kantor\n\nPackage: kantor\nArchitecture: any\n' >"$top/debian/control"
shlibs=$(cd "$top" && dpkg-shlibdeps -O "root/usr/sbin/kantord" "root/usr/sbin/kantorctl" 2>/dev/null | sed 's/^shlibs:Depends=//')
[ -n "$shlibs" ] || { echo "make_deb: dpkg-shlibdeps found no libraries; is dpkg-dev installed?" >&2; exit 1; }
size=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@MAINTAINER@/$maintainer/; s/@SIZE@/$size/; s/@SHLIBS@/$shlibs/" conf/debian/control.in >"$root/DEBIAN/control"
(cd "$root" && find etc -type f | sort | sed 's|^|/|') >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "conf/debian/$script" "$root/DEBIAN/$script"
done
(cd "$root" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group --build "$root" "$build/kantor_${version}_$arch.deb"
