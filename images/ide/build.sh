#!/usr/bin/env bash
# Builds the ide image's root filesystem: the base image and what people need who develop for Kubernetes. Go comes from the
# Go module proxy, checked against the sum below; the other programs are built by kubelab from tools/.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
begin ide "$@"
need go 'golang (or https://go.dev/dl)'

HERE=$REPO/images/ide
GO_VERSION=v0.0.1-go1.26.8.linux-amd64
GO_SUM=h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=
ROOT=$WORK/root

# tool NAME PATH: a program that kubelab has built.
tool() {
  [ -x "$2" ] || die "KUBELAB_TOOL_${1^^} must name the $1 binary; use: kubelab images build ide"
  install -m 0755 "$2" "$ROOT/usr/local/bin/$1"
}

# go_tree: Go itself, without what only its own tests need. A module's zip knows no permissions.
go_tree() {
  local answer folder sum
  answer=$(cd "$WORK" && GOFLAGS=-mod=mod go mod download -json "golang.org/toolchain@$GO_VERSION") ||
    die "the Go module proxy does not give golang.org/toolchain@$GO_VERSION"
  folder=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$answer")
  sum=$(sed -n 's/^\t"Sum": "\(.*\)",$/\1/p' <<<"$answer")
  [ "$sum" = "$GO_SUM" ] || die "golang.org/toolchain@$GO_VERSION is not the pinned one ($sum); do not build it before you know why"
  cp -r "$folder" "$ROOT/usr/local/go"
  chmod -R u+w "$ROOT/usr/local/go"
  rm -rf "$ROOT/usr/local/go"/{api,doc,test}
  find "$ROOT/usr/local/go/bin" "$ROOT/usr/local/go/pkg/tool" -type f -exec chmod 0755 {} +
  ln -s ../go/bin/go "$ROOT/usr/local/bin/go"
  ln -s ../go/bin/gofmt "$ROOT/usr/local/bin/gofmt"
}

install -d -m 0755 "$ROOT" "$ROOT/usr" "$ROOT/usr/local" "$ROOT/usr/local/bin"
tool kubectl "${KUBELAB_TOOL_KUBECTL:-}"
tool helm "${KUBELAB_TOOL_HELM:-}"
tool stern "${KUBELAB_TOOL_STERN:-}"
install -m 0755 "$HERE/kns" "$ROOT/usr/local/bin/kns"
go_tree

"$REPO/images/base/build.sh" "$WORK/base"
IMAGE_NAME=ide
log "adding kubectl, helm, stern, kns, go"
tar --append --file "$WORK/base/rootfs.tar" --directory "$ROOT" --sort=name --format=posix \
  --pax-option=delete=atime,delete=ctime --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
  ./usr/local/bin ./usr/local/go
mv "$WORK/base/rootfs.tar" "$OUT_DIR/rootfs.tar.part"
finish
