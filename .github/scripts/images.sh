#!/usr/bin/env bash
# What the release workflow does with images that are pushed, in steps that can be tried by hand (hack/vouch.sh does):
#   images.sh index REGISTRY VERSION ARCHITECTURE…           one name for what was built for each architecture
#   images.sh bills REGISTRY VERSION FOLDER ARCHITECTURE…    what is in each of them (CycloneDX)
#   images.sh scan FOLDER                                    ends with an error where a bill has a critical fault that is mended elsewhere
#   images.sh sign REGISTRY VERSION FOLDER ARCHITECTURE…     signs all of it, and vouches for the bills
# Needs crane, syft, grype and cosign of tools/release on PATH. COSIGN_SIGN: further options of cosign; without any it signs as the
# workflow that it runs in.
set -euo pipefail
# Those of hack/images.sh.
read -ra IMAGES <<<"${IMAGES:-tools base operator gateway console editor docker ide python3 r python2}"
read -ra COSIGN_SIGN <<<"${COSIGN_SIGN:-}"

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# digest REFERENCE: what the registry has now. Names can be moved; from here on only the digest is spoken of.
digest() {
  local found
  found=$(crane digest "$1") || die "the registry has no $1"
  [[ $found =~ ^sha256:[a-f0-9]{64}$ ]] || die "the registry says \"${found//[^ -~]/?}\" for $1"
  printf '%s' "$found"
}

index() {
  local registry=$1 version=$2 image architecture manifests
  for image in "${IMAGES[@]}"; do
    manifests=()
    for architecture in "${@:3}"; do manifests+=(--manifest "$registry/$image@$(digest "$registry/$image:$version-$architecture")"); done
    crane index append "${manifests[@]}" --tag "$registry/$image:$version"
  done
}

bill_of() { printf '%s/%s-%s-%s.cdx.json' "$1" "$2" "$3" "$4"; }

bills() {
  local registry=$1 version=$2 folder=$3 image architecture found
  mkdir -p "$folder"
  for image in "${IMAGES[@]}"; do
    for architecture in "${@:4}"; do
      found=$(digest "$registry/$image:$version-$architecture")
      syft scan --quiet "registry:$registry/$image@$found" --source-name "$image" --source-version "$version" \
        --output "cyclonedx-json=$(bill_of "$folder" "$image" "$version" "$architecture")"
    done
  done
}

scan() {
  local bill bad=0
  for bill in "$1"/*.cdx.json; do
    printf '%s\n' "$bill"
    grype --quiet --only-fixed --fail-on critical "sbom:$bill" || bad=1
  done
  [ "$bad" = 0 ] || die "these have critical faults that are mended elsewhere; build them anew, with newer packages"
}

sign() {
  local registry=$1 version=$2 folder=$3 image architecture
  for image in "${IMAGES[@]}"; do
    # Recursive: the index and what it leads to.
    cosign sign --yes --recursive "${COSIGN_SIGN[@]}" "$registry/$image@$(digest "$registry/$image:$version")"
    for architecture in "${@:4}"; do
      cosign attest --yes "${COSIGN_SIGN[@]}" --type cyclonedx --predicate "$(bill_of "$folder" "$image" "$version" "$architecture")" \
        "$registry/$image@$(digest "$registry/$image:$version-$architecture")"
    done
  done
}

case ${1:-} in
  index | bills | scan | sign) "$@" ;;
  *) die 'say index, bills, scan or sign' ;;
esac
