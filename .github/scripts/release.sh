#!/usr/bin/env bash
# What the release workflow does, in steps that can be tried by hand: release.sh check TAG | notes TAG | binary TAG TARGET FOLDER | charts REGISTRY FOLDER.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
CHARTS=(devserver-platform devservers dev-env)

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# version_of TAG: v1.2.3, and nothing else.
version_of() {
  [[ $1 =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || die "the tag \"${1//[^ -~]/?}\" is no version such as v0.2.0"
  printf '%s' "${1#v}"
}

# check TAG: every place that tells a version tells this one.
check() {
  local version said chart
  version=$(version_of "$1")
  said=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
  [[ $said == "$version" ]] || die "Cargo.toml says version $said, and the tag $version"
  for chart in "${CHARTS[@]}"; do
    said=$(sed -n 's/^version: *//p' "charts/$chart/Chart.yaml" | tr -d '"')
    [[ $said == "$version" ]] || die "charts/$chart/Chart.yaml says version $said, and the tag $version"
  done
  said=$(sed -n 's/^appVersion: *//p' charts/devserver-platform/Chart.yaml | tr -d '"')
  [[ $said == "$version" ]] || die "charts/devserver-platform/Chart.yaml says appVersion $said, and the tag $version"
  notes "$1" >/dev/null
}

# notes TAG: what CHANGELOG.md says of it.
notes() {
  local version text
  version=$(version_of "$1")
  text=$(awk -v heading="## [$version]" 'index($0, "## [") == 1 {inside = index($0, heading) == 1; next} inside' CHANGELOG.md)
  [[ $text == *[![:space:]]* ]] || die "CHANGELOG.md has no section [$version]; write one"
  printf '%s\n' "$text"
}

# binary TAG TARGET FOLDER: devctl for a target, and its bill of materials.
binary() {
  local name
  name=devctl-$(version_of "$1")-$2
  mkdir -p "$3"
  cargo build --locked --release -p devctl --target "$2"
  tar --create --gzip --file "$3/$name.tar.gz" --directory "target/$2/release" devctl
  cargo cyclonedx --format json --target "$2" --override-filename sbom --manifest-path crates/devctl/Cargo.toml
  mv crates/devctl/sbom.json "$3/$name.cdx.json"
}

# charts REGISTRY FOLDER: the charts as OCI artifacts.
charts() {
  local chart
  for chart in "${CHARTS[@]}"; do
    helm package "charts/$chart" --destination "$2"
  done
  for chart in "$2"/*.tgz; do helm push "$chart" "$1"; done
}

case ${1:-} in
  check | notes | binary | charts) "$@" ;;
  *) die 'say check, notes, binary or charts' ;;
esac
