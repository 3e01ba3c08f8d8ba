#!/usr/bin/env bash
# make bench: figures of this machine into bench/results/<date>-<commit>.json, with the facts of the machine.
# BENCHES="start" selects. Each measurement has a lab of its own, so that none measures the rest of another.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"

# What each needs: a node with the platform installed, only a control plane, or one with simulated nodes.
declare -A SIZE=([start]=node [rest]=control-plane [throughput]=control-plane [crowd]=crowd [gateway]=control-plane)
ALL='start rest throughput crowd gateway'
: "${BENCHES:=$ALL}"
LAB=bench
TRIPLE=x86_64-unknown-linux-gnu
PROGRAMS=$DEVSERVER_CACHE/target-static/$TRIPLE/release
cd "$REPO"
[ -f bench/Cargo.toml ] || die "there is no bench/Cargo.toml, so there is nothing to measure yet"

# As the programs of the images are built, into the same folder; their date is an input of ring, too.
build() {
  CARGO_TARGET_DIR=$DEVSERVER_CACHE/target-static SOURCE_DATE_EPOCH=1735689600 RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --locked --release --target $TRIPLE -p devserver-operator -p devserver-gateway -p devserver-bench -p devctl
  build_programs
}

finish() { "$KUBELAB" down --lab "$LAB" || warn "the lab could not be ended; try: bin/kubelab down --lab $LAB"; }

lab() {
  "$KUBELAB" up --lab "$LAB" --size "${SIZE[$1]}"
  link_tool kubectl
}

# Without a node nothing is installed but the custom resources: the operator runs as a process that can be measured.
resources() {
  kubectl apply --server-side --filename "$REPO/charts/devserver-platform/crds" >/dev/null
  kubectl wait --for condition=Established --timeout 60s --filename "$REPO/charts/devserver-platform/crds" >/dev/null
}

# sshd: that of this machine, else the program of Debian's package without installing it, because an installed one would
# be started and open a port.
sshd() {
  local folder=$DEVSERVER_CACHE/bench/openssh-server
  if [ -x /usr/sbin/sshd ]; then
    echo /usr/sbin/sshd
    return
  fi
  if [ ! -x "$folder/usr/sbin/sshd" ]; then
    mkdir -p "$folder"
    (cd "$folder" && apt-get download --quiet=2 openssh-server >&2 && dpkg-deb --extract openssh-server_*.deb . && rm openssh-server_*.deb) ||
      die "there is no sshd to measure with; install it with: sudo apt-get install openssh-server"
  fi
  # It says its version and fails, because it knows no such option; without one of its libraries it says something else.
  [[ "$("$folder/usr/sbin/sshd" -V 2>&1 || true)" = *OpenSSH_* ]] ||
    die "$folder/usr/sbin/sshd does not run; install it with: sudo apt-get install openssh-server"
  echo "$folder/usr/sbin/sshd"
}

measure() {
  if [ "$1" = start ]; then
    # The client of the OpenSSH that environments have; the machine's own may be older and exchange keys more slowly.
    images/tools/build.sh "$DEVSERVER_CACHE/bench/tools"
    export DEVSERVER_SSH_CLIENT=$DEVSERVER_CACHE/bench/tools/ssh
  fi
  if [ "$1" = gateway ]; then
    DEVSERVER_SSHD=$(sshd)
    export DEVSERVER_SSHD DEVSERVER_GATEWAY=$PROGRAMS/devserver-gateway
    # Thousands of connections, two descriptors each.
    ulimit -n "$(ulimit -H -n)"
  fi
  DEVSERVER_OPERATOR=$PROGRAMS/devserver-operator DEVSERVER_DEVCTL=$PROGRAMS/devctl "$PROGRAMS/devserver-bench" --output "$RESULTS" "$1"
}

for name in $BENCHES; do
  [ -n "${SIZE[$name]:-}" ] || die "there is no bench $name; there are: $ALL"
done
hack/prerequisites.sh
step "build in release mode" build
RESULTS=bench/results/$(date -u +%Y-%m-%d)-$(git rev-parse --short=8 HEAD 2>/dev/null || echo none).json
trap finish EXIT
for name in $BENCHES; do
  step "lab for $name" lab "$name"
  eval "$("$KUBELAB" env --lab "$LAB")"
  if [ "${SIZE[$name]}" = node ]; then hack/platform.sh --lab "$LAB"; else step "custom resources" resources; fi
  step "measure $name" measure "$name"
  "$KUBELAB" down --lab "$LAB"
done
say "Figures are in $RESULTS; commit them when the machine was otherwise idle."
