# Namespaces, TAPs and packages need root.

# become_root ARGUMENTS...: starts the calling tool again through sudo where that is necessary.
# PATH goes along, because sudo would replace it and Swift is often installed in a place of its own.
become_root() {
  if [ "$(id -u)" -eq 0 ]; then
    trap return_build_directory EXIT
    return
  fi
  command -v sudo >/dev/null || fail "this needs root, and there is no sudo: run it as root"
  say "this needs root: calling sudo"
  exec sudo -- env "PATH=$PATH" "$tools/${0##*/}" "$@"
}

# What root built belongs to the person who called sudo, or that person's next build would fail.
return_build_directory() {
  if [ -n "${SUDO_UID:-}" ] && [ -d "$tree/.build" ]; then chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$tree/.build"; fi
}
