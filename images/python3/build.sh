#!/usr/bin/env bash
# Builds the python3 image's root filesystem: base and the packages of data science for Python 3, from Debian.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=../lib/debian-source.sh
. "$REPO/images/lib/debian-source.sh"
# shellcheck source=../data-science/build-debian.sh
. "$REPO/images/data-science/build-debian.sh"
begin python3 "$@"

HOOKS=()
SOURCES=()
debian_image python3
