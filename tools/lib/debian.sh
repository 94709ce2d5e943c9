# What makes a tree of files a Debian package.

# make_debian_control WORK: fills WORK/root/DEBIAN. WORK is for files that are not kept.
make_debian_control() (
  work=$1 root=$1/root
  umask 022
  mkdir -p "$root/DEBIAN" "$work/debian"
  for script in postinst prerm postrm; do
    sed -e "s|@units@|$units|g" -e "s|@sockets@|$sockets|g" "$tree/packaging/debian/$script" >"$root/DEBIAN/$script"
    chmod 755 "$root/DEBIAN/$script"
  done
  printf '%s\n' "$configuration" >"$root/DEBIAN/conffiles"
  (cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path "./${configuration#/}" -printf '%P\0' |
    sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
  version=$(installed_version "$root/usr")
  size=$(du -sk --exclude DEBIAN "$root" | cut -f 1)
  depends=$(library_packages "$work")
  sed -e "s|@version@|$version|" -e "s|@architecture@|$(dpkg --print-architecture)|" -e "s|@size@|$size|" \
    -e "s|@depends@|$depends|" "$tree/packaging/debian/control" >"$root/DEBIAN/control"
)

# installed_version BELOW: what the programs there say of themselves.
installed_version() { "$1/sbin/martletd" --version; }

# library_packages WORK: the packages of the shared libraries that the programs in WORK/root need.
library_packages() (
  # dpkg-shlibdeps wants a source package around it.
  printf 'Source: martlet\n\nPackage: martlet\nArchitecture: any\n' >"$1/debian/control"
  cd "$1"
  places=$(printf '%s\n' "$programs" | awk 'NF { sub(",.*", "", $2); print "root" ($2 ~ "^/" ? "" : "/usr/") $2 }')
  # A debug build has the toolchain's libraries too, which no package has: they are left out, and complained of.
  dpkg-shlibdeps --ignore-missing-info -O $places 2>complaints | sed -n 's/^shlibs:Depends=//p' | grep . ||
    fail "dpkg-shlibdeps found no package of a library: $(tail -n 1 complaints)"
)
