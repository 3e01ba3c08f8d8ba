#!/usr/bin/env bash
# make generate: everything that is committed and made from something else.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"

crds() { (cd "$REPO" && cargo run --quiet --locked -p devserver-api --bin crdgen -- charts/devserver-platform/crds); }

need_kubelab
step "custom resource definitions" crds
step "golden file of the chart" "$REPO/hack/chart.sh" --update
