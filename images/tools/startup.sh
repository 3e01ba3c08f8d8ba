#!/bin/sh
# Turns any image with a shell into an environment people log in to: a user with id 1000, a way to become root,
# the folders sshd wants; then becomes sshd. Mounted read-only at /opt/devserver.
# Where sshd is in a container of its own, or nowhere, DEVSERVER_SSH_PORT is 0 and it only waits for the end.
#
# Runs at every start of the container. All the work is done by the agent (crates/agent/src/prepare), here is nothing
# but what the shell does itself: each command costs the user milliseconds of waiting.

set -eu
umask 022
image_path=${PATH:-}
# Goes into a profile and an option of sshd, where a space or a quote would mean something.
case $image_path in *[!A-Za-z0-9_./:+-]*) image_path='' ;; esac
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

TOOLS=/opt/devserver
CONFIG=/etc/devserver/sshd

# The PATH of commands, which no login shell sets: the same folders. sshd takes the first SetEnv it reads (sshd_config(5)), and
# what stands before the file counts first, so the variables of the file come along.
set_session_environment() {
  session_environment=''
  while [ -z "$session_environment" ] && read -r key value; do
    if [ "$key" = SetEnv ]; then session_environment="$value "; fi
  done <"$CONFIG/sshd_config"
  path=$image_path
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin "$TOOLS/bin"; do
    case :$path: in *":$folder:"*) ;; *) path=${path:+$path:}$folder ;; esac
  done
  session_environment=${session_environment}PATH=$path
}

# Accounts, home, doas, what logins find, and the check of sshd's configuration. What goes wrong it has said itself,
# also where Kubernetes reads why a container ended: the status is all that is left to hand on.
"$TOOLS/bin/devserver-agent" prepare --path "$image_path" || exit $?

if [ "${DEVSERVER_SSH_PORT:-22}" = 0 ]; then exec "$TOOLS/bin/devserver-agent" pause; fi
set_session_environment
exec "$TOOLS/sbin/sshd" -D -e -f "$CONFIG/sshd_config" -o "SetEnv $session_environment"
