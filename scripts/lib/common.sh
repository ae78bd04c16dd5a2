# What the scripts share. Sourced by bash; defines functions and a few variables, does nothing else.
# Everything that is meant for people goes to standard error, so that a caller's standard output
# stays its own.

LINTEL_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LINTEL_CACHE=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/lintel
LINTEL_TOOLS=$LINTEL_CACHE/tools
. "$LINTEL_ROOT/scripts/versions"

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "$(basename "$0"): $*"
  exit 1
}

# Go and Node as scripts/bootstrap --test put them, before what the machine has. Go never fetches
# another compiler and never changes the lists of pinned modules.
use_test_tools() {
  PATH=$LINTEL_TOOLS/bin:$PATH
  export PATH
  export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
  export LC_ALL=C.UTF-8
}

# One compiler a core, but not more than memory allows (a Qt translation unit takes about 700 MB).
build_jobs() {
  local cores memory
  cores=$(nproc 2>/dev/null || echo 2)
  memory=$(awk '/MemAvailable/ { print int($2 / 700000) }' /proc/meminfo 2>/dev/null)
  if [ "${memory:-2}" -lt "$cores" ]; then cores=$memory; fi
  if [ "$cores" -lt 1 ]; then cores=1; fi
  echo "$cores"
}

# duration SECONDS: "48 s" or "3 min 20 s"
duration() {
  if [ "$1" -ge 60 ]; then echo "$(($1 / 60)) min $(($1 % 60)) s"; else echo "$1 s"; fi
}

# Objects are shared between clones at different paths.
use_compiler_cache() {
  export CCACHE_DIR=${CCACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ccache}
  export CCACHE_BASEDIR=$LINTEL_ROOT CCACHE_NOHASHDIR=1
}

# build PRESET [TARGET...]: configures and builds; on failure shows the last lines of the log.
build() {
  local preset=$1 log=$LINTEL_ROOT/build/$1.log
  shift
  mkdir -p "$LINTEL_ROOT/build"
  use_compiler_cache
  # A clone that was moved or copied: what CMake remembers is of another place.
  if [ -f "$LINTEL_ROOT/build/$preset/CMakeCache.txt" ] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$LINTEL_ROOT" "$LINTEL_ROOT/build/$preset/CMakeCache.txt"; then
    rm -rf "$LINTEL_ROOT/build/$preset"
  fi
  (cd "$LINTEL_ROOT" && cmake --preset "$preset" ${LINTEL_WARNINGS_ARE_ERRORS:+-DCMAKE_COMPILE_WARNING_AS_ERROR=ON} </dev/null) >"$log" 2>&1 || { tail -n 30 "$log" >&2; return 1; }
  if ! cmake --build "$LINTEL_ROOT/build/$preset" --parallel "$(build_jobs)" ${1:+--target "$@"} </dev/null >>"$log" 2>&1; then
    grep -nE 'error|FAILED|undefined reference' "$log" | head -n 20 >&2 || true
    tail -n 40 "$log" >&2
    return 1
  fi
}
