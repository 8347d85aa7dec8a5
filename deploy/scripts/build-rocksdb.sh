#!/usr/bin/env bash
# Build RocksDB once, as unity files, into the cache folder.
#
# Why: the crate's own build compiles 342 translation units and takes more than half an hour on two
# cores. The same vendored sources, concatenated into a few units, take minutes and give one archive
# for every profile. librocksdb-sys then links it (ROCKSDB_LIB_DIR, ROCKSDB_STATIC) and runs bindgen only.
#
# Must hold: the sources, defines and include paths are those of the pinned librocksdb-sys, read from the
# locked crate. If the crate does not look as expected the script stops and says so; nothing is guessed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=deploy/scripts/env.sh
source "$root/deploy/scripts/env.sh"

say() { printf 'rocksdb: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

lib="$ROCKSDB_LIB_DIR/librocksdb.a"
[ -f "$lib" ] && exit 0

version=$SEKISHO_ROCKSDB_SYS
cargo fetch --locked --manifest-path "$root/Cargo.toml" --quiet ||
  die "cannot fetch crates: the crate registry is not reachable and the local crate cache is incomplete"
src=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -maxdepth 2 -type d -name "librocksdb-sys-$version" | head -n 1)
[ -n "$src" ] || die "librocksdb-sys $version is not in the crate cache after cargo fetch"
# The number of sources moves with every RocksDB release: a change means that the defines below have to be
# read again from the crate's build.rs before this script may be trusted.
expected=342
mapfile -t sources < <(tr -s ' \t' '\n' < "$src/rocksdb_lib_sources.txt" | sed '/^$/d' | grep -v '^util/build_version\.cc$')
[ "${#sources[@]}" -eq "$expected" ] ||
  die "expected $expected sources in librocksdb-sys $version, found ${#sources[@]}: review deploy/scripts/build-rocksdb.sh against its build.rs"

units=12 # two cores: enough units to balance, few enough that header parsing does not dominate
work=$(mktemp -d "${TMPDIR:-/tmp}/sekisho-rocksdb.XXXXXX")
new=
trap 'rm -rf "$work" ${new:+"$new"}' EXIT
for i in "${!sources[@]}"; do
  printf '#include "%s"\n' "${sources[$i]}" >> "$work/unit-$((i * units / expected)).cc"
done
cp "$src/build_version.cc" "$work/build_version.cc"

flags=(-std=c++20 -O2 -fPIC -ffunction-sections -fdata-sections -w -include cstdint
  -DNDEBUG=1 -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION -DOS_LINUX -DROCKSDB_PLATFORM_POSIX
  -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT -DROCKSDB_AUXV_GETAUXVAL_PRESENT
  -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT
  "-I$src/rocksdb/include" "-I$src/rocksdb" "-I$src" "-I$src/rocksdb/third-party/gtest-1.8.1/fused-src")
# Hardware CRC32C where the building host has it (the cache folder is per host).
if grep -qw sse4_2 /proc/cpuinfo 2>/dev/null && grep -qw pclmulqdq /proc/cpuinfo; then
  flags+=(-msse4.2 -mpclmul)
fi

say "building RocksDB ($version) in $units unity files; once per machine, about five minutes on two cores"
# Each compiler takes up to 2.1 GB: as many at a time as cores and free memory allow.
free_gb=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
jobs=$((free_gb * 10 / 25))
cores=$(nproc)
[ "$jobs" -lt "$cores" ] || jobs=$cores
[ "$jobs" -ge 1 ] || jobs=1
compile() { "${CXX:-g++}" "${@:2}" -c "$1" -o "${1%.cc}.o"; }
export -f compile
printf '%s\0' "$work"/*.cc |
  xargs -0 -P "$jobs" -I{} bash -c 'compile "$@"' _ {} "${flags[@]}" ||
  die "the C++ compiler failed; g++ 12 or newer is needed"
mkdir -p "$ROCKSDB_LIB_DIR"
# Made beside its place and renamed there: a cut build leaves no half archive, and two builds at a time
# leave a whole one.
new="$lib.$$"
ar crs "$new" "$work"/*.o
mv "$new" "$lib"
say "built $lib"
