#!/usr/bin/env bash
# Make this machine able to build and test: find what is missing, install it, or say exactly what to do.
#
#   bootstrap.sh [build|test|verify|bench|instructions]
#
# Must hold: where nothing is missing it touches nothing and takes no noticeable time; it never guesses a
# download place (packages and crates come from whatever the machine's own clients are set up for); when it
# cannot help, it names each missing thing and the command that would bring it, and fails.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=deploy/scripts/env.sh
source "$root/deploy/scripts/env.sh"
job=${1:-build}

NEXTEST=0.9.143 # the version whose JUnit record `xtask tally` is tested with
BUF=1.75.0      # whose rules proto/buf.yaml names
# SHA-512 of the npm packages `@bufbuild/buf-linux-ARCH` of that version, by what `uname -m` says.
declare -A BUF_SUMS=(
  [x86_64]=606189031d25a4c084eda3168cd38971fa04686fdefa26079d30b8499d0fe5e4b821f7ccaf203d678fdb6f59b5c0d5c0109f004c530464e024ff9c7d544e3b8a
  [aarch64]=797f97ca8933243aac348168f1bd4edc306f6e792c3a8ccf257e1056c367eb526a494b56b29c9335e62ac20f254436a770c2fe6c3a9910314f0018c0b1509019
)

say() { printf 'bootstrap: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# What the build of RocksDB's bindings loads at build time; no header or program shows that it is there.
have_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null ||
    compgen -G '/usr/lib*/libclang*.so*' >/dev/null ||
    compgen -G '/usr/lib/*-linux-gnu/libclang*.so*' >/dev/null
}

# One line for each missing thing: its Debian package, and what it is for.
missing_packages() {
  have g++ || echo "g++ (C++20 compiler, for RocksDB)"
  have cc || echo "gcc (C compiler, for ring)"
  have ar || echo "binutils (ar, for RocksDB)"
  have clang || echo "clang (include paths for bindgen)"
  have_libclang || echo "libclang-dev (bindgen loads it)"
  have make || echo "make (the front door of this repository)"
  have git || echo "git (to fetch and to compare)"
  have pkg-config || echo "pkg-config (finds system libraries)"
  have ip || echo "iproute2 (network namespaces of the process tests)"
  have mkfs.ext4 || echo "e2fsprogs (disks of the crash tests)"
  have mount || echo "mount (the same)"
  have ps || echo "procps (the process tests look for orphans)"
  case $job in
    test | verify) have systemd-analyze || echo "systemd (judges the units of deploy/systemd)" ;;
  esac
}

# Clocks that step, writes that are cut short (`chaos-tests/src/host`) and sockets that are watched (`egress`): without these
# the drills do less and say so.
drill_packages() {
  case $job in build | instructions) return 0 ;; esac
  local wanted=()
  compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || wanted+=(libfaketime)
  have strace || wanted+=(strace)
  [ "${#wanted[@]}" -eq 0 ] && return 0
  say "for the drill: ${wanted[*]}"
  have apt-get && install_packages "${wanted[@]}" && return 0
  say "not installed: ${wanted[*]}; the drill goes on without"
}

# The peers that `make bench` measures beside, and the tracer that counts syncs: without them it measures less and
# says so, hence they are asked for and not required.
bench_packages() {
  [ "$job" = bench ] || return 0
  local wanted=()
  have etcd || wanted+=(etcd-server)
  [ -e /usr/share/java/zookeeper.jar ] || wanted+=(zookeeper)
  have java || wanted+=(default-jre-headless)
  have strace || wanted+=(strace)
  have slurmctld || wanted+=(slurmctld)
  have slurmd || wanted+=(slurmd)
  have sbatch || wanted+=(slurm-client)
  have munged || wanted+=(munge)
  [ -e /usr/include/slurm/slurm.h ] || wanted+=(libslurm-dev)
  [ "${#wanted[@]}" -eq 0 ] && return 0
  say "for the comparison: ${wanted[*]}"
  have apt-get && install_packages "${wanted[@]}" && return 0
  say "not installed: ${wanted[*]}; the comparison goes on without"
}

# What counts instructions: without it they are not counted, and that is said.
counting_packages() {
  case $job in bench | instructions) ;; *) return 0 ;; esac
  have valgrind && return 0
  say "for counting instructions: valgrind"
  have apt-get && install_packages valgrind && return 0
  say "not installed: valgrind; instructions are not counted"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif have sudo && [ -t 0 ]; then
    sudo -- "$@"
  elif have sudo; then
    sudo -n -- "$@" # nobody there to type a password
  else
    say "not root, and there is no sudo"
    return 1
  fi
}

install_packages() {
  local options=(-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" update -q >&2 &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get "${options[@]}" install -y -q --no-install-recommends "$@" >&2
}

system_packages() {
  local lines packages line
  lines=$(missing_packages)
  [ -z "$lines" ] && return 0
  mapfile -t packages < <(cut -d' ' -f1 <<<"$lines")
  say "missing: ${packages[*]}"
  if have apt-get && install_packages "${packages[@]}"; then
    lines=$(missing_packages)
    [ -z "$lines" ] && return 0
  fi
  say "could not install what is missing (no network, no rights, or not Debian). Needed:"
  while read -r line; do say "  $line"; done <<<"$lines"
  say "on Debian 12: apt-get update && apt-get install ${packages[*]}"
  return 1
}

# The toolchain file names the version; rustup fetches it where it may, and says so where it may not.
rust() {
  local wanted version
  wanted=$(sed -n 's/^channel = "\(.*\)"$/\1/p' "$root/rust-toolchain.toml")
  if ! have cargo || ! version=$(cd "$root" && rustc --version 2>&1); then
    say "Rust $wanted is missing${version:+: $version}"
    say "install rustup from the Rust project's site, then: rustup toolchain install $wanted"
    return 1
  fi
  case $version in
    "rustc $wanted "*) ;;
    # Without rustup the toolchain file has no effect; an older compiler fails later and less clearly.
    *) say "this is $version; the repository is built and checked with $wanted" ;;
  esac
  [ "$job" != verify ] && return 0
  local part
  for part in fmt clippy; do
    if ! (cd "$root" && cargo "$part" --version >/dev/null 2>&1); then
      say "cargo $part is missing: rustup component add ${part/fmt/rustfmt}"
      return 1
    fi
  done
}

# Into the cache folder, not into the user's own cargo: this repository's choice of version is its own.
nextest() {
  case $job in build | bench | instructions) return 0 ;; esac
  export PATH="$SEKISHO_CACHE/tools/bin:$PATH"
  cargo nextest --version >/dev/null 2>&1 && return 0
  say "cargo-nextest is missing: building $NEXTEST, once per machine, some minutes"
  local log
  log=$(mktemp)
  if CARGO_TARGET_DIR="$SEKISHO_CACHE/tools/target" cargo install cargo-nextest --quiet --locked \
    --version "$NEXTEST" --root "$SEKISHO_CACHE/tools" >"$log" 2>&1; then
    rm -rf "$SEKISHO_CACHE/tools/target" "$log"
  else
    tail -n 5 "$log" >&2
    rm -f "$log"
    say "cargo-nextest could not be built; the tests run under cargo test instead"
  fi
}

# What tests run in Python (an identity provider, the example client), into a virtual environment of this repository's own; the
# files name each package by its hashes.
python_tools() {
  case $job in build | bench | instructions) return 0 ;; esac
  local provider=$root/deploy/scripts/requirements.txt client=$root/docs/examples/python/requirements.txt
  local tools=$SEKISHO_CACHE/tools/python log
  cat "$provider" "$client" | cmp -s - "$tools/requirements.txt" && return 0
  if ! have python3; then
    say "python3 is missing; the tests that need it do not run"
    return 0
  fi
  say "installing the Python packages that tests need, once per machine"
  rm -rf "$tools"
  log=$(mktemp)
  if python3 -m venv "$tools" >"$log" 2>&1 &&
    "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement "$provider" \
      --requirement "$client" >>"$log" 2>&1; then
    cat "$provider" "$client" >"$tools/requirements.txt"
  else
    tail -n 5 "$log" >&2
    rm -rf "$tools"
    say "not installed (on Debian: apt-get install python3-venv); the tests that need them do not run"
  fi
  rm -f "$log"
}

# One program out of an npm package, which npm only fetches: nothing of it is run to install it.
buf() {
  case $job in build | bench | instructions) return 0 ;; esac
  local tools=$SEKISHO_CACHE/tools arch sum work
  [ "$(PATH="$tools/bin:$PATH" command buf --version 2>/dev/null)" = "$BUF" ] && return 0
  arch=$(uname -m)
  sum=${BUF_SUMS[$arch]:-}
  if [ -z "$sum" ] || ! have npm; then
    say "buf $BUF is missing and needs npm on x86_64 or aarch64; the checks of the protobuf files do not run"
    return 0
  fi
  work=$(mktemp -d)
  if (cd "$work" && npm pack --silent "@bufbuild/buf-linux-${arch/x86_64/x64}@$BUF" >/dev/null 2>&1) &&
    (cd "$work" && sha512sum --check --status <<<"$sum  bufbuild-buf-linux-${arch/x86_64/x64}-$BUF.tgz") &&
    tar -xzf "$work"/*.tgz -C "$work" package/bin/buf; then
    mkdir -p "$tools/bin"
    mv "$work/package/bin/buf" "$tools/bin/buf"
  else
    say "buf $BUF could not be fetched, or is not the one that is known; the checks of the protobuf files do not run"
  fi
  rm -rf "$work"
}

rust
system_packages
drill_packages
bench_packages
counting_packages
nextest
python_tools
buf
