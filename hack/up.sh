#!/usr/bin/env bash
# make up: from nothing to a machine you can ssh into. Every stage skips what is there already, so that doing it again takes
# seconds. CLUSTER=existing uses the cluster of KUBECONFIG instead of the lab.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
: "${CLUSTER:=lab}"
export CLUSTER
SERVER=my-dev-server
NAMESPACE=default
STARTED=$SECONDS

start_lab() {
  "$KUBELAB" up --size node
  link_tool kubectl
}

check_existing() {
  [ -n "${KUBECONFIG:-}" ] || [ -f "$HOME/.kube/config" ] ||
    die "CLUSTER=existing uses the cluster of KUBECONFIG, which is not set, and $HOME/.kube/config is not there either"
  command -v kubectl >/dev/null || die "kubectl is missing; see https://kubernetes.io/docs/tasks/tools"
  kubectl version >/dev/null || die "the cluster of KUBECONFIG does not answer; see why with: kubectl version"
  if [ -n "${REGISTRY:-}" ]; then
    "$REPO/hack/images.sh"
  else
    say "    images are expected where the chart's values say; to build and push your own: make up CLUSTER=existing REGISTRY=registry.example.com/devserver"
  fi
}

# public_key: the key ssh offers by itself; made only when there is none at all, and nothing is ever overwritten.
# ssh looks in the home that the account has, whatever HOME says (sudo may leave another's).
public_key() {
  local file home
  home=$(getent passwd "$(id -u)" | cut -d: -f6)
  for file in "$home"/.ssh/id_ed25519 "$home"/.ssh/id_ecdsa "$home"/.ssh/id_rsa; do
    if [ -f "$file" ] && [ -f "$file.pub" ]; then
      printf '%s\n' "$file.pub"
      return
    fi
  done
  file=$home/.ssh/id_ed25519
  if [ -e "$file" ] || [ -e "$file.pub" ]; then
    die "$file and $file.pub do not both exist; make the public half with: ssh-keygen -y -f $file > $file.pub"
  fi
  install --directory --mode=700 "$home/.ssh"
  ssh-keygen -q -t ed25519 -N '' -C "$(id -un)@$(uname -n)" -f "$file"
  warn "you had no ssh key: made $file, without a passphrase"
  printf '%s\n' "$file.pub"
}

# The example of the documentation with two changes: your key, and the platform's own image, because a lab fetches none.
create_example() {
  local key
  kubectl apply --server-side --field-manager devserver-example --filename "$REPO/examples/cpu-small.yaml" >/dev/null
  if kubectl --namespace "$NAMESPACE" get devservers "$SERVER" >/dev/null 2>&1; then
    # Says at once what keeps it from running, if something does.
    "$DEVCTL" resume "$SERVER" --namespace "$NAMESPACE" --wait --timeout 3m ||
      die "$SERVER exists and is not ready; remove it and run this again, or see more with: bin/devctl describe $SERVER"
  else
    key=$(public_key)
    "$DEVCTL" create "$SERVER" --namespace "$NAMESPACE" --owner user@example.com \
      --flavor cpu-small --ttl 8h --ssh-public-key-file "$key" --wait --timeout 5m
  fi
}

next_steps() {
  local environment="eval \"\$(make -s env)\""
  [ "$CLUSTER" = lab ] || environment="eval \"\$(make -s env CLUSTER=existing)\""
  cat <<NEXT

${BOLD}$SERVER is running${PLAIN} ($((SECONDS - STARTED)) s). What next:

  $environment
  devctl ssh $SERVER                   # a shell as dev; doas runs a command as root
  devctl list                                # your machines
  devctl config ssh-include enable           # once: plain ssh, scp, rsync, VS Code and JetBrains work too
  devctl create another --ttl 2h --wait      # another machine
  kubectl get devservers,devserverflavors    # the same through Kubernetes
  devctl delete $SERVER                # the machine goes, its home volume stays

NEXT
  if [ "$CLUSTER" = lab ]; then
    say "  make test                                  # all tests, in labs of their own"
    say "  make down                                  # stops the lab and leaves nothing"
    say ""
    say "It is examples/my-dev-server.yaml with your own key, and without its image: the lab fetches nothing from registries,"
    say "so this one runs the platform's own image (Debian)."
  else
    say "  make down CLUSTER=existing                 # removes the example and the platform"
  fi
}

step "check this machine" "$REPO/hack/prerequisites.sh"
step "build kubelab and devctl" build_programs
if [ "$CLUSTER" = lab ]; then
  step "start Kubernetes" start_lab
  eval "$("$KUBELAB" env)"
  "$REPO/hack/platform.sh" --lab dev
elif [ "$CLUSTER" = existing ]; then
  step "find the cluster" check_existing
  "$REPO/hack/platform.sh"
else
  die "CLUSTER is $CLUSTER; it must be lab (a Kubernetes on this machine) or existing (the cluster of KUBECONFIG)"
fi
step "create $SERVER" create_example
next_steps
