#!/bin/sh
# Login shell of the sidecar, where the account files are the same for every image: becomes the best shell of this one.
# It also prints the message of the day, because sshd is not root there and cannot put it where it would look for it.

CONFIG=/etc/devserver/sshd
FAILED=$HOME/.local/state/devserver/pip-failed
SHELL=/bin/sh
for shell in /bin/bash /usr/bin/bash /usr/local/bin/bash; do
  if [ -x "$shell" ]; then
    SHELL=$shell
    break
  fi
done
PATH=$PATH:/opt/devserver/bin
if [ -d /opt/devserver-docker/client ]; then PATH=$PATH:/opt/devserver-docker/client; fi
export SHELL PATH

# A command, scp or sftp: nothing may be printed before it.
if [ $# -gt 0 ]; then exec "$SHELL" "$@"; fi

if [ -t 1 ] && [ ! -e "$HOME/.hushlogin" ]; then
  if [ -s "$CONFIG/motd" ]; then cat "$CONFIG/motd"; fi
  if [ -f "$CONFIG/pip-requirements.txt" ] && [ -s "$FAILED" ]; then cat "$FAILED"; fi
fi
exec "$SHELL" -l
