#!/usr/bin/env bash
# Loads images into a lab under a tag of their own besides "lab". Usage: hack/load-images.sh --lab NAME --tag TAG IMAGE…
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
LAB='' TAG=''
while [[ ${1:-} == --* ]]; do
  case $1 in
    --lab) LAB=$2 ;;
    --tag) TAG=$2 ;;
    *) die "unknown option $1; usage: hack/load-images.sh --lab NAME --tag TAG IMAGE…" ;;
  esac
  shift 2
done
if [ -z "$LAB" ] || [ -z "$TAG" ] || [ $# = 0 ]; then die "usage: hack/load-images.sh --lab NAME --tag TAG IMAGE…"; fi
need_kubelab
CTR=$("$KUBELAB" tools ctr | tail -n 1)
"$KUBELAB" images load --lab "$LAB" "$@"
for image in "$@"; do
  said=$("$CTR" --address "/run/kubelab/$LAB/containerd.sock" --namespace k8s.io \
    images tag --force "docker.io/devserver/$image:lab" "docker.io/devserver/$image:$TAG" 2>&1) || die "the image $image could not be given another tag: $said"
done
