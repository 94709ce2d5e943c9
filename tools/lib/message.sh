# What the tools say to the person who runs them. Everything goes to standard error: standard output is for results.

say() { printf '==> %s\n' "$*" >&2; }

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
