#!/usr/bin/env bash
# Builds the console image's root filesystem: that of the operator with another binary.
set -euo pipefail
BINARY=devserver-console exec "$(dirname "$0")/../operator/build.sh" "$@"
