# shellcheck shell=bash
# Shared by every images/<name>/build.sh: progress lines, cache entries, root filesystem tars.
# Sourced with `set -euo pipefail` on. Writes nothing outside DEVSERVER_CACHE and the output folder.

: "${DEVSERVER_CACHE:=$HOME/.cache/devserver}"
# One fixed time stamp in every tar: the same content gives the same bytes, so the image keeps its digest.
: "${SOURCE_DATE_EPOCH:=1735689600}"
export DEVSERVER_CACHE SOURCE_DATE_EPOCH
# Called by our own make, the make of a recipe would get its flags: without built-in rules nothing of C compiles.
unset MAKEFLAGS MAKELEVEL MFLAGS

log() { printf '%s: %s\n' "${IMAGE_NAME:-image}" "$*" >&2; }

die() {
  log "error: $*"
  exit 1
}

# need COMMAND PACKAGE: the error names the Debian package to install.
need() {
  command -v "$1" >/dev/null || die "the program $1 is missing; install it with: apt-get install $2"
}

# Sets OUT_DIR from build.sh's arguments and makes WORK, a scratch folder that goes away at exit.
begin() {
  IMAGE_NAME=$1
  [ $# -eq 2 ] || die "usage: images/$IMAGE_NAME/build.sh OUT_DIR"
  mkdir -p "$2" "$DEVSERVER_CACHE/images"
  OUT_DIR=$(cd "$2" && pwd)
  WORK=$(mktemp -d "$DEVSERVER_CACHE/images/.build-$IMAGE_NAME.XXXXXX")
  trap 'rm -rf "$WORK"' EXIT
}

# pack ROOTFS: OUT_DIR/rootfs.tar, everything owned by root, sorted, one time stamp.
pack() {
  tar --create --file "$OUT_DIR/rootfs.tar.part" --directory "$1" --sort=name --format=posix \
    --pax-option=delete=atime,delete=ctime --mtime="@$SOURCE_DATE_EPOCH" \
    --owner=0 --group=0 --numeric-owner .
  finish
}

# finish: the part file becomes the result, so an interrupted build leaves none.
finish() {
  mv "$OUT_DIR/rootfs.tar.part" "$OUT_DIR/rootfs.tar"
  log "rootfs.tar $(du -h --apparent-size "$OUT_DIR/rootfs.tar" | cut -f1)"
}

# hash_of WORD…: 16 hex digits over the words and the content of those that are files.
hash_of() {
  local word
  for word in "$@"; do
    printf '%s\0' "${word#"$REPO"/}"
    if [ -f "$word" ]; then sha256sum <"$word"; fi
  done | sha256sum | cut -c1-16
}

# stage NAME HASH COMMAND…: runs `COMMAND… DIR` once per hash and sets STAGE_DIR to the kept result.
# The lock makes a second build wait for the first instead of doing the same work beside it.
stage() {
  local name=$1 hash=$2 stages=$DEVSERVER_CACHE/images/stages started=$SECONDS
  shift 2
  STAGE_DIR=$stages/$name-$hash
  mkdir -p "$stages"
  exec 9>"$stages/.lock-$name-$hash"
  flock 9
  if [ -d "$STAGE_DIR" ]; then
    log "$name: cached"
  else
    log "$name: building"
    rm -rf "$STAGE_DIR.part"
    mkdir "$STAGE_DIR.part"
    "$@" "$STAGE_DIR.part"
    mv "$STAGE_DIR.part" "$STAGE_DIR"
    log "$name: built in $((SECONDS - started)) s"
  fi
  touch "$STAGE_DIR"
  find "$stages" -maxdepth 1 -name "$name-*" -mtime +30 -exec rm -rf {} +
  exec 9>&-
}

# What images are nothing but. Built in one go: each selection of packages has features of its own, and what they share, which is
# nearly all of them, would be compiled once for each.
SERVERS=(devserver-console devserver-gateway devserver-operator)

# cargo_static PACKAGE: a static release binary of a workspace member; sets CARGO_BINARY.
# glibc's static C runtime rather than the musl target: no second standard library to download.
cargo_static() {
  need cargo "cargo (or rustup: https://rustup.rs)"
  local target=$DEVSERVER_CACHE/target-static triple=x86_64-unknown-linux-gnu selection=("$1")
  if [[ " ${SERVERS[*]} " == *" $1 "* ]]; then selection=("${SERVERS[@]}"); fi
  log "cargo build --release ${selection[*]/#/-p }"
  (cd "$REPO" && CARGO_TARGET_DIR=$target RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --quiet --locked --release "${selection[@]/#/--package=}" --target $triple >&2)
  CARGO_BINARY=$target/$triple/release/$1
  if readelf --program-headers "$CARGO_BINARY" | grep -q INTERP; then
    die "$CARGO_BINARY is not static"
  fi
}

# cargo_dev PACKAGE: the program as tests have it, with the features of the whole workspace, without debug information; sets CARGO_BINARY.
cargo_dev() {
  need cargo "cargo (or rustup: https://rustup.rs)"
  need strip binutils
  local target=${CARGO_TARGET_DIR:-$DEVSERVER_CACHE/target}
  log "cargo build --workspace"
  # The date in the environment is an input of ring: with it, nearly all would be compiled anew, now and for the tests afterwards.
  (cd "$REPO" && CARGO_TARGET_DIR=$target env --unset=SOURCE_DATE_EPOCH cargo build --quiet --locked --bins --workspace >&2)
  CARGO_BINARY=$WORK/$1
  strip --strip-debug -o "$CARGO_BINARY" "$target/debug/$1"
}

# bring_libraries PROGRAM ROOT: the program's loader and shared libraries, where it looks for them.
bring_libraries() {
  local path libraries
  libraries=$(ldd "$1" | grep --only-matching '/[^ ]*') || die "ldd names no libraries of $1"
  while read -r path; do
    install -D -m 0755 "$path" "$2$path"
  done <<<"$libraries"
}

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
