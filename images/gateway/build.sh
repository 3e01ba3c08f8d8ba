#!/usr/bin/env bash
# Builds the gateway image's root filesystem: that of the operator with another binary.
set -euo pipefail
BINARY=devserver-gateway exec "$(dirname "$0")/../operator/build.sh" "$@"
