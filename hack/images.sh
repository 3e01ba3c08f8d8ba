#!/usr/bin/env bash
# Builds the images. Without REGISTRY: into the cache, for the lab, with no container engine. With REGISTRY: from the
# Containerfiles with podman, docker or buildah, and pushes them as $REGISTRY/<name>:$TAG.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"

# base before those that begin with it.
IMAGES=(tools base operator gateway console editor docker ide python3 r python2)
: "${TAG:=$(app_version)}"

# engine: the first container engine that is there and works; docker without its daemon does not.
engine() {
  local candidate
  for candidate in podman docker buildah; do
    if command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "pushing to $REGISTRY needs podman, docker (with its daemon running) or buildah, and none of them works here; install one, such as: apt-get install podman"
}

push() {
  local with=$1 name=$2 reference=$REGISTRY/$2:$TAG base=()
  # The one that was pushed just now, not what another registry calls so.
  if grep -q '^ARG BASE=' "$REPO/images/$name/Containerfile"; then base=(--build-arg "BASE=$REGISTRY/base:$TAG"); fi
  "$with" build --file "$REPO/images/$name/Containerfile" "${base[@]}" --tag "$reference" \
    --label "org.opencontainers.image.title=devserver $name" --label "org.opencontainers.image.version=$TAG" \
    --label "org.opencontainers.image.revision=$(git -C "$REPO" rev-parse HEAD)" --label org.opencontainers.image.licenses=Apache-2.0 "$REPO"
  "$with" push "$reference"
}

if [ -z "${REGISTRY:-}" ]; then
  need_kubelab
  step "build images" "$KUBELAB" images build "${IMAGES[@]}"
else
  [ "$TAG" != latest ] || die "the tag latest is refused: nobody could say afterwards what ran; set TAG to a version"
  ENGINE=$(engine)
  for image in "${IMAGES[@]}"; do
    step "build and push $REGISTRY/$image:$TAG" push "$ENGINE" "$image"
  done
fi
