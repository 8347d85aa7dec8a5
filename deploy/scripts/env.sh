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
