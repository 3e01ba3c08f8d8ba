#!/usr/bin/env bash
# How the runner reaches the cluster: by the kubeconfig in KUBECONFIG_DATA (a secret of the repository), or as what it is anyway: a pod with
# a ServiceAccount, or a machine with a kubeconfig. `kubeconfig.sh remove` takes the secret off the runner again.
set -euo pipefail
# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
FILE=${RUNNER_TEMP:?}/dev-env.kubeconfig

if [[ ${1:-} == remove ]]; then
  rm -f "$FILE"
  exit
fi
for tool in kubectl helm; do
  command -v "$tool" >/dev/null || fail "the runner has no $tool; install it into the runner's image"
done
if [[ -n ${KUBECONFIG_DATA:-} ]]; then
  rm -f "$FILE"
  (umask 077 && printf '%s\n' "$KUBECONFIG_DATA" >"$FILE")
  printf 'KUBECONFIG=%s\n' "$FILE" >>"${GITHUB_ENV:?}"
elif [[ ! -r /var/run/secrets/kubernetes.io/serviceaccount/token && -z ${KUBECONFIG:-} && ! -r ${HOME:-}/.kube/config ]]; then
  fail 'the runner is no pod with a ServiceAccount and has no kubeconfig; give it one of them, or set the secret DEV_ENV_KUBECONFIG'
fi
