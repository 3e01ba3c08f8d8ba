#!/usr/bin/env bash
# make -s env: prints what a shell evaluates, and nothing else: PATH with this project's programs, KUBECONFIG of the lab.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
[ -x "$KUBELAB" ] || die "nothing is built yet; start with: make up"
"$KUBELAB" env --cluster "${CLUSTER:-lab}"
