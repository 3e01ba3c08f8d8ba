#!/usr/bin/env bash
# Builds the python2 image's root filesystem: base without Python 3, and the last Python 2. Debian 12 has none: it is Debian 11's, with the C library of 12.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=../lib/debian-source.sh
. "$REPO/images/lib/debian-source.sh"
# shellcheck source=../data-science/build-debian.sh
. "$REPO/images/data-science/build-debian.sh"
begin python2 "$@"

LESS='^python3'
SOURCES=("deb $(debian_mirror debian) bullseye main" "deb $(debian_mirror debian-security) bullseye-security main")
# shellcheck disable=SC2016 # "$1" is the root folder, expanded by mmdebstrap
HOOKS=(
  "install -m 0755 '$REPO/images/python2/add-pip.sh' \"\$1/tmp/add-pip.sh\""
  'chroot "$1" /tmp/add-pip.sh'
  'rm "$1/tmp/add-pip.sh"'
)
debian_image python2
