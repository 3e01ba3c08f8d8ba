#!/usr/bin/env bash
# Runs images/tools/startup.sh as it is in root file systems of many kinds and checks what it made of
# them. Needs root and three images: TOOLS_ROOTFS, BUSYBOX_ROOTFS and BASE_ROOTFS name a rootfs.tar or an
# image archive each; what is not named is built, but for the base image, where a kept one will do.
# Each case gets an overlay of its own, as a container does. Only sshd is replaced, by a script that
# records how it was called; the last cases log in through the real one.
set -uo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
IMAGES=$(cd "$HERE/../.." && pwd)
# shellcheck source=cases.sh
. "$HERE/cases.sh"
# shellcheck source=login.sh
. "$HERE/login.sh"
# shellcheck source=modes.sh
. "$HERE/modes.sh"

[ "$(id -u)" = 0 ] || {
  echo "startup-test.sh needs root" >&2
  exit 2
}
# All mounts are made in a namespace of our own, so nothing is left of them however this ends.
if [ "${1:-}" != --in-namespace ]; then
  exec unshare --mount --propagation private -- "$0" --in-namespace
fi
WORK=$(mktemp -d)
trap 'umount -l "$WORK" && rmdir "$WORK"' EXIT
mount -t tmpfs -o mode=0755 startup-test "$WORK"
passed=0 failed=0

# image NAME FILE: unpacks the root file system in FILE, or builds the image when none is given.
image() {
  local tar=$2 layer
  if [ -z "$tar" ]; then
    "$IMAGES/$1/build.sh" "$WORK/out-$1" || exit 2
    tar=$WORK/out-$1/rootfs.tar
  fi
  mkdir -p "$WORK/image/$1"
  layer=$(tar --extract --to-stdout --file "$tar" manifest.json 2>/dev/null | jq -r '.[0].Layers[0]')
  if [ -n "$layer" ]; then tar --extract --to-stdout --file "$tar" "$layer"; else cat "$tar"; fi | unpack "$WORK/image/$1" || exit 2
}

# The base image's files are many and big; accounts, shells and their libraries are enough here.
unpack() {
  tar --extract --directory "$1" --numeric-owner --exclude='./dev/*' --exclude='./usr/share' --exclude='./usr/include' \
    --exclude='./usr/lib/python3*' --exclude='./usr/lib/gcc*' --exclude='./usr/lib/git-core' --exclude='./var/lib' --exclude='*.a'
}

newest_kept() {
  find "${DEVSERVER_CACHE:-$HOME/.cache/devserver}/images" -maxdepth 1 -name "$1-*.tar" -printf '%T@ %p\n' 2>/dev/null |
    sort -n | tail -n 1 | cut -d' ' -f2-
}

# prepare NAME IMAGE: ROOT becomes the case's root file system, with our tools and configuration in it.
prepare() {
  ROOT=$WORK/case/$1/root
  mkdir -p "$ROOT" "$WORK/case/$1/upper" "$WORK/case/$1/work"
  mount -t overlay -o "lowerdir=$WORK/image/$2,upperdir=$WORK/case/$1/upper,workdir=$WORK/case/$1/work" case "$ROOT"
  mkdir -p "$ROOT/opt/devserver" "$ROOT/etc/devserver/sshd" "$ROOT/home/dev" "$ROOT/dev" "$ROOT/proc" "$ROOT/shared"
  cp -a "$WORK/image/tools/." "$ROOT/opt/devserver"
  : >"$ROOT/dev/termination-log"
  mknod -m 666 "$ROOT/dev/null" c 1 3 2>/dev/null || true
  echo "Welcome" >"$ROOT/etc/devserver/sshd/motd"
  echo "Port 22" >"$ROOT/etc/devserver/sshd/sshd_config"
  cat >"$ROOT/opt/devserver/sbin/sshd" <<'EOF'
#!/bin/sh
echo "$*" >>/sshd-calls
EOF
}

# start_with SETUP [SHELL…]: after the shell text SETUP, where $1 is the root folder, runs startup.sh in ROOT,
# in namespaces of its own; STATUS and OUTPUT are what came of it.
# shellcheck disable=SC2016 # expanded by the inner shell
start_with() {
  OUTPUT=$(unshare --mount --pid --fork -- sh -ec 'mount -t proc proc "$1/proc"
    eval "$2"
    root=$1
    shift 2
    PATH=/opt/image/bin:/usr/sbin:/usr/bin:/sbin:/bin exec chroot "$root" "$@" /opt/devserver/startup.sh' sh "$ROOT" "$@" 2>&1 </dev/null)
  STATUS=$?
}

start() { start_with :; }

# What a command by ssh finds: the image's own folders, what every system has, the tools.
SESSION_PATH=/opt/image/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:/opt/devserver/bin

inside() { chroot "$ROOT" "$@" 2>&1; }
entry() { grep "^$2:" "$ROOT/etc/$1"; }

# is WHAT ACTUAL EXPECTED
is() {
  [ "$2" = "$3" ] || problems+="    $1: got '$2', expected '$3'"$'\n'
}
# has WHAT TEXT PART
has() {
  case $2 in *"$3"*) ;; *) problems+="    $1: '$3' is not in '$2'"$'\n' ;; esac
}

# What must be true after every successful start.
started() {
  is "exit status" "$STATUS" 0
  [ "$STATUS" = 0 ] || problems+="    output: $OUTPUT"$'\n'
  is "last call of sshd" "$(tail -n 1 "$ROOT/sshd-calls" 2>/dev/null)" "-D -e -f /etc/devserver/sshd/sshd_config -o SetEnv PATH=$SESSION_PATH"
  is "passwd entries called dev" "$(grep -c '^dev:' "$ROOT/etc/passwd")" 1
  is "group entries called dev" "$(grep -c '^dev:' "$ROOT/etc/group")" 1
  is "uid, gid and home" "$(entry passwd dev | cut -d: -f3,4,6)" "1000:1000:/home/dev"
  is "gid of group dev" "$(entry group dev | cut -d: -f3)" 1000
  is "name of uid 1000" "$(awk -F: '$3 == 1000 { print $1; exit }' "$ROOT/etc/passwd")" dev
  is "name of gid 1000" "$(awk -F: '$3 == 1000 { print $1; exit }' "$ROOT/etc/group")" dev
  is "root's entry" "$(entry passwd root | cut -d: -f3)" 0
  is "entry sshd" "$(grep -c '^sshd:' "$ROOT/etc/passwd")" 1
  is "owner of the home" "$(stat -c %u:%g "$ROOT/home/dev")" 1000:1000
  is "login shell is there" "$(inside test -x "$(entry passwd dev | cut -d: -f7)" && echo yes)" yes
  is "folder of named terminals" "$(stat -c '%u %a' "$ROOT/run/devserver-sessions")" "0 1777"
  is "folder of leases" "$(stat -c '%u %a' "$ROOT/run/devserver-holds")" "0 1777"
  is "sshd's empty folder" "$(stat -c '%u %a' "$ROOT/run/devserver/empty")" "0 755"
  is "motd" "$(readlink "$ROOT/etc/motd")" /etc/devserver/sshd/motd
  is "left-over files" "$(find "$ROOT/etc" -name '*.devserver.*' -o -name '*.lock' -not -name .pwd.lock)" ""
  if [ -f "$ROOT/etc/shadow" ]; then
    case $(entry shadow dev | cut -d: -f2) in
      '' | '!'*) problems+="    the account is locked or open: $(entry shadow dev)"$'\n' ;;
    esac
  fi
}

# becomes_root NAME: NAME (doas or sudo) makes the user root inside.
becomes_root() {
  is "$1 id -u" "$(inside /opt/devserver/bin/devserver-agent as-login-user -- "$1" id -u)" 0
}

run_case() {
  local name=${1#case_}
  problems=
  "$1"
  if [ -z "$problems" ]; then
    passed=$((passed + 1))
    printf 'ok      %s\n' "${name//_/ }"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s\n%s' "${name//_/ }" "$problems"
  fi
  discard
}

discard() {
  umount -l "$ROOT"
  rm -rf "${ROOT%/root}"
}

image tools "${TOOLS_ROOTFS:-}"
image busybox "${BUSYBOX_ROOTFS:-}"
image base "${BASE_ROOTFS:-$(newest_kept base)}"
for case in $(declare -F | awk '$3 ~ /^case_/ { print $3 }'); do
  run_case "$case"
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
