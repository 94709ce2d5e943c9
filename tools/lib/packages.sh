# Debian packages that the build, the benchmark, and the system tests with the package need, in this order.

packages="pkg-config liburing-dev libmnl-dev libbpf-dev libldns-dev linux-libc-dev libsqlite3-dev
  iproute2 util-linux procps python3 iperf3 iputils-ping
  ethtool nftables iptables tcpdump socat jq curl bind9-dnsutils traceroute dnsmasq-base busybox netbase
  dpkg-dev man-db openssl
  libdevmapper1.02.1 libseccomp2 libgpgme11 libsubid4 libglib2.0-0 golang-go golang-github-appc-cni-dev"

# What the system tests want of container engines, unpacked: installed, it would start a dockerd, say, and take the machine's
# own network.
engine_archives="docker.io containerd runc busybox-static podman conmon containernetworking-plugins"

# The cluster's store, for its tests, unpacked for the same reason.
store_archives="etcd-server etcd-client"

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

# stop_services PACKAGE: Debian starts a service when it is installed; the benchmark starts what it needs by itself.
stop_services() {
  if [ ! -d /run/systemd/system ]; then return; fi
  for unit in $(dpkg -L "$1" 2>/dev/null | sed -n 's|^.*/systemd/system/\([^/]*\.service\)$|\1|p'); do
    systemctl --quiet disable --now "$unit" || true
  done
}
