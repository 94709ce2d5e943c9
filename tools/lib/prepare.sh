# Sourced first by every tool: strict mode, where things are, and the library.
#
# The tools are written for dash, Debian's /bin/sh. bash 5.2 is not up to being interrupted: a SIGINT that comes while
# it forks for a command substitution can leave it sending SIGINT to itself for ever.
set -eu

tools=$(cd "$(dirname "$0")" && pwd)
tree=${tools%/*}

for part in message root packages swift machine enclosure; do
  . "$tools/lib/$part.sh"
done
unset part
