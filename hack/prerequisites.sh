#!/usr/bin/env bash
# What a machine must have before anything is built. Installs missing Debian packages when run as root on Debian,
# otherwise prints the exact command. Never installs a compiler from the network behind your back.
# Usage: hack/prerequisites.sh [FILE…]; the files list more packages, such as tests/packages.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"

# The newest that one of our modules asks for.
GO_NEEDED=$(sed -n 's/^go //p' "$REPO"/tools/*/go.mod | sort --version-sort | tail -n 1)
PROBLEMS=()
LISTS=("$REPO/hack/packages" "$REPO/images/packages" "$@")

# missing_packages: the listed packages that are not installed, one per line. npm comes with Node.js or by itself; who has one of
# them cannot have the other's package.
missing_packages() {
  local package
  command -v npm >/dev/null || printf 'npm\n'
  sed 's/#.*//' "${LISTS[@]}" | tr -s '[:space:]' '\n' | sort -u | while read -r package; do
    [ -n "$package" ] || continue
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
  done
}

check_packages() {
  local missing install
  if ! command -v dpkg-query >/dev/null; then
    warn "this is not Debian: have the packages of hack/packages and images/packages in your distribution's words"
    return
  fi
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  install="apt-get install --yes --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" = 0 ] && [ -z "${NO_INSTALL:-}" ]; then
    say "    installing Debian packages: ${missing[*]}"
    apt-get update --quiet=2 || warn "apt-get update failed; trying with the lists there are"
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null ||
      PROBLEMS+=("apt-get could not install all packages; see why with: $install")
  else
    PROBLEMS+=("Debian packages are missing; install them with: sudo $install")
  fi
}

# at_least WANTED HAVE: whether HAVE is that version or newer.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort --version-sort | head -n 1)" = "$1" ]; }

check_rust() {
  local wanted
  wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$REPO/rust-toolchain.toml")
  if ! command -v cargo >/dev/null; then
    PROBLEMS+=("Rust is missing; install it with: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal && . ~/.cargo/env")
  elif ! command -v rustup >/dev/null && ! at_least "$wanted" "$(rustc --version | cut -d' ' -f2)"; then
    PROBLEMS+=("Rust $wanted is needed and $(rustc --version) is too old; with rustup (https://rustup.rs) the right one comes by itself")
  fi
}

check_go() {
  local have architecture install
  # A cluster of one's own needs Go only for helm, and not when there is one.
  if [ "${CLUSTER:-lab}" = existing ] && command -v helm >/dev/null; then return; fi
  architecture=$(dpkg --print-architecture 2>/dev/null || echo amd64)
  install="curl -sSfL https://go.dev/dl/go$GO_NEEDED.linux-$architecture.tar.gz | sudo tar -C /usr/local -xz && export PATH=/usr/local/go/bin:\$PATH"
  if ! command -v go >/dev/null; then
    PROBLEMS+=("Go is missing: the lab builds Kubernetes from source. Install it (docs at https://go.dev/doc/install) with: $install")
    return
  fi
  have=$(GOTOOLCHAIN=local go env GOVERSION)
  at_least "$GO_NEEDED" "${have#go}" ||
    PROBLEMS+=("Go $GO_NEEDED or newer is needed and $have is too old; remove it and install another (https://go.dev/doc/install) with: $install")
}

# A cold build and a running lab; measured, and rounded up.
check_disk() {
  local free_gib
  mkdir -p "$DEVSERVER_CACHE"
  free_gib=$(($(df --output=avail --block-size=1M "$DEVSERVER_CACHE" | tail -n 1) / 1024))
  [ "$free_gib" -ge 12 ] || [ -d "$DEVSERVER_CACHE/bin" ] ||
    PROBLEMS+=("$free_gib GiB are free at $DEVSERVER_CACHE and a first build needs about 12; free some or set DEVSERVER_CACHE to a larger disk")
}

check_lab() {
  [ "${CLUSTER:-lab}" = lab ] || return 0
  [ "$(uname -s)" = Linux ] || PROBLEMS+=("the lab needs Linux; on other systems use a cluster of yours: make up CLUSTER=existing")
  [ "$(id -u)" = 0 ] ||
    PROBLEMS+=("the lab makes network namespaces, mounts and cgroups and therefore needs root: sudo --preserve-env=PATH make up. Without root, use a cluster of yours: make up CLUSTER=existing")
}

check_packages
check_rust
check_go
check_disk
check_lab
if [ ${#PROBLEMS[@]} -gt 0 ]; then
  for problem in "${PROBLEMS[@]}"; do printf '  - %s\n' "$problem" >&2; done
  die "this machine lacks ${#PROBLEMS[@]} thing(s), see above"
fi
