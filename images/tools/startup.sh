#!/bin/sh
# Turns any image with a shell into an environment people log in to: the user dev with id 1000, a way
# to become root, the folders sshd wants; then becomes sshd. Mounted read-only at /opt/devserver.
# Where sshd is in a container of its own, or nowhere, DEVSERVER_SSH_PORT is 0 and it only waits for the end.
#
# It runs as root at every start of the container, so: whatever is right already is not written again,
# and nothing below the home or /shared is touched as root. Those belong to the user, who could have
# left a symbolic link there. Accounts are edited in the files themselves on every image alike: one
# way that works with and without useradd. Only POSIX sh and the commands BusyBox has are used.

set -eu
umask 022
image_path=${PATH:-}
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

LOGIN=dev
ID=1000
HOME_DIR=/home/dev
TOOLS=/opt/devserver
CONFIG=/etc/devserver/sshd
PASSWORD=/etc/devserver/password/hash
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

# The lock files are those of useradd and its kin, which may run from a container hook at this moment.
lock_accounts() {
  for table in passwd group shadow gshadow; do
    lock=/etc/$table.lock tries=0
    until (set -C && printf '%s\n' "$$" >"$lock") 2>/dev/null; do
      tries=$((tries + 1))
      if [ ! -e "$lock" ]; then
        # Released just now, or none can be made in a read-only /etc. Whether that matters, the write will tell.
        if [ "$tries" -gt 3 ]; then return 0; fi
        continue
      fi
      holder=$(cat "$lock" 2>/dev/null || true)
      if [ "$tries" -gt 10 ] || ! kill -0 "${holder:-none}" 2>/dev/null; then
        say "removing the stale lock $lock"
        rm -f "$lock" 2>/dev/null || return 0
      else
        sleep 1
      fi
    done
    locked="$locked $table"
  done
}

unlock_accounts() {
  for table in $locked; do rm -f "/etc/$table.lock"; done
  locked=
}
locked=

# --- accounts ---------------------------------------------------------------------------------------

# Reads the next line of an account file and splits it.
next_entry() {
  IFS= read -r line || [ -n "$line" ] || return 1
  split "$line"
}

# split LINE: f1, f2, f3 are its first fields and f4 the rest; all empty for a line that is no entry
# (a comment, NIS's plus sign).
split() {
  f1='' f2='' f3='' f4=''
  case $1 in
    *:*:*:*)
      f1=${1%%:*} rest=${1#*:}
      f2=${rest%%:*} rest=${rest#*:}
      f3=${rest%%:*} f4=${rest#*:}
      ;;
  esac
}

# Finds out who is who before anything is written: our user and group, and those that hold our id
# under another name (ubuntu, node), which become ours and keep their supplementary groups.
scan_accounts() {
  used=' ' user_entry='' other_user='' other_entry='' has_group='' other_group='' members='' other_members=''
  has_sshd='' has_sshd_group=''
  while next_entry; do
    used="$used$f3 "
    if [ "$f1" = sshd ]; then has_sshd=yes; fi
    if [ "$f1" = "$LOGIN" ]; then
      user_entry=${user_entry:-$line}
    elif [ "$f3" = "$ID" ] && [ -z "$other_user" ]; then
      other_user=$f1 other_entry=$line
    fi
  done </etc/passwd
  while next_entry; do
    used="$used$f3 "
    if [ "$f1" = sshd ]; then has_sshd_group=yes sshd_gid=$f3; fi
    if [ "$f1" = "$LOGIN" ]; then
      has_group=yes members=$f4
    elif [ "$f3" = "$ID" ] && [ -z "$other_group" ]; then
      other_group=$f1 other_members=$f4
    fi
  done </etc/group
  # With an entry of our own name, the other one stays as it is, behind ours.
  if [ -n "$user_entry" ]; then other_user=''; else user_entry=$other_entry; fi
  if [ -n "$has_group" ]; then other_group=''; else members=$other_members; fi
}

free_id() {
  free=990
  while case $used in *" $free "*) true ;; *) false ;; esac; do free=$((free - 1)); done
  printf '%s' "$free"
}

# Keeps a shell the image's author chose, unless it lets nobody in or there is a better one.
choose_shell() {
  case $1 in
    '' | */nologin | */false | /bin/sh | /usr/bin/sh) ;;
    *) if [ -x "$1" ]; then printf '%s' "$1" && return 0; fi ;;
  esac
  for shell in /bin/bash /usr/bin/bash /usr/local/bin/bash /bin/sh /usr/bin/sh; do
    if [ -x "$shell" ]; then printf '%s' "$shell" && return 0; fi
  done
  printf '/bin/sh'
}

# sshd without PAM refuses an account whose password field starts with "!" as locked, and an empty one would
# let su in without a password. "*" means: no password is right, and the account is not locked.
choose_password() {
  case $1 in
    '' | '!'* | x) printf '%s' "$2" ;;
    *) printf '%s' "$1" ;;
  esac
}

# The hash of the password that may log in, where the platform allows one. sshd reads /etc/passwd only; whoever can
# read it inside is the user, or has become root already. Sets password_hash.
read_password() {
  password_hash=''
  if [ ! -f "$PASSWORD" ]; then return 0; fi
  password_hash=$(cat "$PASSWORD")
  # shellcheck disable=SC2016 # the dollar signs are those of the hash
  case $password_hash in
    *[!A-Za-z0-9./\$=]*) ;;
    '$6$'*'$'?*) return 0 ;;
  esac
  password_hash=''
  say "warning: the password hash is not one of crypt(5) with SHA-512, \$6\$…, as \`openssl passwd -6\` makes it; no password is right"
}

dev_passwd_entry() {
  split "$user_entry"
  rest=${f4#*:} gecos=${rest%%:*} shell=${rest##*:}
  if [ -f /etc/shadow ]; then password=x; else password='*'; fi
  password=$(choose_password "$f2" "$password")
  printf '%s:%s:%s:%s:%s:%s:%s\n' "$LOGIN" "${password_hash:-$password}" "$ID" "$ID" \
    "$gecos" "$HOME_DIR" "$(choose_shell "$shell")"
}

# print_table NAME ENTRY: the file with our entry in place of ours or of the renamed one, and before any
# other entry with our id: the first one with an id gives the id its name.
print_table() {
  case $1 in passwd | shadow) other=$other_user ;; *) other=$other_group ;; esac
  printed=''
  while next_entry; do
    case $1:$f3 in
      "passwd:$ID" | "group:$ID") has_our_id=yes ;;
      *) has_our_id='' ;;
    esac
    if [ -n "$f1" ] && { [ "$f1" = "$LOGIN" ] || [ "$f1" = "$other" ]; }; then
      if [ -z "$printed" ]; then entry_of_table "$1" "$2"; fi
      printed=yes
      continue
    fi
    if [ -n "$has_our_id" ] && [ -z "$printed" ]; then
      printf '%s\n' "$2"
      printed=yes
    fi
    case $1:$other_user in
      group:?* | gshadow:?*) line=$(rename_member "$line") ;;
    esac
    printf '%s\n' "$line"
  done <"/etc/$1"
  if [ -z "$printed" ]; then printf '%s\n' "$2"; fi
}

# In the shadow files most of an existing entry stays as it is.
entry_of_table() {
  case $1 in
    shadow) printf '%s:%s:%s\n' "$LOGIN" "$(choose_password "$f2" '*')" "$f3:$f4" ;;
    gshadow) rename_member "$LOGIN:$f2:$f3:$f4" && echo ;;
    *) printf '%s\n' "$2" ;;
  esac
}

# rename_member LINE: the line with the renamed user replaced in its last field.
rename_member() {
  head=${1%:*} list=${1##*:}
  if [ -n "$other_user" ]; then
    list=",$list,"
    case $list in
      *",$LOGIN,"*) ;;
      *",$other_user,"*) list="${list%%",$other_user,"*},$LOGIN,${list#*",$other_user,"}" ;;
    esac
    list=${list#,} list=${list%,}
  fi
  printf '%s' "$head:$list"
}

# write_table NAME CONTENT
write_table() {
  replace "/etc/$1" "$2" 0644 || fail "/etc/$1 cannot be written: the file or its file system is read-only." \
    "The environment needs the user $LOGIN with uid and gid $ID there. Make the root file system writable," \
    "or use an image (or a mount) whose /etc/$1 has the entry already: $(printf '%s\n' "$2" | grep "^$LOGIN:" || true)"
}

make_accounts() {
  if [ ! -f /etc/passwd ]; then replace /etc/passwd 'root:x:0:0:root:/root:/bin/sh' 0644 || true; fi
  if [ ! -f /etc/group ]; then replace /etc/group 'root:x:0:' 0644 || true; fi
  read_password
  lock_accounts
  scan_accounts
  sshd_id=$(free_id)
  group=$(print_table group "$(rename_member "$LOGIN:x:$ID:$members")")
  if [ -z "$has_sshd$has_sshd_group" ]; then group=$(printf '%s\nsshd:x:%s:' "$group" "$sshd_id"); fi
  passwd=$(print_table passwd "$(dev_passwd_entry)")
  if [ -z "$has_sshd" ]; then
    passwd=$(printf '%s\nsshd:x:%s:%s:sshd:%s:/sbin/nologin' "$passwd" "$sshd_id" "${sshd_gid:-$sshd_id}" "$RUN/empty")
  fi
  shadow='' gshadow=''
  if [ -f /etc/shadow ]; then shadow=$(print_table shadow "$LOGIN:*::0:99999:7:::"); fi
  if [ -f /etc/gshadow ]; then gshadow=$(print_table gshadow "$LOGIN:!::"); fi
  # The passwd file last: as long as it lacks the user, a start that was cut short begins anew.
  write_table group "$group"
  if [ -n "$shadow" ]; then write_table shadow "$shadow"; fi
  if [ -n "$gshadow" ]; then write_table gshadow "$gshadow"; fi
  write_table passwd "$passwd"
  unlock_accounts
  if [ -n "$other_user" ]; then say "user $other_user (uid $ID) is now called $LOGIN"; fi
}

# --- home -------------------------------------------------------------------------------------------

# Only the top folder is ever changed here, and only when its owner is wrong: a volume with a million
# files starts as fast as an empty one.
make_home() {
  if [ -L "$HOME_DIR" ]; then fail "$HOME_DIR is a symbolic link; it must be a folder or a mount"; fi
  mkdir -p "$HOME_DIR" || fail "$HOME_DIR cannot be made"
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

fill_home() {
  # shellcheck disable=SC2010 # the names do not matter, only whether there are any
  if [ -d /etc/skel ] && ! ls -A "$HOME_DIR" | grep -qv '^lost+found$'; then
    as_dev cp -R /etc/skel/. "$HOME_DIR/" || say "warning: the files of /etc/skel were not copied"
  fi
  if [ -d /shared ] && ! as_dev test -w /shared; then
    say "note: /shared is read-only for $LOGIN"
  fi
}

# --- becoming root ----------------------------------------------------------------------------------

make_root_access() {
  if grep -q '^NoNewPrivs:[[:space:]]*1' /proc/self/status 2>/dev/null; then
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
  rules=$(cat /etc/doas.conf 2>/dev/null || true)
  case $rules in
    *"$rule") ;;
    '') rules=$rule ;;
    # The last rule that fits decides, so those of the image stay in force for others.
    *) rules=$(printf '%s\n%s' "$rules" "$rule") ;;
  esac
  replace /etc/doas.conf "$rules" 0400 || return 1
  chown 0:0 /etc/doas.conf && chmod 0400 /etc/doas.conf || return 1
  mkdir -p /usr/local/bin || return 1
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
  case $image_path in *[!A-Za-z0-9_./:+-]*) image_path='' ;; esac
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

# sshd prints /etc/motd at interactive logins only, whatever the shell; never for commands, scp or sftp.
make_motd() {
  if [ -f "$CONFIG/motd" ]; then
    ln -sfn "$CONFIG/motd" /etc/motd 2>/dev/null || say "warning: /etc/motd cannot be written"
  fi
}

start_sshd() {
  if [ ! -f "$CONFIG/sshd_config" ]; then fail "$CONFIG/sshd_config is missing: the ConfigMap of the environment is not mounted"; fi
  problem=$("$TOOLS/sbin/sshd" -t -f "$CONFIG/sshd_config" 2>&1) || fail "sshd refuses its configuration: $problem"
  exec "$TOOLS/sbin/sshd" -D -e -f "$CONFIG/sshd_config"
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
  if [ "$(id -u)" != 0 ]; then
    prepare_without_root
    pause
  fi
  # sshd insists on an empty folder that belongs to root and that nobody else may write to.
  mkdir -p "$RUN/empty" /run/sshd || fail "$RUN cannot be made: the root file system is read-only"
  chmod 0755 "$RUN" "$RUN/empty" /run/sshd
  make_accounts
  make_home
  make_root_access
  make_profile
  make_motd
  has_sshd || pause
  start_sshd
}

main
