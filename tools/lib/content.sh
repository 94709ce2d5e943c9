# What of Martlet goes into a system, and where: for tools/package and tools/install.

# A program, its place, and the section of its manual page (-: it is not for people's command lines, and has neither page nor
# completions). A place is below the prefix unless it begins with a slash; further ones, behind commas, are links to the first.
programs="
martletd      sbin/martletd     8
martlet       bin/martlet       1
martlet-load  bin/martlet-load  1
martlet-cni       lib/cni/martlet,/opt/cni/bin/martlet  -
martlet-netavark  libexec/netavark/martlet              -
"
sockets="martletd.socket martletd-docker-plugin.socket"
units="$sockets martletd.service"
configuration=/etc/martlet/martlet.yaml

# build_content CONFIGURATION: builds the programs and sets $binaries. A release has Swift's own libraries in it, and is built
# apart for that; a debug build wants the toolchain where it runs.
build_content() {
  case "$1" in
  release) options="--scratch-path $tree/.build/static -c release --static-swift-stdlib" ;;
  debug) options="-c debug" ;;
  *) fail "no configuration $1: there are release and debug" ;;
  esac
  for product in $(program_names); do build $options --product "$product"; done
  binaries=$(TMPDIR="$swift_temporary" swift build --package-path "$tree" $options --show-bin-path)
}

program_names() { printf '%s\n' "$programs" | awk 'NF { print $1 }'; }

# check_programs: each executable that the package has must have its place here, or it would be forgotten without a word.
check_programs() {
  sed -n 's/^ *\.executable(name: "\([^"]*\)".*/\1/p' "$tree/Package.swift" | while read -r product; do
    program_names | grep -qxF "$product" ||
      fail "Package.swift's product $product has no place in a system: give it one in tools/lib/content.sh"
  done
}

# make_content ROOT PREFIX CONFIGURATION: puts everything below ROOT, as it will stand below /, with the programs in $binaries.
make_content() (
  root=$1 prefix=$2 strips=no
  if [ "$3" = release ]; then strips=yes; fi
  umask 022
  check_programs
  version=$("$binaries/martletd" --version)
  printf '%s\n' "$programs" | while read -r name places section; do
    if [ -z "$name" ]; then continue; fi
    [ -x "$binaries/$name" ] || fail "there is no $name in $binaries"
    first=$root$(absolute "$prefix" "${places%%,*}")
    install -D -m 755 "$binaries/$name" "$first"
    if [ "$strips" = yes ]; then strip "$first"; fi
    for place in $(printf '%s\n' "$places" | tr , ' '); do link "$first" "$root$(absolute "$prefix" "$place")"; done
    if [ "$section" != - ]; then describe_program "$root$prefix" "$binaries/$name" "$section" "$version"; fi
  done
  for unit in $units; do
    directory=$root$prefix/lib/systemd/system
    mkdir -p "$directory"
    sed "s|@prefix@|$prefix|g" "$tree/packaging/systemd/$unit" >"$directory/$unit"
  done
  install -D -m 644 "$tree/packaging/martlet.yaml" "$root$configuration"
  documents=$root$prefix/share/doc/martlet
  mkdir -p "$documents/docs"
  cp "$tree/README.md" "$documents/"
  cp "$tree"/docs/* "$documents/docs/"
)

# absolute PREFIX PLACE: with the prefix, where it is below that.
absolute() { case "$2" in /*) printf '%s\n' "$2" ;; *) printf '%s/%s\n' "$1" "$2" ;; esac; }

# link TARGET FILE: makes FILE a link to TARGET, unless it is that.
link() {
  if [ "$1" = "$2" ]; then return; fi
  mkdir -p "${2%/*}"
  ln -sr "$1" "$2"
}

# describe_program BELOW PROGRAM SECTION VERSION: its manual pages and completions, from what it says of itself.
describe_program() {
  name=${2##*/}
  mkdir -p "$1/share/man/man$3"
  "$2" --experimental-dump-help |
    PYTHONDONTWRITEBYTECODE=1 python3 "$tools/lib/manual.py" --section "$3" --version "$4" "$1/share/man/man$3"
  gzip -9nf "$1/share/man/man$3/$name"*."$3"
  # Debian's zsh looks elsewhere than others' for what packages bring.
  case "$1" in */usr) zsh=share/zsh/vendor-completions ;; *) zsh=share/zsh/site-functions ;; esac
  complete_in bash "$2" "$1/share/bash-completion/completions/$name"
  complete_in zsh "$2" "$1/$zsh/_$name"
  complete_in fish "$2" "$1/share/fish/vendor_completions.d/$name.fish"
}

# complete_in SHELL PROGRAM FILE
complete_in() {
  mkdir -p "${3%/*}"
  "$2" --generate-completion-script "$1" >"$3"
}
