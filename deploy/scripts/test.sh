#!/usr/bin/env bash
# Every test of the workspace, doctests included. Last line: `N passed, N failed[, N skipped]`.
#
# Must hold: the closing line and the exit status say the same. A test that needs what this machine lacks
# (root, namespaces, a GPU) appends `name: reason` to $SEKISHO_NOT_RUN and returns; it is then shown as
# NOT RUN and counted as skipped, and as failed where CI=true.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=deploy/scripts/env.sh
source "$root/deploy/scripts/env.sh"
cd "$root"
export CARGO_INCREMENTAL=0
export PATH="$SEKISHO_CACHE/tools/bin:$PATH"

say() { printf 'test: %s\n' "$*" >&2; }
quiet=()
[ -t 2 ] || quiet=(--quiet) # a log file needs warnings and errors, not the name of each crate

work=$(mktemp -d "${TMPDIR:-/tmp}/sekisho-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
export SEKISHO_NOT_RUN="$work/not-run"
: >"$SEKISHO_NOT_RUN"
records=(--not-run "$SEKISHO_NOT_RUN")
status=0

# A log without a failed count although its command failed (a doctest that does not compile).
mark_failed() {
  grep -q '^test result: FAILED' "$1" || echo 'test result: FAILED. 0 passed; 1 failed;' >>"$1"
}

say "building all binaries and tests"
cargo build --locked --workspace --bins --tests "${quiet[@]}" || { say "the build failed: no test ran"; exit 1; }

say "running doctests"
if ! cargo test --locked --workspace --doc "${quiet[@]}" --no-fail-fast >"$work/doc.log" 2>&1; then
  status=1
  cat "$work/doc.log"
  mark_failed "$work/doc.log"
fi
records+=(--libtest "$work/doc.log")

if cargo nextest --version >/dev/null 2>&1; then
  junit=$root/target/nextest/ci/junit.xml # nextest keeps its store in the checkout (ignored by git)
  rm -f "$junit" # an old record must not speak for this run
  code=0
  cargo nextest run --locked --workspace --profile ci --cargo-quiet || code=$?
  if [ "$code" -ne 0 ] && [ "$code" -ne 100 ] || [ ! -f "$junit" ]; then
    say "the test runner itself failed (status $code): its result is not one"
    exit 1
  fi
  [ "$code" -eq 0 ] || status=1
  records+=(--junit "$junit")
else
  say "without cargo-nextest: cargo test, and the process tests one at a time"
  for run in "--workspace --exclude sekisho-chaos" "--package sekisho-chaos"; do
    log="$work/run-${#records[@]}.log"
    one_by_one=()
    [ "$run" = "--package sekisho-chaos" ] && one_by_one=(-- --test-threads=1)
    # shellcheck disable=SC2086 # two words on purpose
    if ! cargo test --locked $run --lib --bins --tests --no-fail-fast "${one_by_one[@]}" 2>&1 | tee "$log"; then
      status=1
      mark_failed "$log"
    fi
    records+=(--libtest "$log")
  done
fi

"$CARGO_TARGET_DIR/debug/xtask" tally "${records[@]}" || status=1
exit "$status"
