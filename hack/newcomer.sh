#!/usr/bin/env bash
# Follows docs/start-cluster.md word for word, as somebody who has the cluster of KUBECONFIG, helm, kubectl and devctl, a home with nothing in it, and the
# images at $REGISTRY with the tag $TAG. Each block marked "sh" is a test: it must succeed, and print each line of the block "text" after it.
# The cluster must not have the platform, and has it no more afterwards. Ends with "N passed, M failed".
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
PAGE=$REPO/docs/start-cluster.md
[ -n "${KUBECONFIG:-}" ] || die "KUBECONFIG names no cluster"
: "${REGISTRY:?where the images are, as docs/start-cluster.md says}" "${TAG:?the tag of the images, as docs/start-cluster.md says}"
need_kubelab
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir "$WORK/bin" "$WORK/home"
ln -s "$(helm_path)" "$WORK/bin/helm"
ln -s "$(command -v kubectl)" "$WORK/bin/kubectl"
ln -s "$DEVCTL" "$WORK/bin/devctl"

# blocks: the page's blocks as files 01.sh, 01.text, 02.sh, …
blocks() {
  awk -v folder="$WORK" '
    /^```sh$/ { file = sprintf("%s/%02d.sh", folder, ++count); next }
    /^```text$/ { file = sprintf("%s/%02d.text", folder, count); next }
    /^```/ { file = ""; next }
    file != "" { print >file }
  ' "$PAGE"
}

# run FILE: as typed into a shell that stops at the first failure.
run() {
  env -i HOME="$WORK/home" PATH="$WORK/bin:/usr/bin:/bin:/usr/sbin:/sbin" KUBECONFIG="$KUBECONFIG" REGISTRY="$REGISTRY" TAG="$TAG" NO_COLOR=1 \
    bash -euo pipefail "$1" </dev/null 2>&1
}

# missing OUTPUT WANTED: lines that should be there and are not.
missing() {
  local line
  while IFS= read -r line; do
    grep --quiet --fixed-strings -- "$line" "$1" || printf '%s\n' "$line"
  done <"$2"
}

blocks
passed=0
cd "$REPO"
for file in "$WORK"/*.sh; do
  wanted=${file%.sh}.text output=${file%.sh}.output lacks=''
  say "${BOLD}\$ $(sed 's/^/  /; 1s/^  //' "$file")${PLAIN}"
  if ! run "$file" | tee "$output"; then lacks='an end without an error'; fi
  [ -n "$lacks" ] || [ ! -f "$wanted" ] || lacks=$(missing "$output" "$wanted")
  if [ -n "$lacks" ]; then
    printf '%d passed, 1 failed\n' "$passed"
    die "docs/start-cluster.md: the block above lacks: $lacks"
  fi
  passed=$((passed + 1))
done
[ "$passed" -ge 6 ] || die "docs/start-cluster.md has $passed blocks only; were they marked otherwise?"
printf '%d passed, 0 failed\n' "$passed"
