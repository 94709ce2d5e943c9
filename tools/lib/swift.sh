# Finding Swift and building with it.

swift_minimum=6.3
swift_advice="https://www.swift.org/install/linux says how to install it"

# is_at_least VERSION MINIMUM
is_at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# find_swift: puts Swift on PATH, and sees that it is new enough.
find_swift() {
  PATH=$PATH:/usr/local/swift/usr/bin:$HOME/.local/share/swiftly/bin
  command -v swift >/dev/null || fail "Swift $swift_minimum or newer is not on PATH; $swift_advice"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1)
  is_at_least "${version:-0}" "$swift_minimum" ||
    fail "Swift $swift_minimum or newer is needed, $(command -v swift) is ${version:-of an unknown version}; $swift_advice"
}

# SwiftPM leaves directories behind where TMPDIR points; in .build they do no harm.
swift_temporary=$tree/.build/tmp

# build ARGUMENTS...: swift build, its progress on standard error.
build() {
  say "building: swift build" "$@"
  mkdir -p "$swift_temporary"
  contain -- env TMPDIR="$swift_temporary" swift build --package-path "$tree" "$@" >&2 || fail "the build failed"
}

# release_binaries: the directory that `build -c release` fills.
release_binaries() { TMPDIR="$swift_temporary" swift build --package-path "$tree" -c release --show-bin-path; }
