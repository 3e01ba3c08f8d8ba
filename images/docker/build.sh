#!/usr/bin/env bash
# Builds the docker image's root filesystem: Debian 13 with Docker's daemon, and its client made to run in any image.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=../lib/debian-source.sh
. "$REPO/images/lib/debian-source.sh"
begin docker "$@"
need mmdebstrap mmdebstrap

HERE=$REPO/images/docker
MIRROR=$(debian_mirror debian)
SECURITY=$(debian_mirror debian-security)
packages=$(paste -sd, "$HERE/packages")

# bring_client ROOT: the client and its libraries in one folder, which can be mounted or copied alone.
bring_client() {
  local root=$1 client=$1/client name path
  install -d -m 0755 "$client/lib" "$client/libexec"
  install -m 0755 "$HERE/docker.sh" "$client/docker"
  cp --dereference "$root/usr/bin/docker" "$client/libexec/docker"
  cp --dereference "$root/usr/lib64/ld-linux-x86-64.so.2" "$client/lib/"
  for name in $(readelf --dynamic "$client/libexec/docker" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p') libc.so.6; do
    path=$root/usr/lib/x86_64-linux-gnu/$name
    [ -e "$path" ] || die "the library $name of docker is not in the image"
    cp --dereference "$path" "$client/lib/"
  done
}

log "installing $(wc -l <"$HERE/packages") packages"
# shellcheck disable=SC2016 # "$1" in the hooks is the root folder, expanded by mmdebstrap
mmdebstrap --quiet --variant=minbase --include="$packages" --architectures=amd64 \
  --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook="install -m 0755 '$HERE/run-dockerd.sh' \"\$1/usr/local/sbin/run-dockerd\"" \
  --customize-hook='echo dev:x:1000: >>"$1/etc/group"' \
  --customize-hook='rm -rf "$1"/var/log/*.log "$1"/var/log/apt "$1/etc/hostname" "$1/etc/resolv.conf"' \
  trixie "$WORK/root" \
  "deb $MIRROR trixie main" "deb $MIRROR trixie-updates main" "deb $SECURITY trixie-security main" >&2
bring_client "$WORK/root"
rm -rf "$WORK/root/dev" "$WORK/root/var/lib/apt/lists" "$WORK/root/var/cache/apt"
install -d -m 0755 "$WORK/root/dev"
pack "$WORK/root"
