#!/usr/bin/env bash
# Builds the base image's root filesystem: a Debian 12 development machine, from Debian's packages.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=../lib/debian-source.sh
. "$REPO/images/lib/debian-source.sh"
begin base "$@"
need mmdebstrap mmdebstrap

HERE=$REPO/images/base
MIRROR=$(debian_mirror debian)
SECURITY=$(debian_mirror debian-security)
packages=$(paste -sd, "$HERE/packages")

# install_base DIR: DIR/rootfs.tar. Manual pages, documentation and translations are a third of the size.
install_base() {
  log "installing $(wc -l <"$HERE/packages") packages"
  # shellcheck disable=SC2016 # "$1" in the hooks is the root folder, expanded by mmdebstrap
  mmdebstrap --quiet --variant=minbase --include="$packages" --architectures=amd64 \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook="cp '$HERE/debian.sources' \"\$1/etc/apt/sources.list.d/debian.sources\"" \
    --customize-hook='rm -f "$1/etc/apt/sources.list" "$1/etc/apt/sources.list.d/0000"*.list' \
    --customize-hook="cp '$HERE/profile.sh' \"\$1/etc/profile.d/locale.sh\"" \
    --customize-hook='rm -rf "$1"/var/log/*.log "$1"/var/log/apt "$1/etc/hostname" "$1/etc/resolv.conf"' \
    bookworm "$1/rootfs.tar" \
    "deb $MIRROR bookworm main" "deb $MIRROR bookworm-updates main" "deb $SECURITY bookworm-security main" >&2
}

# Kept, because others begin with it: they and the tests of the startup script would install the same packages again.
stage base "$(hash_of base "$HERE/build.sh" "$HERE/packages" "$HERE/debian.sources" "$HERE/profile.sh")" install_base
cp --reflink=auto "$STAGE_DIR/rootfs.tar" "$OUT_DIR/rootfs.tar.part"
finish
