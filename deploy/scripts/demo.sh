#!/usr/bin/env bash
# A small federation on this machine, driven from end to end: builds the shipped binaries and hands over
# to the drill, which starts the ones that lie beside it. Arguments go to `sekisho-drill demo`.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=deploy/scripts/env.sh
source "$root/deploy/scripts/env.sh"
cd "$root"
export CARGO_INCREMENTAL=0

# The whole workspace and not four packages: cargo unifies features over what it is asked to build, and
# another set would compile half of the dependencies a second time.
cargo build --locked --workspace --bins
for binary in sekisho sekisho-controller sekisho-agent sekisho-drill; do
  [ -x "$CARGO_TARGET_DIR/debug/$binary" ] || { echo "demo: cargo built no binary named $binary" >&2; exit 1; }
done
exec "$CARGO_TARGET_DIR/debug/sekisho-drill" demo "$@"
