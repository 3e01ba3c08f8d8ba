#!/usr/bin/env bash
# Follows "The first five minutes" of README.md in the cluster of KUBECONFIG, where the platform is installed and `make up` made its example: each
# line after "$ " is run, and must print the lines after it. Times are taken for equal; a command whose lines begin with "error:" must fail.
# ssh reads the account's own ~/.ssh, whatever HOME says; so this runs where that is an empty folder. Ends with "N passed, M failed".
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
[ -n "${KUBECONFIG:-}" ] || die "KUBECONFIG names no cluster"
[ "$(id -u)" = 0 ] || die "this needs root, for a ~/.ssh of its own"
SSH=$(getent passwd "$(id -u)" | cut -d: -f6)/.ssh
if [ "${1:-}" != inside ]; then
  need_kubelab
  mkdir -p "$SSH"
  exec unshare --mount --propagation private "$0" inside
fi
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -m 700 "$WORK/ssh"
mount --bind "$WORK/ssh" "$SSH"
export PATH=$REPO/bin:$PATH DEVCTL_CONFIG_DIR=$WORK/devctl NO_COLOR=1
cd "$REPO"
kubectl apply --server-side --field-manager devserver-example --filename examples/cpu-small.yaml >/dev/null
ssh-keygen -q -t ed25519 -N '' -f "$SSH/id_ed25519"
devctl create my-dev-server --namespace default --owner user@example.com --flavor cpu-small --ttl 8h \
  --ssh-public-key-file "$SSH/id_ed25519.pub" --wait --timeout 5m

# commands: 01.sh and 01.text, 02.sh, …; comments behind a command are none of it.
awk -v folder="$WORK" '
  /^```console$/ { inside = 1; next }
  /^```/ { inside = 0; next }
  inside && /^\$ / { base = sprintf("%s/%02d", folder, ++count); sub(/^\$ /, ""); print >(base ".sh"); next }
  inside && NF { print >(base ".text") }
' README.md

# plain: times as one word, and no columns.
plain() { sed -E 's/\b([0-9]+(\.[0-9]+)?[dhms])+\b/TIME/g; s/[[:space:]]+/ /g; s/ $//'; }

passed=0
for file in "$WORK"/*.sh; do
  wanted=${file%.sh}.text output=${file%.sh}.output status=0
  touch "$wanted"
  say "${BOLD}\$ $(cat "$file")${PLAIN}"
  bash -euo pipefail "$file" </dev/null 2>&1 | tee "$output" || status=$?
  lacks=$(plain <"$wanted" | while IFS= read -r line; do plain <"$output" | grep --quiet --fixed-strings -- "$line" || printf '%s\n' "$line"; done)
  if grep --quiet '^error:' "$wanted"; then
    [ "$status" != 0 ] || lacks+='a failure'
  elif [ "$status" != 0 ]; then
    lacks+="an end without an error ($status)"
  fi
  if [ -n "$lacks" ]; then
    printf '%d passed, 1 failed\n' "$passed"
    die "README.md: $(cat "$file") lacks: $lacks"
  fi
  passed=$((passed + 1))
done
[ "$passed" -ge 10 ] || die "README.md has $passed commands only; were they marked otherwise?"
for server in my-dev-server wrong; do devctl delete "$server" --namespace default --yes --wait >/dev/null; done
printf '%d passed, 0 failed\n' "$passed"
