#!/usr/bin/env bash
# Installs or updates the platform in the cluster of KUBECONFIG: images, custom resources, chart. Doing it again without a
# change takes seconds. Usage: hack/platform.sh [--lab NAME]; without a lab the cluster is somebody's own.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"

LAB=''
if [ "${1:-}" = --lab ]; then LAB=$2; fi
NAMESPACE=devserver-system
CHART=$REPO/charts/devserver-platform

# image_inputs IMAGE: 16 hex digits over what the image is made of. The tag stays the same in a lab, so this is what makes new
# pods when the image changed.
image_inputs() {
  local inputs
  mapfile -t inputs < <(sed 's/#.*//' "$REPO/images/$1/inputs" | grep .)
  (cd "$REPO" && find "${inputs[@]}" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
}

load_images() {
  "$KUBELAB" images load --lab "$LAB" tools base operator gateway editor docker
}

apply_crds() {
  # By hand because Helm never updates what is in crds/; server-side because the schemas exceed the annotation
  # that a client-side apply keeps.
  kubectl apply --server-side --force-conflicts --field-manager devserver-platform --filename "$CHART/crds" >/dev/null
  kubectl wait --for condition=Established --timeout 60s --filename "$CHART/crds" >/dev/null
}

ensure_namespace() {
  kubectl create namespace "$NAMESPACE" --dry-run=client --output yaml |
    kubectl label --local --filename - --output yaml pod-security.kubernetes.io/enforce=restricted |
    kubectl apply --server-side --field-manager devserver-platform --filename - >/dev/null
}

# install_chart: every time, because it takes a second and repairs what somebody edited.
install_chart() {
  local helm node arguments=()
  helm=$(helm_path)
  if [ -n "$LAB" ]; then
    # API server, kubelet and etcd of a lab have the node's address.
    node=$(kubectl get nodes --output jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
    arguments+=(--set "gateway.host=$node" --set gateway.direct=true)
    arguments+=(--set "operator.config.networkPolicy.blockedCIDRs={169.254.0.0/16,$node/32}")
    arguments+=(--set "operator.config.kubeAccess.apiServerCIDRs={$node/32}")
    arguments+=(--values "$CHART/ci/lab-values.yaml" --set-string "operator.podAnnotations.devserver\.io/image-inputs=$(image_inputs operator)"
      --set-string "gateway.podAnnotations.devserver\.io/image-inputs=$(image_inputs gateway)"
      --set-string "console.podAnnotations.devserver\.io/image-inputs=$(image_inputs console)")
  else
    [ -z "${REGISTRY:-}" ] || arguments+=(--set-string "images.registry=$REGISTRY")
    [ -z "${TAG:-}" ] || arguments+=(--set-string "images.tag=$TAG")
  fi
  [ -z "${VALUES:-}" ] || arguments+=(--values "$VALUES")
  "$helm" upgrade devserver "$CHART" --install --namespace "$NAMESPACE" --skip-crds --history-max 5 \
    --hide-notes "${arguments[@]}" >/dev/null
}

# wait_rollout DEPLOYMENT
wait_rollout() {
  if ! kubectl --namespace "$NAMESPACE" rollout status "deployment/$1" --timeout 180s; then
    kubectl --namespace "$NAMESPACE" get pods --output wide >&2 || true
    kubectl --namespace "$NAMESPACE" get events --sort-by .lastTimestamp 2>/dev/null | tail -n 15 >&2 || true
    kubectl --namespace "$NAMESPACE" logs "deployment/$1" --tail 20 >&2 || true
    die "$1 did not become ready; the pods, the last events and its log are above"
  fi
}

has_console() { kubectl --namespace "$NAMESPACE" get deployment/devserver-console >/dev/null 2>&1; }
has_gateway() { kubectl --namespace "$NAMESPACE" get deployment/devserver-gateway >/dev/null 2>&1; }

[ -z "$LAB" ] || step "build and load images" load_images
step "custom resource definitions" apply_crds
ensure_namespace
step "install the chart" install_chart
step "operator" wait_rollout devserver-operator
if has_gateway; then step "gateway" wait_rollout devserver-gateway; fi
if has_console; then step "console" wait_rollout devserver-console; fi
