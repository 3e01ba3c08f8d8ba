#!/usr/bin/env bash
# make test: the rings of tests, cheap ones first, each in a lab of its own that is gone afterwards.
# RINGS="1 2" selects. Ends with a table and, as the last line, "N passed, M failed".
#   1  unit, golden and property tests, in seconds; then 1b, what starts processes: agent, ledgers, gateway, and the startup script
#      in images of all kinds   (no Kubernetes)
#   2  API, behaviour and faults against a real control plane
#   3  a real node: pods, ssh, volumes
#   4  nightly: every test that is marked as too long for each change
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=hack/test-lib.sh
. "$(dirname "$0")/test-lib.sh"
: "${RINGS:=1 2 3}"
RING1_SECONDS=10
# What ring 4 upgrades from: a tag or commit.
: "${UPGRADE_FROM:=HEAD~1}"
# Compiled and run with the same words: another selection of packages would mean other features, and compiling twice.
CRATES=(cargo test --locked --no-fail-fast --workspace --exclude devserver-e2e)
E2E=(cargo test --locked --no-fail-fast -p devserver-e2e)
BEHAVIOUR_TESTS=(--test deps --test api --test server --test security --test install --test console)

# unit_targets: everything in the crates but kubelab's own tests, which start labs and so belong to rings 2 and 3. SMALL and PURE
# are for each edit: units, and what is read, computed and compared. AGENT, LEDGER and GATEWAY start programs, databases and servers.
unit_targets() {
  local file name all
  SMALL=(--lib) PURE=() AGENT=(--bin devserver-agent) LEDGER=() GATEWAY=()
  for name in devserver-operator devserver-gateway devserver-console devctl crdgen; do SMALL+=(--bin "$name"); done
  # A test is a file, or a folder with main.rs. Two of one name would both run where one of them is asked for.
  for file in "$REPO"/crates/*/tests/*.rs "$REPO"/crates/*/tests/*/main.rs; do
    name=${file%/main.rs} name=$(basename "$name" .rs)
    all=" ${SMALL[*]} ${PURE[*]} ${AGENT[*]} ${LEDGER[*]} ${GATEWAY[*]} "
    [[ $all != *" --test $name "* ]] || die "two crates have a test called $name; rename ${file#"$REPO"/}"
    case $file in
      */kubelab/tests/*) ;;
      */agent/tests/*) AGENT+=(--test "$name") ;;
      */usage/tests/*) LEDGER+=(--test "$name") ;;
      */gateway/tests/*) GATEWAY+=(--test "$name") ;;
      *) PURE+=(--test "$name") ;;
    esac
  done
}

# small_and_pure: beside each other, because the former mostly wait and the latter mostly compute; told one after the other.
small_and_pure() {
  local status=0 log
  log=$(mktemp)
  "${CRATES[@]}" "${SMALL[@]}" >"$log" 2>&1 &
  "${CRATES[@]}" "${PURE[@]}" || status=$?
  wait $! || status=$?
  cat "$log"
  rm "$log"
  return "$status"
}

programs() { (cd "$REPO" && cargo build --locked --bins --workspace) && build_programs; }

ring1() {
  local started=$SECONDS
  tests 1 'unit, golden, property' small_and_pure
  started=$((SECONDS - started))
  [ "$started" -le $RING1_SECONDS ] || warn "ring 1 took $started s; it should take at most $RING1_SECONDS s on an idle machine"
  lanes gateway agent ledger startup_script
}

gateway() { tests 1b gateway "${CRATES[@]}" "${GATEWAY[@]}"; }
agent() { tests 1b agent "${CRATES[@]}" "${AGENT[@]}"; }
ledger() { tests 1b ledger "${CRATES[@]}" "${LEDGER[@]}"; }
startup_script() {
  if [ "$(id -u)" = 0 ]; then tests 1b 'startup script' "$REPO/images/tools/tests/startup-test.sh"
  else warn "not root: the startup script's own test (images/tools/tests) was not run"; fi
}

# What is built once comes first: tests with deadlines do not pass beside a compiler that has every core.
# Nearly all of such a test is waiting, so more threads than cores (tests/README.md). The faults have a control plane of their own: they
# count each write, and nodes and default flavors of others would make some.
ring2() {
  stage 2 'build Kubernetes and tools' "$KUBELAB" tools --size control-plane --size crowd helm kubectl prometheus dex
  lanes faults behaviour once_in_a_cluster
}

faults() {
  lab_up faults 2 control-plane
  RUST_TEST_THREADS=8 DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 2 'faults and crashes' "${E2E[@]}" --test fault
  lab_down faults 2
}

behaviour() {
  lab_up ring2 2 control-plane
  RUST_TEST_THREADS=8 DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 2 'API, behaviour, attacks' "${E2E[@]}" "${BEHAVIOUR_TESTS[@]}"
  lab_down ring2 2
}

once_in_a_cluster() {
  KUBELAB_TEST=1 tests 2 'kubelab: control planes' "${CRATES[@]}" --test control_plane
  lab_up kustomize 2 control-plane
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 2 'kubectl apply -k' "${E2E[@]}" --test kustomize
  lab_down kustomize 2
}

# upgrade RING LAB [ARGUMENT…]: the platform that hack/upgrade.sh installs becomes that of this checkout, while people work.
upgrade() {
  stage "$1" 'a platform to upgrade' "$REPO/hack/upgrade.sh" --lab "$2" "${@:3}"
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG DEVSERVER_UPGRADE_TAG=next tests "$1" 'node: upgrade, rollback, removal' "${E2E[@]}" --test node -- --ignored --nocapture an_upgrade
}

# What is built once comes first here, too: it is told of, and the lanes find it made. Installing packages keeps one core busy, so the
# compilers work beside it.
ring3() {
  stage 3 'build Kubernetes for a node' "$KUBELAB" tools --size node helm kubectl dex
  lanes compiled_images installed_images
  lanes people alone newcomers
}

compiled_images() { stage 3 'build images of programs' "$KUBELAB" images build tools operator gateway console; }
installed_images() { stage 3 'build images of packages' "$KUBELAB" images build base busybox editor docker ide; }

# A cluster with many people in it.
people() {
  lab_up ring3 3 node
  stage 3 'images and chart' "$REPO/hack/platform.sh" --lab ring3
  stage 3 'images busybox and ide' "$KUBELAB" images load --lab ring3 busybox ide
  tests 3 'the first five minutes of the README' "$REPO/hack/readme.sh"
  # Mostly waiting: more at once than there are cores.
  RUST_TEST_THREADS=4 DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'node: pods, ssh, volumes' "${E2E[@]}" --test node
  # After the others: the console changes what the operator lets in.
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'a person at a browser' "${E2E[@]}" --test browser
  lab_down ring3 3
}

# What changes the platform itself, one after the other.
alone() {
  lab_up alone 3 node
  stage 3 'images and chart, for the ladder' "$REPO/hack/platform.sh" --lab alone
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'node: the ladder, in seconds' "${E2E[@]}" --test node -- --ignored --nocapture the_whole_ladder
  # Ends with the removal of the platform, which the next stage installs anew.
  upgrade 3 alone
  VALUES=$REPO/charts/devserver-platform/ci/init-container-values.yaml stage 3 'chart without image volumes' "$REPO/hack/platform.sh" --lab alone
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'node: tools by init container' "${E2E[@]}" --test node -- --ignored fallback
  lab_down alone 3
}

# Clusters that have nothing of us. Two, because of the first flavors stay, and a cluster has one default.
newcomers() {
  lab_up newcomer 3 node
  stage 3 'images alone' "$KUBELAB" images load --lab newcomer tools base operator
  REGISTRY=docker.io/devserver TAG=lab tests 3 "a newcomer's path" "$REPO/hack/newcomer.sh"
  lab_down newcomer 3
  lab_up document-004 3 node
  stage 3 'images of document 004' "$REPO/hack/load-images.sh" --lab document-004 --tag "$(app_version)" tools base operator editor docker ide
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'node: kubectl apply -k' "${E2E[@]}" --test node -- --ignored --nocapture one_command
  lab_down document-004 3
  KUBELAB_TEST=1 tests 3 'kubelab: nodes' "${CRATES[@]}" --test node --test policy
}

ring4() {
  tests 4 'what a release says of its images' "$REPO/hack/vouch.sh"
  tests 4 'gateway: ten minutes of what nobody means' "${CRATES[@]}" --test gateway -- --ignored --nocapture
  tests 4 'ledger: a month of ten thousand' "${CRATES[@]}" --test month -- --ignored --nocapture
  lab_up ring4-node 4 node
  stage 4 'images and chart' "$REPO/hack/platform.sh" --lab ring4-node
  stage 4 'images of data science' "$KUBELAB" images load --lab ring4-node python3 r python2
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG RUST_TEST_THREADS=1 tests 4 'nightly: node' "${E2E[@]}" --test node -- --ignored --nocapture gibibytes hundred_sessions quarter_of_an_hour data_science
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 4 'nightly: browser' "${E2E[@]}" --test browser -- --ignored --nocapture
  lab_down ring4-node 4
  lab_up ring4-upgrade 4 node
  upgrade 4 ring4-upgrade --from "$UPGRADE_FROM"
  lab_down ring4-upgrade 4
  lab_up ring4 4 control-plane
  # A thousand websockets, both ends of each.
  ulimit -n "$(ulimit -H -n)"
  DEVSERVER_TEST_KUBECONFIG=/run/kubelab/ring4/admin.kubeconfig tests 4 'nightly' "${E2E[@]}" "${BEHAVIOUR_TESTS[@]}" --test fault -- --ignored
  lab_down ring4 4
}

for ring in $RINGS; do
  [[ $ring == [1-4] ]] || die "there is no ring $ring; RINGS is a list of 1, 2, 3 and 4"
done
rm -rf "$ARTIFACTS"
mkdir -p "$ARTIFACTS"
trap finish EXIT
trap 'exit 130' INT TERM
cd "$REPO"
# Whatever cluster you work with is none of the tests' business.
unset KUBECONFIG
# Control planes of the labs, and the Go compiler: a tenth of their work is collecting garbage, for which memory can be had instead.
export GOGC=${GOGC:-200}
stage - 'check this machine' "$REPO/hack/prerequisites.sh" "$REPO/tests/packages"
stage - 'compile' programs
unit_targets
stage - 'compile unit tests' "${CRATES[@]}" "${SMALL[@]}" "${PURE[@]}" "${AGENT[@]}" "${LEDGER[@]}" "${GATEWAY[@]}" --no-run
[ "$RINGS" = 1 ] || stage - 'compile end-to-end tests' "${E2E[@]}" --no-run
PATH=$REPO/bin:$PATH
export DEVSERVER_OPERATOR=$CARGO_TARGET_DIR/debug/devserver-operator DEVSERVER_DEVCTL=$DEVCTL
for ring in $RINGS; do "ring$ring"; done
