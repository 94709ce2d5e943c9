# Debian packages that building, measuring and testing need.

packages=(
  pkg-config liburing-dev libmnl-dev libsqlite3-dev # to build
  iproute2 util-linux procps                        # ip, bridge, tc; nsenter, unshare, setpriv; sysctl
  python3 iperf3 iputils-ping                       # the benchmark
  ethtool nftables tcpdump socat jq                 # the system tests
)

# install_packages: installs those that are missing, and says nothing when none is.
install_packages() {
  local package missing=() log
  if ! command -v dpkg-query >/dev/null; then
    say "this is not Debian; if something is missing, install what corresponds to: ${packages[*]}"
    return
  fi
  for package in "${packages[@]}"; do
    if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then missing+=("$package"); fi
  done
  if ((${#missing[@]} == 0)); then return; fi
  say "installing ${missing[*]}"
  # The lock's timeout lets two tools that start at the same time take turns.
  if ! log=$({ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 install "${missing[@]}"; } 2>&1 </dev/null); then
    printf '%s\n' "$log" | tail -n 5 >&2
    fail "apt-get could not install ${missing[*]}; the lines above say why"
  fi
}
