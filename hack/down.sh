#!/usr/bin/env bash
# make down: ends what `make up` started, and checks that nothing is left of it.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
: "${CLUSTER:=lab}"

# The operator goes last, so that what it made is gone before it.
remove_from_existing() {
  local helm
  kubectl --namespace default delete devservers my-dev-server --ignore-not-found --timeout 60s
  helm=$(helm_path)
  "$helm" uninstall devserver --namespace devserver-system --ignore-not-found --wait
  kubectl delete namespace devserver-system --ignore-not-found
  say "Kept, because other DevServers would be deleted with them: the custom resource definitions (kubectl delete -f charts/devserver-platform/crds)"
  say "Kept, because it is your data: the home volume (kubectl --namespace default delete pvc home-my-dev-server-0)"
}

need_kubelab
if [ "$CLUSTER" = existing ]; then
  step "remove the platform" remove_from_existing
else
  step "stop the lab" "$KUBELAB" down
  step "check that nothing is left" "$KUBELAB" down --check
fi
