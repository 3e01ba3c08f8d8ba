#!/usr/bin/env bash
# Checks manifests that this repository ships against the definitions of their kinds, strictly: Karpenter's, as its Go modules hold them, and
# our own. Kinds of Kubernetes itself are applied to a real API server by the tests (tests/install).
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$REPO"
KUBECONFORM=$("$KUBELAB" tools kubeconform | tail -n 1)
SCHEMAS_TOOL=$("$KUBELAB" tools crd-schemas | tail -n 1)
SCHEMAS=$(mktemp -d)
trap 'rm -rf "$SCHEMAS"' EXIT
export GOTOOLCHAIN=local GOFLAGS=

# module PATH VERSION SUM: the folder of a Go module, whose content is the one that is pinned here.
module() {
  local answer
  answer=$(cd "$SCHEMAS" && go mod download -json "$1@$2") || die "the Go module $1@$2 could not be fetched: $answer"
  grep -qF "\"Sum\": \"$3\"" <<<"$answer" || die "the Go module $1@$2 is not the one that is pinned in hack/manifests.sh"
  sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$answer"
}

printf 'module manifests\n' >"$SCHEMAS/go.mod"
karpenter=$(module sigs.k8s.io/karpenter v1.14.0 h1:+SXlqYNb9FIKRpDgPPRnphVmWbrWLw4tgzKezr372Mc=)
aws=$(module github.com/aws/karpenter-provider-aws v1.14.0 h1:QVQ947vQKzxM87aDbpZBtUnlVRVcU75c/RMlgVyX7nc=)
"$SCHEMAS_TOOL" "$SCHEMAS" "$karpenter"/pkg/apis/crds/*.yaml "$aws"/pkg/apis/crds/*.yaml charts/devserver-platform/crds/*.yaml

conform() {
  "$KUBECONFORM" -strict -summary -skip Namespace,ConfigMap,StorageClass,PersistentVolume,PersistentVolumeClaim \
    -schema-location "$SCHEMAS/{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json" "$@"
}
conform deploy/karpenter examples charts/devservers/tests charts/dev-env/tests >"$SCHEMAS/out" || die "a manifest is not what its definition says:
$(cat "$SCHEMAS/out")"

# A check that cannot fail proves nothing.
wrong() { if conform - <<<"$1" >"$SCHEMAS/wrong" 2>&1; then die "kubeconform accepts what is wrong: $1"; fi; }
for change in 's/consolidateAfter: 300s/consolidateAfter: soon/' 's/nodeClassRef/nodeClass/' 's/    consolidateAfter/    ttlSecondsAfterEmpty: 300\n    consolidateAfter/'; do
  wrong "$(sed "$change" deploy/karpenter/team-nodepool.yaml)"
done
wrong "$(sed 's/role:/roles:/' deploy/karpenter/nodeclasses.yaml)"
say "    $(tail -n 1 "$SCHEMAS/out")"
