#!/usr/bin/env bash
# vouch.sh: what the release workflow does with images (.github/scripts/images.sh), with a registry on this machine and a key instead of
# the workflow's identity: one name for two architectures, bills of materials, signatures that verify, and others that do not.
# Not tried here: the look for known faults, whose database is on the internet.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
TRIED=(tools base)
VERSION=0.0.0-try
need_kubelab
step "build crane, syft and cosign" "$KUBELAB" tools crane syft cosign
step "build images" "$KUBELAB" images build "${TRIED[@]}"
WORK=$(mktemp -d)
mkdir "$WORK/bin"
for tool in crane syft cosign; do ln -s "$("$KUBELAB" tools "$tool" | tail -n 1)" "$WORK/bin/$tool"; done
export PATH=$WORK/bin:$PATH
export IMAGES="${TRIED[*]}" COSIGN_PASSWORD='' SYFT_REGISTRY_INSECURE_USE_HTTP=true

# A port of its own; crane says which.
crane registry serve --address 127.0.0.1:0 >"$WORK/registry.log" 2>&1 &
SERVER=$!
trap 'kill "$SERVER" 2>/dev/null; rm -rf "$WORK"' EXIT
port() { sed -n 's/.*serving on port \([0-9]*\).*/\1/p' "$WORK/registry.log" | head -n 1; }
for _ in $(seq 50); do [ -z "$(port)" ] || break; sleep 0.1; done
[ -n "$(port)" ] || die "the registry did not start: $(cat "$WORK/registry.log")"
REGISTRY=127.0.0.1:$(port)/devserver

archive_of() { find "$DEVSERVER_CACHE/images" -name "$1-*.tar" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }

push() {
  local image
  for image in "${TRIED[@]}"; do
    crane push --platform linux/amd64 "$(archive_of "$image")" "$REGISTRY/$image:$VERSION-amd64" >/dev/null
    crane mutate --set-platform linux/arm64 "$REGISTRY/$image:$VERSION-amd64" --tag "$REGISTRY/$image:$VERSION-arm64" >/dev/null
  done
}

cosign_options() {
  (cd "$WORK" && cosign generate-key-pair --output-key-prefix ours && cosign generate-key-pair --output-key-prefix theirs)
  # Without a transparency log, which is on the internet.
  cosign signing-config create --out "$WORK/signing.json"
  export COSIGN_SIGN="--key $WORK/ours.key --signing-config $WORK/signing.json"
}

verify() { cosign verify --insecure-ignore-tlog --key "$WORK/$1.pub" "$2" >/dev/null 2>&1; }

check() {
  local image architecture kinds
  for image in "${TRIED[@]}"; do
    kinds=$(crane manifest "$REGISTRY/$image:$VERSION" | grep -o '"architecture":"[a-z0-9]*"' | sort | tr '\n' ' ')
    [ "$kinds" = '"architecture":"amd64" "architecture":"arm64" ' ] || die "$image has $kinds"
    verify ours "$REGISTRY/$image:$VERSION" || die "the signature of $image does not verify"
    ! verify theirs "$REGISTRY/$image:$VERSION" || die "the signature of $image verifies with any key"
    for architecture in amd64 arm64; do
      cosign verify-attestation --insecure-ignore-tlog --type cyclonedx --key "$WORK/ours.pub" "$REGISTRY/$image:$VERSION-$architecture" >/dev/null 2>&1 ||
        die "nobody vouches for the bill of $image for $architecture"
    done
  done
  # The base has Debian's packages in it, and says so.
  grep -q '"name": *"libc6"' "$WORK/bills/base-$VERSION-amd64.cdx.json" || die "the bill of base lacks libc6"
  # What takes the place of an image is not what was signed.
  crane mutate --label moved=yes "$REGISTRY/tools:$VERSION-amd64" --tag "$REGISTRY/tools:$VERSION" >/dev/null
  ! verify ours "$REGISTRY/tools:$VERSION" || die "an image that nobody signed verifies"
}

SCRIPT=$REPO/.github/scripts/images.sh
step "push to a registry on this machine" push
step "one name for both architectures" "$SCRIPT" index "$REGISTRY" "$VERSION" amd64 arm64
step "bills of materials" "$SCRIPT" bills "$REGISTRY" "$VERSION" "$WORK/bills" amd64 arm64
step "keys" cosign_options
step "sign" "$SCRIPT" sign "$REGISTRY" "$VERSION" "$WORK/bills" amd64 arm64
step "verify" check
say "1 passed, 0 failed"
