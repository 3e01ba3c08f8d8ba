#!/usr/bin/env bash
# Builds the root filesystem of an image that is one static binary, a user and the public certificates: the operator's, or that
# of another BINARY of this repository (images/gateway). With DEVSERVER_IMAGE_PROFILE=dev, for tests, a binary that is not
# optimized, with its libraries.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
: "${BINARY:=devserver-operator}"
begin "${BINARY#devserver-}" "$@"
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
[ -f $CERTIFICATES ] || die "$CERTIFICATES is missing; install it with: apt-get install ca-certificates"

ROOT=$WORK/root
case ${DEVSERVER_IMAGE_PROFILE:-release} in
  release) cargo_static "$BINARY" ;;
  # For tests, which have compiled it already: release takes longer than all else that they need.
  dev)
    # Two commands: in a list the shell would go on after a compilation that failed, with the program of before.
    cargo_dev "$BINARY"
    bring_libraries "$CARGO_BINARY" "$ROOT"
    ;;
  *) die "DEVSERVER_IMAGE_PROFILE is $DEVSERVER_IMAGE_PROFILE; it is release (when it is not set) or dev" ;;
esac
install -d -m 0755 "$ROOT" "$ROOT/etc/ssl/certs" "$ROOT/usr/local/bin" "$ROOT/tmp"
chmod 1777 "$ROOT/tmp"
install -m 0755 "$CARGO_BINARY" "$ROOT/usr/local/bin/$BINARY"
install -m 0644 $CERTIFICATES "$ROOT/etc/ssl/certs/ca-certificates.crt"
echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >"$ROOT/etc/passwd"
echo 'nonroot:x:65532:' >"$ROOT/etc/group"
pack "$ROOT"
