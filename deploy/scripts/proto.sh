#!/usr/bin/env bash
# The protobuf files against their rules and against what was released; and what is released, anew.
#
#   proto.sh check      `buf lint`, and `buf breaking` against proto/released/sekisho.v1.binpb
#   proto.sh release    makes that file from the files as they are: part of making a release, and of nothing else
#
# Must hold: `check` writes nothing. Where buf cannot be had it says NOT RUN and why, and fails where CI=true: what was not
# looked at is not in order.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
SEKISHO_CACHE=${SEKISHO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sekisho}
export PATH="$SEKISHO_CACHE/tools/bin:$PATH"
# buf keeps nothing and asks nobody: all that the files import lies beside them.
BUF_CACHE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/sekisho-buf.XXXXXX")
export BUF_CACHE_DIR
trap 'rm -rf "$BUF_CACHE_DIR"' EXIT
released=released/sekisho.v1.binpb
cd "${SEKISHO_PROTO:-$root/proto}"

if ! command -v buf >/dev/null 2>&1; then
  printf 'NOT RUN: buf is missing; deploy/scripts/bootstrap.sh verify installs it\n' >&2
  [ "${CI:-}" != true ]
  exit
fi

case ${1:-check} in
  check)
    buf lint .
    buf breaking . --against "$released"
    ;;
  # With the comments left out: they change without a change for anybody.
  release) buf build . --path sekisho/v1 --exclude-source-info -o "$released" ;;
  *)
    printf 'proto.sh: check or release, not %s\n' "$1" >&2
    exit 2
    ;;
esac
