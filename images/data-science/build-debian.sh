# shellcheck shell=bash
# For the images of document 003 (python3, r, python2): base's packages and those of the image, all of Debian, made as base is.
# Sourced with `set -euo pipefail` on, after images/lib/common.sh and images/lib/debian-source.sh.

# debian_image NAME: OUT_DIR/rootfs.tar of base's packages and images/NAME/packages, without what images/NAME/unneeded lists. Of the caller:
#   HOOKS    further customize hooks of mmdebstrap
#   SOURCES  further lines for sources.list; none of them stays in the image
#   LESS     packages of base that are left out, as a regular expression
debian_image() {
  local name=$1 base=$REPO/images/base packages mirror security path words=()
  need mmdebstrap mmdebstrap
  mirror=$(debian_mirror debian)
  security=$(debian_mirror debian-security)
  packages=$(grep --extended-regexp --invert-match "${LESS:-^$}" "$base/packages" | cat - "$REPO/images/$name/packages" | paste -sd,)
  for path in "${HOOKS[@]}"; do words+=(--customize-hook="$path"); done
  if [ -f "$REPO/images/$name/unneeded" ]; then
    while read -r path; do words+=(--customize-hook="rm -rf \"\$1\"$path"); done <"$REPO/images/$name/unneeded"
  fi
  log "installing $(tr , '\n' <<<"$packages" | wc -l) packages"
  # shellcheck disable=SC2016 # "$1" in the hooks is the root folder, expanded by mmdebstrap
  mmdebstrap --quiet --variant=minbase --include="$packages" --architectures=amd64 \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "${words[@]}" \
    --customize-hook="cp '$base/debian.sources' \"\$1/etc/apt/sources.list.d/debian.sources\"" \
    --customize-hook='rm -f "$1/etc/apt/sources.list" "$1/etc/apt/sources.list.d/0000"*.list' \
    --customize-hook="cp '$base/profile.sh' \"\$1/etc/profile.d/locale.sh\"" \
    --customize-hook='rm -rf "$1"/var/log/*.log "$1"/var/log/apt "$1/etc/hostname" "$1/etc/resolv.conf"' \
    bookworm "$WORK/rootfs.tar" \
    "deb $mirror bookworm main" "deb $mirror bookworm-updates main" "deb $security bookworm-security main" "${SOURCES[@]}" >&2
  mv "$WORK/rootfs.tar" "$OUT_DIR/rootfs.tar.part"
  finish
}
