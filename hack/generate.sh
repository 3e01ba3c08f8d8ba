#!/usr/bin/env bash
# make generate: everything that is committed and made from something else.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"

crds() { (cd "$REPO" && "$CARGO_TARGET_DIR/debug/crdgen" charts/devserver-platform/crds); }

# reference: fields, commands, metrics and values, as docs/reference has them. devctl is built first: its own words are asked for.
reference() {
  (cd "$REPO" && UPDATE_GOLDEN=1 DEVSERVER_DEVCTL=$DEVCTL cargo test --quiet --locked --workspace --test deps -- reference)
}

step "build programs" build_workspace
step "custom resource definitions" crds
step "rules of Prometheus, as objects" "$REPO/hack/monitoring.sh" --update
step "golden file of the chart" "$REPO/hack/chart.sh" --update
step "golden files and tables of the charts of environments" "$REPO/hack/environment-charts.sh" --update
step "reference pages" reference
