# shellcheck shell=bash
# Shared by the scripts in hack/: paths, words for people, timing. Sourced with `set -euo pipefail` on.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${DEVSERVER_CACHE:=$HOME/.cache/devserver}"
: "${CARGO_TARGET_DIR:=$DEVSERVER_CACHE/target}"
export DEVSERVER_CACHE CARGO_TARGET_DIR
# shellcheck disable=SC2034 # used by the scripts that source this file
ARTIFACTS=$REPO/tests/artifacts
KUBELAB=$REPO/bin/kubelab
# shellcheck disable=SC2034
DEVCTL=$REPO/bin/devctl

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then BOLD=$'\e[1m' RED=$'\e[31m' PLAIN=$'\e[0m'; else BOLD='' RED='' PLAIN=''; fi

say() { printf '%s\n' "$*"; }
warn() { printf '%swarning:%s %s\n' "$BOLD" "$PLAIN" "$*" >&2; }

# die MESSAGE: every message says what failed and what to do about it.
die() {
  printf '%serror:%s %s\n' "$RED" "$PLAIN" "$*" >&2
  exit 1
}

# step "what happens" COMMAND…: runs it and says how long it took. A failure ends the script by `set -e`, so it must
# not be called in a condition.
step() {
  local what=$1 started=$SECONDS
  shift
  printf '%s==> %s%s\n' "$BOLD" "$what" "$PLAIN"
  "$@"
  printf '    %s: %d s\n' "$what" $((SECONDS - started))
}

# put FILE DESTINATION: copies only when the content differs, and atomically, because the old one may be running.
put() {
  if ! cmp --silent "$1" "$2"; then
    mkdir -p "$(dirname "$2")"
    install --mode=755 "$1" "$2.part"
    mv "$2.part" "$2"
  fi
}

# own_target: checkouts may share the target folder, and to cargo their files are the same ones: what another checkout built
# last would count as up to date here whenever it is newer than this one's edits. So the files of a checkout that takes
# the folder over are made new.
own_target() {
  local stamp=$CARGO_TARGET_DIR/.checkout
  [ "$(cat "$stamp" 2>/dev/null)" != "$REPO" ] || return 0
  mkdir -p "$CARGO_TARGET_DIR"
  find "$REPO" \( -name .git -o -name target -o -path "$REPO/bin" -o -path "$REPO/tests/artifacts" \) -prune -o -type f -exec touch --no-create {} +
  printf '%s\n' "$REPO" >"$stamp"
}
own_target

# build_programs: bin/kubelab and bin/devctl, from the dev profile: minutes faster to build, fast enough to use.
build_programs() { (cd "$REPO" && cargo build --quiet --locked -p kubelab -p devctl) && put_programs; }

# build_workspace: these and all others, for tests and checks. With the features of the whole workspace, as the tests have them: what another
# selection of packages shares with it would be compiled once more.
build_workspace() { (cd "$REPO" && cargo build --locked --bins --workspace) && put_programs; }

put_programs() { put "$CARGO_TARGET_DIR/debug/kubelab" "$KUBELAB" && put "$CARGO_TARGET_DIR/debug/devctl" "$DEVCTL"; }

# app_version: the tag that images have in the chart.
app_version() { sed -n 's/^appVersion: *//p' "$REPO/charts/devserver-platform/Chart.yaml" | tr -d '"'; }

# need_kubelab: builds it only when it is not there, for the targets that must work on their own.
need_kubelab() {
  [ -x "$KUBELAB" ] || step "build kubelab and devctl" build_programs
}

# link_tool NAME: bin/NAME, of the version the lab has; a machine with nothing prepared has none, others an older one.
link_tool() {
  local path
  path=$("$KUBELAB" tools "$1" | tail -n 1)
  ln --symbolic --force --no-dereference "$path" "$REPO/bin/$1"
}

# helm_path: the pinned helm, built on first use. With a cluster of one's own, one's own helm will do.
helm_path() {
  if [ -n "${HELM:-}" ]; then
    printf '%s\n' "$HELM"
  elif [ "${CLUSTER:-lab}" = existing ] && command -v helm >/dev/null; then
    command -v helm
  else
    "$KUBELAB" tools helm | tail -n 1
  fi
}
