#!/usr/bin/env bash
# Prepares a node lab for the test of upgrades (tests/node/upgrade.rs): installs the platform to upgrade from, and loads the images to upgrade
# to, with the tag "next". Usage: hack/upgrade.sh --lab NAME [--from COMMIT]
# Without a commit it is this checkout both times, and the images differ in their tag alone: everything rolls, and nothing is built. With one, its
# chart and its images are built first, which takes minutes.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
LAB='' FROM=''
while [ $# -gt 0 ]; do
  case $1 in
    --lab) LAB=$2 ;;
    --from) FROM=$2 ;;
    *) die "unknown option $1; usage: hack/upgrade.sh --lab NAME [--from COMMIT]" ;;
  esac
  shift 2
done
[ -n "$LAB" ] || die "which lab? usage: hack/upgrade.sh --lab NAME [--from COMMIT]"
IMAGES=(tools base operator gateway editor docker)
# Long enough for sessions to outlive the test in a gateway that is being replaced.
export VALUES=$REPO/charts/devserver-platform/ci/upgrade-values.yaml

# source_of COMMIT: sets SOURCE to its files, and OLD to a cache that shares what is kept by content and not the folder that cargo builds in:
# there a file of another checkout counts as built when it is older.
source_of() {
  local commit name
  commit=$(git -C "$REPO" rev-parse --verify --quiet "$1^{commit}") ||
    die "there is no commit $1 here; in a shallow clone, fetch more with: git fetch --deepen 100"
  SOURCE=$DEVSERVER_CACHE/upgrade/$commit
  OLD=$DEVSERVER_CACHE/upgrade/cache
  if [ ! -d "$SOURCE" ]; then
    find "$DEVSERVER_CACHE/upgrade" -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} + 2>/dev/null || true
    mkdir -p "$SOURCE.part"
    git -C "$REPO" archive "$commit" | tar --extract --touch --directory "$SOURCE.part"
    mv "$SOURCE.part" "$SOURCE"
  fi
  mkdir -p "$SOURCE/bin" "$OLD"
  ln -sfn "$KUBELAB" "$SOURCE/bin/kubelab"
  ln -sfn "$DEVCTL" "$SOURCE/bin/devctl"
  for name in apt bin downloads images locks npm; do
    mkdir -p "$DEVSERVER_CACHE/$name"
    ln -sfn "../../$name" "$OLD/$name"
  done
}

install_old() {
  DEVSERVER_ROOT=$SOURCE DEVSERVER_CACHE=$OLD CARGO_TARGET_DIR=$OLD/target "$SOURCE/hack/platform.sh" --lab "$LAB"
}

need_kubelab
# A tag that nothing runs yet.
step "images to upgrade to" "$REPO/hack/load-images.sh" --lab "$LAB" --tag next "${IMAGES[@]}"
if [ -n "$FROM" ]; then
  source_of "$FROM"
  step "the platform of $FROM" install_old
else
  step "the platform to upgrade" "$REPO/hack/platform.sh" --lab "$LAB"
fi
