#!/usr/bin/env bash
# Builds the r image's root filesystem: base and R with the packages that people begin with, from Debian.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=../lib/debian-source.sh
. "$REPO/images/lib/debian-source.sh"
# shellcheck source=../data-science/build-debian.sh
. "$REPO/images/data-science/build-debian.sh"
begin r "$@"

# shellcheck disable=SC2016 # "$1" is the root folder, expanded by mmdebstrap
HOOKS=("cat '$REPO/images/r/library.R' >>\"\$1/etc/R/Rprofile.site\"")
SOURCES=()
debian_image r
