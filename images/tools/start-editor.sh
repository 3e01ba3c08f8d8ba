#!/bin/sh
# Becomes the editor: code-server, for one person, without a password, because the network lets nobody in but the platform's
# console, which has asked who it is. The agent starts it as the login user when the environment is prepared, and again when
# it has ended. Its own node and C library come with it, so that the image needs nothing but a shell.

set -u
PORT=${DEVSERVER_EDITOR_PORT:-8080}
EDITOR_ROOT=/opt/devserver-editor
TOOLS=/opt/devserver
DATA=$HOME/.local/share/code-server

say() { printf '%s\n' "$*" >&2; }

# What sessions by ssh have, for the terminals: the folders of the image first, the tools last.
session_environment() {
  if [ -r /etc/profile.d/devserver.sh ]; then
    # shellcheck source=/dev/null
    . /etc/profile.d/devserver.sh </dev/null >/dev/null
  else
    PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}:$TOOLS/bin
  fi
  PATH=$PATH:$EDITOR_ROOT/bin
  SHELL=/bin/sh
  for shell in /bin/bash /usr/bin/bash /usr/local/bin/bash; do
    if [ -x "$shell" ]; then SHELL=$shell && break; fi
  done
  # The one the user chose wins, where it is there.
  while IFS=: read -r name _ _ _ _ _ shell; do
    if [ "$name" = "${USER:-dev}" ] && [ -x "$shell" ] && [ "$shell" != "$TOOLS/libexec/login-shell" ]; then SHELL=$shell; fi
  done </etc/passwd
  DEVSERVER=true
  LANG=${LANG:-C.UTF-8}
  export PATH SHELL DEVSERVER LANG
}

# Made once. From then on it is the user's: nothing that is there is ever written again.
first_settings() {
  if [ -e "$DATA/User/settings.json" ] || [ -L "$DATA/User/settings.json" ]; then return 0; fi
  mkdir -p "$DATA/User" && cat >"$DATA/User/settings.json" <<'SETTINGS'
{
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "extensions.autoCheckUpdates": false,
  "chat.disableAIFeatures": true,
  "workbench.startupEditor": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden"
}
SETTINGS
}

if [ ! -x "$EDITOR_ROOT/bin/node" ]; then
  say "the editor's image is not mounted at $EDITOR_ROOT"
  exit 78
fi
session_environment
cd "$HOME" || exit 1
mkdir -p "$HOME/project" || say "the folder project cannot be made; the home is full or read-only"
first_settings || say "the first settings cannot be written; the home is full or read-only"
# Without its proxy of ports: what a program serves there would have the editor's own origin, and could act as its user.
exec "$EDITOR_ROOT/bin/node" "$EDITOR_ROOT/code-server/out/node/entry.js" --config "$EDITOR_ROOT/config.yaml" \
  --auth none --bind-addr "0.0.0.0:$PORT" --disable-telemetry --disable-update-check --disable-workspace-trust \
  --disable-getting-started-override --disable-proxy --user-data-dir "$DATA" --extensions-dir "$DATA/extensions" \
  --ignore-last-opened "$HOME"
