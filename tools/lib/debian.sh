# What makes a tree of files a Debian package.

# make_debian_control WORK ROOT: fills ROOT/DEBIAN. WORK is for files that are not kept.
make_debian_control() (
  work=$1 root=$2
  umask 022
  mkdir -p "$root/DEBIAN" "$work/debian"
  for script in postinst prerm postrm; do
    sed "s|@units@|$units|g" "$tree/packaging/debian/$script" >"$root/DEBIAN/$script"
    chmod 755 "$root/DEBIAN/$script"
  done
  printf '%s\n' "$configuration" >"$root/DEBIAN/conffiles"
  (cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path "./${configuration#/}" -printf '%P\0' |
    sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
  version=$(installed_version "$root/usr")
  size=$(du -sk --exclude DEBIAN "$root" | cut -f 1)
  depends=$(library_packages "$work" "$root")
  sed -e "s|@version@|$version|" -e "s|@architecture@|$(dpkg --print-architecture)|" -e "s|@size@|$size|" \
    -e "s|@depends@|$depends|" "$tree/packaging/debian/control" >"$root/DEBIAN/control"
)

# installed_version BELOW: what the programs there say of themselves.
installed_version() { "$1/sbin/martletd" --version; }

# library_packages WORK ROOT: the packages of the shared libraries that the programs need.
library_packages() (
  # dpkg-shlibdeps wants a source package around it.
  printf 'Source: martlet\n\nPackage: martlet\nArchitecture: any\n' >"$1/debian/control"
  cd "$1"
  set -- $(printf '%s\n' "$programs" | awk -v root="$2/usr" 'NF { print root "/" $2 }')
  # A debug build has the toolchain's libraries too, which no package has: they are left out, and complained of.
  dpkg-shlibdeps --ignore-missing-info -O "$@" 2>"$PWD/complaints" | sed -n 's/^shlibs:Depends=//p' | grep . ||
    fail "dpkg-shlibdeps found no package of a library: $(tail -n 1 "$PWD/complaints")"
)
