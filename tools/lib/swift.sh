# Finding Swift and building with it.

swift_minimum=6.3

# find_swift: puts a Swift that is new enough on PATH.
find_swift() {
  local directory version
  for directory in /opt/swift/usr/bin /usr/local/swift/usr/bin "$HOME/.local/share/swiftly/bin"; do
    if [[ -x $directory/swift ]]; then PATH=$PATH:$directory; fi
  done
  command -v swift >/dev/null ||
    fail "Swift $swift_minimum or newer is not on PATH; https://www.swift.org/install/linux says how to install it"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1)
  if [[ $(printf '%s\n' "$swift_minimum" "${version:-0}" | sort -V | head -n 1) != "$swift_minimum" ]]; then
    fail "Swift $swift_minimum or newer is needed, $(command -v swift) is ${version:-of an unknown version};" \
      "https://www.swift.org/install/linux has newer ones"
  fi
}

# build ARGUMENTS...: swift build, its progress on standard error.
build() {
  say "building: swift build $*"
  local status=0
  # SwiftPM leaves directories behind where TMPDIR points.
  mkdir -p "$tree/.build/tmp"
  TMPDIR=$tree/.build/tmp swift build --package-path "$tree" "$@" >&2 || status=$?
  return_build_directory
  if ((status != 0)); then fail "the build failed"; fi
}

# binaries CONFIGURATION: where the programs of that build are.
binaries() { TMPDIR=$tree/.build/tmp swift build --package-path "$tree" -c "$1" --show-bin-path; }
