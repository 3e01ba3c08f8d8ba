#!/usr/bin/env bash
# Builds the coredns image's root filesystem from the static binary that kubelab has built from tools/.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
begin coredns "$@"
[ -x "${KUBELAB_TOOL_COREDNS:-}" ] ||
  die "KUBELAB_TOOL_COREDNS must name the coredns binary; use: kubelab images build coredns"

install -d -m 0755 "$WORK/root"
install -m 0755 "$KUBELAB_TOOL_COREDNS" "$WORK/root/coredns"
pack "$WORK/root"
