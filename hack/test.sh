#!/usr/bin/env bash
# make test: the rings of tests, cheap ones first, each in a lab of its own that is gone afterwards.
# RINGS="1 2" selects. Ends with a table and, as the last line, "N passed, M failed".
#   1  unit, golden and property tests, in seconds; then 1b, what starts processes: agent, ledgers, gateway, and the startup script
#      in images of all kinds   (no Kubernetes)
#   2  API, behaviour and faults against a real control plane
#   3  a real node: pods, ssh, volumes
#   4  nightly: every test that is marked as too long for each change, with images as they are released
# In the images of rings 1 to 3 the servers are those of the dev profile, which are compiled anyway: the others take as long as a ring.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=hack/test-lib.sh
. "$(dirname "$0")/test-lib.sh"
: "${RINGS:=1 2 3}"
RING1_SECONDS=10
BUILT=no
# What ring 4 upgrades from: a tag or commit.
: "${UPGRADE_FROM:=HEAD~1}"
# Compiled and run with the same words: another selection of packages would mean other features, and compiling twice.
TEST=(cargo test --locked --no-fail-fast --workspace)
BEHAVIOUR_TESTS=(--test deps --test api --test server --test security --test install --test console)

# targets: UNIT is everything in the crates, of which SMALL and PURE are for each edit: units, and what is read, computed and compared.
# AGENT, LEDGER and GATEWAY start programs, databases and servers. CLUSTER starts labs or is in them, and belongs to rings 2 and 3.
targets() {
  local file name all
  SMALL=(--lib) PURE=() AGENT=(--bin devserver-agent) LEDGER=() GATEWAY=() CLUSTER=()
  for name in devserver-operator devserver-gateway devserver-console devctl crdgen; do SMALL+=(--bin "$name"); done
  # A test is a file, or a folder with main.rs. Two of one name would both run where one of them is asked for.
  for file in "$REPO"/tests/*/main.rs "$REPO"/crates/*/tests/*.rs "$REPO"/crates/*/tests/*/main.rs; do
    name=${file%/main.rs} name=$(basename "$name" .rs)
    all=" ${PURE[*]} ${AGENT[*]} ${LEDGER[*]} ${GATEWAY[*]} ${CLUSTER[*]} "
    [[ $all != *" --test $name "* ]] || die "two packages have a test called $name; rename ${file#"$REPO"/}"
    case $file in
      "$REPO"/tests/* | */kubelab/tests/*) CLUSTER+=(--test "$name") ;;
      */agent/tests/*) AGENT+=(--test "$name") ;;
      */usage/tests/*) LEDGER+=(--test "$name") ;;
      */gateway/tests/*) GATEWAY+=(--test "$name") ;;
      *) PURE+=(--test "$name") ;;
    esac
  done
  UNIT=("${SMALL[@]}" "${PURE[@]}" "${AGENT[@]}" "${LEDGER[@]}" "${GATEWAY[@]}")
}

# small_and_pure: beside each other, because the former mostly wait and the latter compute, and most of these end with one long property;
# told one after the other.
small_and_pure() {
  local status=0 logs at odd=() even=()
  # Each is two words: --test and its name.
  for ((at = 0; at < ${#PURE[@]}; at += 4)); do
    odd+=("${PURE[@]:at:2}") even+=("${PURE[@]:at+2:2}")
  done
  logs=$(mktemp --directory)
  "${TEST[@]}" "${SMALL[@]}" >"$logs/small" 2>&1 &
  local small=$!
  "${TEST[@]}" "${even[@]}" >"$logs/even" 2>&1 &
  "${TEST[@]}" "${odd[@]}" || status=$?
  wait $! || status=$?
  wait "$small" || status=$?
  cat "$logs"/*
  rm -r "$logs"
  return "$status"
}

ring1() {
  local started=$SECONDS
  tests 1 'unit, golden, property' small_and_pure
  started=$((SECONDS - started))
  [ "$started" -le $RING1_SECONDS ] || warn "ring 1 took $started s; it should take at most $RING1_SECONDS s on an idle machine"
  if [ "$(id -u)" = 0 ]; then builds
  else warn "not root: the startup script's own test (images/tools/tests) is not run"; fi
  lanes gateway agent ledger startup_script
}

# builds: what is made once, for all rings that were asked for, and before their tests: those with deadlines do not pass beside compilers. All of it
# at once, because installing packages and linking leave a core to others.
builds() {
  local lanes=(compiled_images installed_images)
  [ "$BUILT" = no ] || return 0
  BUILT=yes COMPILED=(tools) INSTALLED=(base busybox) KUBERNETES=(helm kubectl dex)
  if [[ " $RINGS " == *' 2 '* ]]; then KUBERNETES+=(prometheus --size control-plane --size crowd); fi
  if [[ " $RINGS " == *' 3 '* ]]; then
    COMPILED+=(operator gateway console) INSTALLED+=(editor docker) KUBERNETES+=(stern --size node)
  fi
  if [[ $RINGS == *[23]* ]]; then lanes+=(kubernetes); fi
  lanes "${lanes[@]}"
  # Of a base that is installed and programs that are built.
  if [[ " $RINGS " == *' 3 '* ]]; then stage - 'build image ide' "$KUBELAB" images build ide; fi
}

compiled_images() { stage - 'build images of programs' "$KUBELAB" images build "${COMPILED[@]}"; }
installed_images() { stage - 'build images of packages' "$KUBELAB" images build "${INSTALLED[@]}"; }
kubernetes() { stage - 'build Kubernetes and tools' "$KUBELAB" tools "${KUBERNETES[@]}"; }

gateway() { tests 1b gateway "${TEST[@]}" "${GATEWAY[@]}"; }
agent() { tests 1b agent "${TEST[@]}" "${AGENT[@]}"; }
ledger() { tests 1b ledger "${TEST[@]}" "${LEDGER[@]}"; }
startup_script() {
  local archives
  [ "$(id -u)" = 0 ] || return 0
  mapfile -t archives < <("$KUBELAB" images build tools busybox base)
  TOOLS_ROOTFS=${archives[0]:-} BUSYBOX_ROOTFS=${archives[1]:-} BASE_ROOTFS=${archives[2]:-} tests 1b 'startup script' "$REPO/images/tools/tests/startup-test.sh"
}

# Nearly all of such a test is waiting, so more threads than cores (tests/README.md). The faults have a control plane of their own: they
# count each write, and nodes and default flavors of others would make some.
ring2() {
  builds
  lanes faults behaviour once_in_a_cluster
}

faults() {
  lab_up faults 2 control-plane
  RUST_TEST_THREADS=8 DEVSERVER_TEST_THROWAWAY=1 DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 2 'faults and crashes' "${TEST[@]}" --test fault
  lab_down faults 2
}

behaviour() {
  lab_up ring2 2 control-plane
  RUST_TEST_THREADS=8 DEVSERVER_TEST_THROWAWAY=1 DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 2 'API, behaviour, attacks' "${TEST[@]}" "${BEHAVIOUR_TESTS[@]}"
  lab_down ring2 2
}

once_in_a_cluster() {
  KUBELAB_TEST=1 tests 2 'kubelab: control planes' "${TEST[@]}" --test control_plane
  lab_up kustomize 2 control-plane
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 2 'kubectl apply -k' "${TEST[@]}" --test kustomize
  lab_down kustomize 2
}

# upgrade RING LAB [ARGUMENT…]: the platform that hack/upgrade.sh installs becomes that of this checkout, while people work.
upgrade() {
  stage "$1" 'a platform to upgrade' "$REPO/hack/upgrade.sh" --lab "$2" "${@:3}"
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG DEVSERVER_UPGRADE_TAG=next tests "$1" 'node: upgrade, rollback, removal' "${TEST[@]}" --test node -- --ignored --nocapture an_upgrade
}

ring3() {
  builds
  lanes people alone newcomers
}

# A cluster with many people in it.
people() {
  lab_up ring3 3 node
  stage 3 'images and chart' "$REPO/hack/platform.sh" --lab ring3
  stage 3 'images busybox and ide' "$KUBELAB" images load --lab ring3 busybox ide
  tests 3 'the first five minutes of the README' "$REPO/hack/readme.sh"
  # Mostly waiting: more at once than there are cores.
  RUST_TEST_THREADS=4 DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'node: pods, ssh, volumes' "${TEST[@]}" --test node
  # After the others: the console changes what the operator lets in.
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'a person at a browser' "${TEST[@]}" --test browser
  lab_down ring3 3
}

# What changes the platform itself, one after the other.
alone() {
  lab_up alone 3 node
  stage 3 'images and chart, for the ladder' "$REPO/hack/platform.sh" --lab alone
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'node: the ladder, in seconds' "${TEST[@]}" --test node -- --ignored --nocapture the_whole_ladder
  # Ends with the removal of the platform, which the next stage installs anew.
  upgrade 3 alone
  VALUES=$REPO/charts/devserver-platform/ci/init-container-values.yaml stage 3 'chart without image volumes' "$REPO/hack/platform.sh" --lab alone
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'node: tools by init container' "${TEST[@]}" --test node -- --ignored fallback
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
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 3 'node: kubectl apply -k' "${TEST[@]}" --test node -- --ignored --nocapture one_command
  lab_down document-004 3
  KUBELAB_TEST=1 tests 3 'kubelab: nodes' "${TEST[@]}" --test one_node --test policy
}

ring4() {
  export DEVSERVER_IMAGE_PROFILE=release
  tests 4 'what a release says of its images' "$REPO/hack/vouch.sh"
  tests 4 'gateway: ten minutes of what nobody means' "${TEST[@]}" --test gateway -- --ignored --nocapture
  tests 4 'ledger: a month of ten thousand' "${TEST[@]}" --test month -- --ignored --nocapture
  lab_up ring4-node 4 node
  stage 4 'images and chart' "$REPO/hack/platform.sh" --lab ring4-node
  stage 4 'images of data science' "$KUBELAB" images load --lab ring4-node python3 r python2
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG RUST_TEST_THREADS=1 tests 4 'nightly: node' "${TEST[@]}" --test node -- --ignored --nocapture gibibytes hundred_sessions quarter_of_an_hour data_science
  DEVSERVER_TEST_KUBECONFIG=$KUBECONFIG tests 4 'nightly: browser' "${TEST[@]}" --test browser -- --ignored --nocapture
  lab_down ring4-node 4
  lab_up ring4-upgrade 4 node
  upgrade 4 ring4-upgrade --from "$UPGRADE_FROM"
  lab_down ring4-upgrade 4
  lab_up ring4 4 control-plane
  # A thousand websockets, both ends of each.
  ulimit -n "$(ulimit -H -n)"
  DEVSERVER_TEST_KUBECONFIG=/run/kubelab/ring4/admin.kubeconfig tests 4 'nightly' "${TEST[@]}" "${BEHAVIOUR_TESTS[@]}" --test fault -- --ignored
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
# Control planes of the labs: a tenth of their work is collecting garbage, for which memory can be had instead.
export GOGC=${GOGC:-200}
export DEVSERVER_IMAGE_PROFILE=${DEVSERVER_IMAGE_PROFILE:-dev}
stage - 'check this machine' "$REPO/hack/prerequisites.sh" "$REPO/tests/packages"
stage - 'compile' build_workspace
targets
stage - 'compile unit tests' "${TEST[@]}" "${UNIT[@]}" --no-run
[ "$RINGS" = 1 ] || stage - 'compile end-to-end tests' "${TEST[@]}" "${CLUSTER[@]}" --no-run
PATH=$REPO/bin:$PATH
export DEVSERVER_OPERATOR=$CARGO_TARGET_DIR/debug/devserver-operator DEVSERVER_DEVCTL=$DEVCTL
for ring in $RINGS; do "ring$ring"; done
