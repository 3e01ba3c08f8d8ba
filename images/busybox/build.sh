#!/usr/bin/env bash
# Builds the busybox image's root filesystem from Debian's static BusyBox.
set -euo pipefail
# shellcheck source=../lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
begin busybox "$@"
need apt-get apt
need dpkg-deb dpkg

log "fetching busybox-static"
(cd "$WORK" && apt-get --quiet=2 -o APT::Sandbox::User="$(id -un)" download busybox-static >&2) ||
  die "Debian's package busybox-static cannot be fetched; run: apt-get update"
dpkg-deb --extract "$WORK"/busybox-static_*.deb "$WORK/package"

ROOT=$WORK/root
for folder in bin sbin usr/bin usr/sbin dev etc home proc root run sys tmp var/tmp; do
  install -d -m 0755 "$ROOT/$folder"
done
chmod 0700 "$ROOT/root"
chmod 1777 "$ROOT/tmp" "$ROOT/var/tmp"
# Debian 12 installs it as /bin/busybox, Debian 13 as /usr/bin/busybox.
install -m 0755 "$(find "$WORK/package" -type f -path "*/bin/busybox")" "$ROOT/bin/busybox"
"$ROOT/bin/busybox" --list-full | while read -r applet; do
  case $applet in
    bin/busybox | linuxrc) ;;
    *) ln -sf /bin/busybox "$ROOT/$applet" ;;
  esac
done
cat >"$ROOT/etc/passwd" <<'EOF'
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
EOF
cat >"$ROOT/etc/group" <<'EOF'
root:x:0:
tty:x:5:
nogroup:x:65534:
EOF
cat >"$ROOT/etc/shadow" <<'EOF'
root:*::0:99999:7:::
nobody:*::0:99999:7:::
EOF
chmod 0600 "$ROOT/etc/shadow"
pack "$ROOT"
