#!/usr/bin/env bash
# Everything that a change has to pass, cheapest first. Writes nothing into the checkout; `make fix` does.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=deploy/scripts/env.sh
source "$root/deploy/scripts/env.sh"
cd "$root"
export CARGO_INCREMENTAL=0

step() { printf 'verify: %s\n' "$*" >&2; }

step "shell scripts"
scripts=(.ci/run deploy/scripts/*.sh)
for script in "${scripts[@]}"; do bash -n "$script"; done
if command -v shellcheck >/dev/null 2>&1; then shellcheck "${scripts[@]}"; fi

step "format"
cargo fmt --all --check

step "protobuf files"
deploy/scripts/proto.sh check

step "house rules"
cargo build --locked --quiet --workspace --bins
"$CARGO_TARGET_DIR/debug/xtask" floors
"$CARGO_TARGET_DIR/debug/xtask" tidy
"$CARGO_TARGET_DIR/debug/xtask" deny

step "clippy"
cargo clippy --locked --quiet --workspace --all-targets -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --workspace --no-deps

step "tests"
deploy/scripts/test.sh
