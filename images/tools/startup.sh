#!/bin/sh
# Turns any image with a shell into an environment people log in to: a user with id 1000, a way to become root,
# the folders sshd wants; then becomes sshd. Mounted read-only at /opt/devserver.
# Where sshd is in a container of its own, or nowhere, DEVSERVER_SSH_PORT is 0 and it only waits for the end.
#
# It runs as root at every start of the container, so: whatever is right already is not written again,
# and nothing below the home or /shared is touched as root. Those belong to the user, who could have
# left a symbolic link there. Accounts are edited in the files themselves on every image alike: one
# way that works with and without useradd. Only POSIX sh and the commands BusyBox has are used.

set -eu
umask 022
image_path=${PATH:-}
# Goes into a profile and an option of sshd, where a space or a quote would mean something.
case $image_path in *[!A-Za-z0-9_./:+-]*) image_path='' ;; esac
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

# The user is called dev, unless the image was made for another one, whose name it keeps.
LOGIN=${DEVSERVER_LOGIN_USER:-dev}
ID=1000
HOME_DIR=/home/$LOGIN
TOOLS=/opt/devserver
CONFIG=/etc/devserver/sshd
PASSWORD=/etc/devserver/authorized-keys/password-hash
RUN=/run/devserver

say() { printf 'startup: %s\n' "$*" >&2; }

# The message also goes where Kubernetes reads why a container ended. 78 is EX_CONFIG.
fail() {
  say "error: $*"
  if [ -w /dev/termination-log ]; then printf '%s\n' "startup: $*" >/dev/termination-log; fi
  unlock_accounts
  exit 78
}

as_dev() { "$TOOLS/bin/devserver-agent" as-login-user -- "$@" </dev/null; }

# --- files ------------------------------------------------------------------------------------------

# replace FILE CONTENT MODE: FILE has this content; MODE counts for a new file only. By rename where that is
# possible, so nobody reads half a file; a file that is a mount of its own can only be written in place.
replace() {
  if [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; then return 0; fi
  part=$1.devserver.$$
  if { [ ! -f "$1" ] || cp -p "$1" "$part"; } 2>/dev/null &&
    (umask 077 && printf '%s\n' "$2" >"$part") 2>/dev/null &&
    { [ -f "$1" ] || chmod "$3" "$part"; } && mv -f "$part" "$1" 2>/dev/null; then
    return 0
  fi
  rm -f "$part" 2>/dev/null || true
  { [ -f "$1" ] && printf '%s\n' "$2" >"$1"; } 2>/dev/null
}

# shellcheck source=images/tools/accounts.sh
. "$TOOLS/libexec/accounts.sh"

# The agent calls this when the mounted hash has changed. Without one no password is right; nothing else is touched.
change_password() {
  read_password
  password_hash=${password_hash:-*}
  lock_accounts
  scan_accounts
  write_table passwd "$(print_table passwd "$(dev_passwd_entry)")"
  unlock_accounts
}

# --- home -------------------------------------------------------------------------------------------

# Only the top folder is ever changed here, and only when its owner is wrong: a volume with a million
# files starts as fast as an empty one.
make_home() {
  if [ -L "$HOME_DIR" ]; then fail "$HOME_DIR is a symbolic link; it must be a folder or a mount"; fi
  [ -d "$HOME_DIR" ] || mkdir -p "$HOME_DIR" || fail "$HOME_DIR cannot be made"
  # shellcheck disable=SC2012 # stat is not on every image; ls -n is POSIX and prints ids
  owner=$(ls -ldn "$HOME_DIR" | { read -r _ _ uid gid _ && printf '%s:%s' "$uid" "$gid"; })
  if [ "$owner" != "$ID:$ID" ]; then
    if chown -h "$ID:$ID" "$HOME_DIR" 2>/dev/null; then
      chmod 0755 "$HOME_DIR"
    else
      say "warning: the owner of $HOME_DIR is $owner and cannot be changed (read-only volume?)"
    fi
  fi
  fill_home
}

home_is_empty() {
  for file in "$HOME_DIR"/* "$HOME_DIR"/.[!.]* "$HOME_DIR"/..?*; do
    if [ "$file" = "$HOME_DIR/lost+found" ]; then continue; fi
    if [ -e "$file" ] || [ -L "$file" ]; then return 1; fi
  done
}

fill_home() {
  if [ -d /etc/skel ] && home_is_empty; then
    as_dev cp -R /etc/skel/. "$HOME_DIR/" || say "warning: the files of /etc/skel were not copied"
  fi
  if [ -d /shared ] && ! as_dev test -w /shared; then
    say "note: /shared is read-only for $LOGIN"
  fi
}

# --- becoming root ----------------------------------------------------------------------------------

may_not_gain_privileges() {
  while read -r key value; do
    if [ "$key" = NoNewPrivs: ]; then [ "$value" = 1 ] && return 0 || return 1; fi
  done </proc/self/status
  return 1
} 2>/dev/null

make_root_access() {
  if may_not_gain_privileges; then
    say "note: this pod forbids becoming root (allowPrivilegeEscalation: false)"
    return 0
  fi
  if command -v sudo >/dev/null; then
    if [ -d /etc/sudoers.d ]; then
      replace /etc/sudoers.d/devserver "$LOGIN ALL=(ALL:ALL) NOPASSWD: ALL" 0440 ||
        say "warning: /etc/sudoers.d/devserver cannot be written"
    fi
    if as_dev sudo -n true 2>/dev/null; then return 0; fi
    say "the sudo of this image does not let $LOGIN in; adding doas"
  fi
  install_doas || say "warning: doas could not be installed; $LOGIN cannot become root"
}

install_doas() {
  rule="permit nopass keepenv $LOGIN"
  rules=''
  if [ -f /etc/doas.conf ]; then rules=$(cat /etc/doas.conf); fi
  case $rules in
    *"$rule") ;;
    '') rules=$rule ;;
    # The last rule that fits decides, so those of the image stay in force for others.
    *) rules=$(printf '%s\n%s' "$rules" "$rule") ;;
  esac
  is_new=''
  if [ ! -e /etc/doas.conf ]; then is_new=yes; fi
  replace /etc/doas.conf "$rules" 0400 || return 1
  if [ -z "$is_new" ]; then chown 0:0 /etc/doas.conf && chmod 0400 /etc/doas.conf || return 1; fi
  [ -d /usr/local/bin ] || mkdir -p /usr/local/bin || return 1
  part=/usr/local/bin/.doas.$$
  if cp "$TOOLS/bin/doas" "$part" && chown 0:0 "$part" && chmod 4755 "$part" && mv -f "$part" /usr/local/bin/doas; then
    if ! command -v sudo >/dev/null; then ln -sf doas /usr/local/bin/sudo; fi
    return 0
  fi
  rm -f "$part"
  return 1
}

# --- sessions ---------------------------------------------------------------------------------------

# Login shells keep what the image's author put into PATH and find the tools, behind everything else.
make_profile() {
  if [ ! -d /etc/profile.d ]; then return 0; fi
  replace /etc/profile.d/devserver.sh "# Made at the start of the environment: the image's own folders first, the tools last.
case :\$PATH: in
  *:$TOOLS/bin:*) ;;
  *) PATH=${image_path:+$image_path:}\$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin:$TOOLS/bin ;;
esac
export PATH
if [ -t 1 ] && [ -f $CONFIG/pip-requirements.txt ] && [ -s \"\$HOME/.local/state/devserver/pip-failed\" ]; then
  cat \"\$HOME/.local/state/devserver/pip-failed\"
fi" 0644 ||
    say "warning: /etc/profile.d/devserver.sh cannot be written"
}

# Found by commands without a login shell, too. A client that the image has is not hidden.
make_docker_client() {
  client=/opt/devserver-docker/client/docker
  if [ ! -x "$client" ] || command -v docker >/dev/null; then return 0; fi
  { mkdir -p /usr/local/bin && ln -s "$client" /usr/local/bin/docker; } 2>/dev/null ||
    say "warning: /usr/local/bin/docker cannot be made; the client is $client"
}

# sshd prints /etc/motd at interactive logins only, whatever the shell; never for commands, scp or sftp.
make_motd() {
  if [ -f "$CONFIG/motd" ]; then
    ln -sfn "$CONFIG/motd" /etc/motd 2>/dev/null || say "warning: /etc/motd cannot be written"
  fi
}

# Where named terminals listen (devserver-agent session) and leases are (devserver-agent hold): with the rights of /tmp, and
# out of the way of those who clean /tmp.
make_shared_folders() {
  for folder in /run/devserver-sessions /run/devserver-holds; do
    { [ ! -L "$folder" ] && mkdir -p "$folder" && chmod 1777 "$folder"; } ||
      say "warning: $folder cannot be made; what belongs there is below /tmp"
  done
}

# Its turn is when the accounts are there; beside it the rest is prepared.
check_sshd() {
  if [ ! -f "$CONFIG/sshd_config" ]; then fail "$CONFIG/sshd_config is missing: the ConfigMap of the environment is not mounted"; fi
  "$TOOLS/sbin/sshd" -t -f "$CONFIG/sshd_config" >"$RUN/problem" 2>&1 &
  checking=$!
}

# The PATH of commands, which no login shell sets: the same folders. sshd takes the first SetEnv it reads (sshd_config(5)), and
# what stands before the file counts first, so the variables of the file come along.
set_session_environment() {
  session_environment=''
  while read -r key value; do
    if [ "$key" = SetEnv ] && [ -z "$session_environment" ]; then session_environment="$value "; fi
  done <"$CONFIG/sshd_config"
  path=$image_path
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin "$TOOLS/bin"; do
    case :$path: in *":$folder:"*) ;; *) path=${path:+$path:}$folder ;; esac
  done
  session_environment=${session_environment}PATH=$path
}

start_sshd() {
  set_session_environment
  wait "$checking" || fail "sshd refuses its configuration: $(cat "$RUN/problem")"
  exec "$TOOLS/sbin/sshd" -D -e -f "$CONFIG/sshd_config" -o "SetEnv $session_environment"
}

has_sshd() { [ "${DEVSERVER_SSH_PORT:-22}" != 0 ]; }

pause() { exec "$TOOLS/bin/devserver-agent" pause; }

# Where the flavor forbids root: the account files are mounted, and the home belongs to the group of the user already.
prepare_without_root() {
  if [ "$(id -u)" != "$ID" ] || has_sshd; then fail "must run as root; the container runs as uid $(id -u)"; fi
  if [ ! -w "$HOME_DIR" ]; then
    say "warning: $HOME_DIR cannot be written; the storage class does not apply fsGroup, or the volume is read-only"
  fi
  # fsGroup opens a home from before to its group, and ssh refuses such keys. As the user itself: a link is no danger.
  if [ -d "$HOME_DIR/.ssh" ]; then chmod -R go= "$HOME_DIR/.ssh" || true; fi
  fill_home
}

main() {
  case $LOGIN in [!a-z]* | *[!a-z0-9_-]*) fail "DEVSERVER_LOGIN_USER is no name of a user: $LOGIN" ;; esac
  if [ "${1:-}" = password ]; then
    change_password
    exit
  fi
  if [ "$(id -u)" != 0 ]; then
    prepare_without_root
    pause
  fi
  # sshd insists on an empty folder that belongs to root and that nobody else may write to.
  mkdir -p "$RUN/empty" /run/sshd || fail "$RUN cannot be made: the root file system is read-only"
  chmod 0755 "$RUN" "$RUN/empty" /run/sshd
  make_shared_folders
  make_accounts
  if has_sshd; then check_sshd; fi
  make_home
  make_root_access
  make_profile
  make_docker_client
  make_motd
  has_sshd || pause
  start_sshd
}

main "$@"
