#!/usr/bin/env bash
# Builds the tools image's root filesystem: static sshd and friends, doas, the agent, startup.sh. Beside it, for measurements,
# the client of the same OpenSSH.
# The C programs are kept by content (stages), so an edit of startup.sh or of the agent takes seconds.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=../lib/debian-source.sh
. "$REPO/images/lib/debian-source.sh"
begin tools "$@"

HERE=$REPO/images/tools
STAGES=$HERE/stages
for recipe in toolchain openssl openssh opendoas; do
  # shellcheck source=/dev/null
  . "$STAGES/$recipe.sh"
done

# c_stage PACKAGE WORD…: one C program set from its pinned Debian source; WORDs are further inputs,
# handed on to the recipe. Sets STAGE_DIR and adds a line to SECURITY_LEVEL.
c_stage() {
  local package=$1 hash
  shift
  debian_source "$HERE/sources" "$package"
  hash=$(hash_of "$package" "$SOURCE_VERSION" "$STAGES/$package.sh" "$STAGES/toolchain.sh" \
    "$STAGES/static-pie.specs" "$STAGES/no-crypt.c" "$(gcc -dumpfullversion)" "$@")
  stage "$package" "$hash" "run_recipe" "$package" "$@"
  SECURITY_LEVEL+="$package $SOURCE_VERSION"$'\n'
}

# The stage folder comes last from stage(), the recipes take it first.
run_recipe() {
  local package=$1 out=${*: -1}
  set -- "${@:2:$#-2}"
  "build_$package" "$out" "$@"
}

SECURITY_LEVEL="Debian 13 (trixie) source packages, statically linked with musl:"$'\n'
ROOT=$WORK/root
install -d -m 0755 "$ROOT" "$ROOT/bin" "$ROOT/sbin" "$ROOT/libexec"

c_stage openssl
c_stage openssh "$STAGE_DIR" "$STAGES/sha512-crypt.c"
cp -r "$STAGE_DIR/root/." "$ROOT"
install -m 0755 "$STAGE_DIR/client/ssh" "$OUT_DIR/ssh"
c_stage opendoas
cp -r "$STAGE_DIR/." "$ROOT"

cargo_static devserver-agent
install -m 0755 "$CARGO_BINARY" "$ROOT/bin/devserver-agent"
# What people type inside an environment: devctl hold, devctl session. A devctl of the image comes before it in PATH.
ln -s devserver-agent "$ROOT/bin/devctl"
install -m 0755 "$HERE/startup.sh" "$ROOT/startup.sh"
install -m 0755 "$HERE/login-shell.sh" "$ROOT/libexec/login-shell"
install -m 0755 "$HERE/install-packages.sh" "$ROOT/libexec/install-packages"
install -m 0755 "$HERE/start-editor.sh" "$ROOT/libexec/start-editor"
printf '%s' "$SECURITY_LEVEL" >"$ROOT/SECURITY_LEVEL"

# sshd refuses to run an AuthorizedKeysCommand from a path that anybody but root may write.
chmod -R u=rwX,go=rX "$ROOT"
chmod 0755 "$ROOT"
pack "$ROOT"
