#!/usr/bin/env bash
# Launches or removes a development environment (document 003): one Helm release of charts/dev-env in the namespace $NAMESPACE.
# Everything comes in by environment variables: ACTION, ENV_NAME, ACTOR, and for a launch IMAGE, TEAM, MEMORY, CPU, PIP_PACKAGES,
# SSH_ENABLED; the settings of a platform team are in lib.sh. SOURCE_WANTED is set for environments of branches.
set -euo pipefail
# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# ours: whether who asks may change what is there: the owner, an administrator, or the branch it is for.
ours() {
  if [[ -n ${SOURCE_WANTED:-} ]]; then
    [[ $SOURCE == "$SOURCE_WANTED" ]] || fail "the environment $ENV_NAME is not of this branch; it is left alone"
  elif [[ $OWNER != "$(owner_of "$ACTOR")" ]] && ! is_admin "$ACTOR"; then
    fail "the environment $ENV_NAME belongs to somebody else; ask them or an administrator (variable DEV_ENV_ADMINS), or choose another env_name"
  fi
}

# values: the file for Helm, in JSON. Who changes what another has leaves it with its owner.
values() {
  local owner=$1 keys=()
  [[ ${#KEYS[@]} -eq 0 ]] || keys=("${KEYS[@]}")
  printf '{"owner":%s,"team":%s,"image":{"repository":%s},' "$(json "$owner")" "$(json "${TEAM:-}")" "$(json "$IMAGE")"
  printf '"flavor":%s,' "$(json "${FLAVOR:-}")"
  printf '"resources":{"requests":{"memory":%s,"cpu":%s}},' "$(json "$MEMORY")" "$(json "$CPU")"
  printf '"customPackages":{"pip":%s},' "$(json_list "${PACKAGES[@]}")"
  printf '"ssh":{"enabled":%s,"publicKeys":%s,"keysSecret":%s},' "$SSH_ENABLED" "$(json_list "${keys[@]}")" "$(json "${KEYS_SECRET:-}")"
  printf '"dns":{"domain":%s},' "$(json "${DNS_DOMAIN:-}")"
  printf '"annotations":{%s}}\n' "${SOURCE:+$(json "$SOURCE_ANNOTATION"):$(json "$SOURCE")}"
}

check_launch() {
  : "${IMAGE:=}" "${TEAM:=}" "${MEMORY:=256Mi}" "${CPU:=250m}" "${PIP_PACKAGES:=}" "${SSH_ENABLED:=false}" "${KEYS_SECRET:=}" "${DNS_DOMAIN:=}"
  check 'image' "$IMAGE" "$IMAGE_PATTERN" 255 'not a repository of images, such as cthomaspdx1/swish-python3'
  has_entry "$IMAGES" "$IMAGE" || fail "image $IMAGE is not offered; choose one of: $(printable "$IMAGES") (variable DEV_ENV_IMAGES)"
  [[ -z $TEAM ]] || check 'team' "$TEAM" "$LABEL_PATTERN" 63 'letters, digits and -_. only, at most 63, such as genomics'
  check 'memory' "$MEMORY" "$QUANTITY_PATTERN" 20 'not an amount of memory, such as 512Mi or 2Gi'
  check 'cpu' "$CPU" "$QUANTITY_PATTERN" 20 'not an amount of CPU, such as 250m or 1'
  check 'ssh_enabled' "$SSH_ENABLED" '^(true|false)$' 5 'say true or false'
  [[ -z ${FLAVOR:-} ]] || check 'DEV_ENV_FLAVOR' "$FLAVOR" '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' 63 'not the name of a DevServerFlavor'
  [[ -z $KEYS_SECRET ]] || check 'DEV_ENV_KEYS_SECRET' "$KEYS_SECRET" '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' 253 'not the name of a Secret'
  [[ -z $DNS_DOMAIN ]] || check 'DEV_ENV_DNS_DOMAIN' "$DNS_DOMAIN" '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' 136 'not a domain'
  packages "$PIP_PACKAGES"
}

launch() {
  local owner folder
  local -a create=()
  check_launch
  owner=$(owner_of "$ACTOR")
  look "$ENV_NAME"
  if [[ $FOUND == true ]]; then
    ours
    owner=$OWNER
  else
    SOURCE=${SOURCE_WANTED:-}
  fi
  KEYS=()
  [[ $SSH_ENABLED == false || -n $KEYS_SECRET ]] || keys_of "$ACTOR"
  folder=$(mktemp -d)
  # shellcheck disable=SC2064 # now, because it is local
  trap "rm -rf '$folder'" EXIT
  values "$owner" >"$folder/values.json"
  # A runner with few rights finds the namespace made.
  if kubectl auth can-i create namespaces --quiet 2>/dev/null; then create=(--create-namespace); fi
  helm upgrade --install "$ENV_NAME" "$CHART" --namespace "$NAMESPACE" "${create[@]}" --values "$folder/values.json"
  summary '### Environment launched'
  summary "- **Name:** \`$ENV_NAME\`"
  summary "- **Image:** \`$IMAGE\`"
  summary "- **Resources:** $CPU CPU / $MEMORY memory"
  [[ $SSH_ENABLED == false ]] || summary "- **ssh:** \`devctl ssh $ENV_NAME --namespace $NAMESPACE\`${DNS_DOMAIN:+ or \`ssh dev@$ENV_NAME.$DNS_DOMAIN\`}"
  running
}

# running: waits, and shows what there is. The platform says in the message what is missing, with the remedy.
running() {
  local message
  if [[ $WAIT_SECONDS != 0 ]] && ! kubectl wait "devservers.devserver.io/$ENV_NAME" --namespace "$NAMESPACE" --for 'jsonpath={.status.phase}=Running' --timeout "${WAIT_SECONDS}s"; then
    message=$(kubectl get devservers.devserver.io "$ENV_NAME" --namespace "$NAMESPACE" --output 'jsonpath={.status.phase}: {.status.message}')
    summary '- **Status:** not running yet; see the log'
    fail "the environment $ENV_NAME does not run after $WAIT_SECONDS s: $(printable "$message")"
  fi
  kubectl get pods --namespace "$NAMESPACE" --selector "app.kubernetes.io/instance=$ENV_NAME" --watch=false
}

teardown() {
  look "$ENV_NAME"
  if [[ $FOUND == true ]]; then
    ours
  elif ! helm status "$ENV_NAME" --namespace "$NAMESPACE" >/dev/null 2>&1; then
    [[ -n ${SOURCE_WANTED:-} ]] || fail "there is no environment $ENV_NAME in namespace $NAMESPACE"
    summary "### No environment to tear down: \`$ENV_NAME\`"
    return
  fi
  helm uninstall "$ENV_NAME" --namespace "$NAMESPACE" --ignore-not-found
  # Made by hand or by devctl, without a release.
  kubectl delete devservers.devserver.io "$ENV_NAME" --namespace "$NAMESPACE" --ignore-not-found --wait=false
  summary "### Environment torn down: \`$ENV_NAME\`"
  summary "Its home is kept: the claim \`home-$ENV_NAME-0\`. The next environment of this name and owner finds it again."
}

check 'env_name' "${ENV_NAME:-}" "$NAME_PATTERN" 52 "a letter first, then lower case letters, digits and '-', at most 52, such as my-env"
check 'namespace' "$NAMESPACE" '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' 63 'not the name of a namespace'
check 'WAIT_SECONDS' "$WAIT_SECONDS" '^[0-9]+$' 5 'a number of seconds'
check 'actor' "${ACTOR:-}" "$LOGIN_PATTERN" 110 'not a GitHub login'
case ${ACTION:-} in
  launch | teardown) "$ACTION" ;;
  *) fail "action \"$(printable "${ACTION:-}")\": say launch or teardown" ;;
esac
