# Debian packages that the build, the benchmark, and the system tests with the package need, in this order.

packages="pkg-config liburing-dev libmnl-dev libbpf-dev libldns-dev libpcap-dev linux-libc-dev libsqlite3-dev
  iproute2 util-linux procps python3 iperf3 iputils-ping
  ethtool nftables iptables tcpdump wireguard-tools wireguard-go socat jq curl bind9-dnsutils traceroute dnsmasq-base busybox netbase
  dpkg-dev man-db openssl python3-prometheus-client
  libdevmapper1.02.1 libseccomp2 libgpgme11 libsubid4 libglib2.0-0 golang-go golang-github-appc-cni-dev"

# What the system tests want of container engines, unpacked: installed, it would start a dockerd, say, and take the machine's
# own network.
engine_archives="docker.io containerd runc busybox-static podman conmon containernetworking-plugins"

# The cluster's store, for its tests, unpacked for the same reason.
store_archives="etcd-server etcd-client"

# A browser without a screen, for the test of the live page: 100 MB to fetch, which nothing else needs.
browser_packages="chromium-headless-shell"

# install_packages: installs those that are missing, and says nothing when none is.
install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "this is not Debian; if something is missing, install what corresponds to:" $packages
    return
  fi
  missing=$(missing_packages)
  if [ -z "$missing" ]; then return; fi
  say "installing" $missing
  # The lock's timeout lets two tools that start at the same time take turns.
  log=$({ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 install $missing; } 2>&1 </dev/null) || {
    printf '%s\n' "$log" | tail -n 5 >&2
    fail "apt-get could not install" $missing "(the lines above say why)"
  }
}

missing_packages() {
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null | sed -n 's/^installed //p')
  for package in $packages; do
    printf '%s\n' "$installed" | grep -qxF "$package" || printf '%s ' "$package"
  done
}

# install_peers PACKAGE...: installs those that are missing. One that cannot be installed is no failure: the benchmark
# leaves out whoever needs it, and says so.
install_peers() {
  packages=$*
  if [ -z "$packages" ] || ! command -v dpkg-query >/dev/null; then return; fi
  missing=$(missing_packages)
  if [ -z "$missing" ]; then return; fi
  apt-get -qq update >/dev/null 2>&1 || true
  for package in $missing; do
    say "installing $package"
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
      install "$package" >/dev/null 2>&1 </dev/null || say "apt-get could not install $package"
    stop_services "$package"
  done
}

# unpack_archives PACKAGE...: below .build, without installing them: what a package sets up and starts is not wanted, only a
# program of it. One that cannot be had is no failure, as above.
unpack_archives() {
  for package in "$@"; do
    unpacked=$tree/.build/peers
    if [ -e "$unpacked/$package.unpacked" ] || ! command -v dpkg-deb >/dev/null; then continue; fi
    say "unpacking $package"
    mkdir -p "$unpacked/archives"
    # shellcheck disable=SC2015 # either step may fail
    (cd "$unpacked/archives" && apt-get -qq download "$package") >/dev/null 2>&1 </dev/null &&
      dpkg-deb -x "$unpacked/archives/$package"_*.deb "$unpacked" && : >"$unpacked/$package.unpacked" ||
      say "$package could not be unpacked"
    rm -rf "$unpacked/archives"
  done
}

# What tools/engines takes from another release: the engines, and a shell for images. Their libraries come along.
release_archives="docker.io docker-cli podman netavark aardvark-dns runc busybox-static"

# unpack_release SUITE DIRECTORY: the engines of another Debian and all that they need, their C library too, without installing
# anything. The programs are told where their libraries are, so that they run beside this Debian's.
unpack_release() {
  if [ -e "$2/unpacked" ]; then return; fi
  say "unpacking engines of Debian's $1"
  mirror=$(apt-get indextargets --format '$(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian main //p' | head -n 1)
  [ -n "$mirror" ] || fail "apt's sources name no mirror of Debian"
  rm -rf "$2"
  mkdir -p "$2/apt/lists/partial" "$2/apt/archives/partial"
  # As if nothing were installed: what is here is another release's.
  : >"$2/apt/status"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$1" >"$2/apt/sources.list"
  cat >"$2/apt/apt.conf" <<TEXT
Dir::State "$2/apt";
Dir::State::status "$2/apt/status";
Dir::Cache "$2/apt";
Dir::Etc::sourcelist "$2/apt/sources.list";
Dir::Etc::sourceparts "-";
Acquire::Languages "none";
TEXT
  # shellcheck disable=SC2086 # a list
  { APT_CONFIG=$2/apt/apt.conf apt-get -qq update &&
    APT_CONFIG=$2/apt/apt.conf apt-get -qq -y --no-install-recommends --download-only install $release_archives; } \
    >/dev/null </dev/null || fail "$1's packages could not be had from $mirror"
  for archive in "$2"/apt/archives/*.deb; do dpkg-deb -x "$archive" "$2" || fail "$archive could not be unpacked"; done
  rm -rf "$2/apt"
  # Where releases before trixie have them.
  if [ ! -e "$2/bin" ]; then ln -s usr/bin "$2/bin"; fi
  libraries=$(dirname "$(find "$2/usr/lib" -name 'ld-linux*.so*' -type f | head -n 1)")
  for program in "$2"/usr/bin/* "$2"/usr/sbin/* "$2"/usr/lib/podman/*; do
    if [ -h "$program" ] || ! patchelf --print-interpreter "$program" >/dev/null 2>&1; then continue; fi
    patchelf --set-interpreter "$(find "$libraries" -name 'ld-linux*.so*' -type f)" --force-rpath \
      --set-rpath "$libraries" "$program" || fail "$program could not be told where its libraries are"
  done
  : >"$2/unpacked"
}

# stop_services PACKAGE: Debian starts a service when it is installed; the benchmark starts what it needs by itself.
stop_services() {
  if [ ! -d /run/systemd/system ]; then return; fi
  for unit in $(dpkg -L "$1" 2>/dev/null | sed -n 's|^.*/systemd/system/\([^/]*\.service\)$|\1|p'); do
    systemctl --quiet disable --now "$unit" || true
  done
}
