#!/usr/bin/env bash
# Builds the pause image's root filesystem: one static program.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
begin pause "$@"
need musl-gcc musl-tools

install -d -m 0755 "$WORK/root"
musl-gcc -Os -Wall -Wextra -Werror -static -s -o "$WORK/root/pause" "$REPO/images/pause/pause.c"
pack "$WORK/root"
