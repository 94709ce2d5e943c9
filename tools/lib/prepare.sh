# Sourced first by every tool: strict mode, where things are, and the library.
set -euo pipefail

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # used by those who source this
tree=${tools%/*}

for part in message root packages swift machine enclosure; do
  # shellcheck source=/dev/null
  source "$tools/lib/$part.sh"
done
unset part
