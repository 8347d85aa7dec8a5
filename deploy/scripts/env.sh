# Sourced by the Makefile's recipes and by every script: where build products live.
# They lie outside the checkout so that the next fresh clone on this machine builds warm.
# shellcheck shell=bash
SEKISHO_CACHE=${SEKISHO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sekisho}
# Keep in step with Cargo.lock; build-rocksdb.sh refuses a version that it does not know.
SEKISHO_ROCKSDB_SYS=0.19.0+11.8.1
export SEKISHO_CACHE SEKISHO_ROCKSDB_SYS
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$SEKISHO_CACHE/target}
export ROCKSDB_LIB_DIR=$SEKISHO_CACHE/rocksdb-$SEKISHO_ROCKSDB_SYS-u1
export ROCKSDB_STATIC=1

# Cargo knows a source by its path within the checkout and by its time. Where two checkouts share the cache, what the
# other one built later would be taken for this one's, and the tests would run another tree: so everything counts as
# changed when the checkout changes. Only times are written.
sekisho_claim_cache() {
  local root claim=$CARGO_TARGET_DIR/checkout
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
  [ "$(cat "$claim" 2>/dev/null)" != "$root" ] || return 0
  find "$root" \( -name .git -o -path "$root/target" \) -prune -o -type f -exec touch -c {} +
  mkdir -p "$CARGO_TARGET_DIR"
  printf '%s\n' "$root" >"$claim"
}
sekisho_claim_cache
