# shellcheck shell=sh
# The accounts of an environment, for startup.sh, which reads this file: the login user and its group with id 1000, and the
# user that sshd separates its privileges with. Edited in the files themselves, so that it works without useradd.
# Uses of startup.sh: say, fail, replace, LOGIN, ID, HOME_DIR, PASSWORD, RUN; sets password_hash and the like.

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
  set --
  for table in $locked; do set -- "$@" "/etc/$table.lock"; done
  if [ $# -gt 0 ]; then rm -f "$@"; fi
  locked=
}
locked=

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
      refuse_system_account "$f3"
      user_entry=${user_entry:-$line}
    elif [ "$f3" = "$ID" ] && [ -z "$other_user" ]; then
      other_user=$f1 other_entry=$line
    fi
  done </etc/passwd
  while next_entry; do
    used="$used$f3 "
    if [ "$f1" = sshd ]; then has_sshd_group=yes sshd_gid=$f3; fi
    if [ "$f1" = "$LOGIN" ]; then
      refuse_system_account "$f3"
      has_group=yes members=$f4
    elif [ "$f3" = "$ID" ] && [ -z "$other_group" ]; then
      other_group=$f1 other_members=$f4
    fi
  done </etc/group
  # With an entry of our own name, the other one stays as it is, behind ours.
  if [ -n "$user_entry" ]; then other_user=''; else user_entry=$other_entry; fi
  if [ -n "$has_group" ]; then other_group=''; else members=$other_members; fi
}

# Where the user says what the login user is called, it is not to be one that the image's own programs run as.
refuse_system_account() {
  if [ "$LOGIN" != dev ] && [ "$1" -lt "$ID" ] 2>/dev/null; then
    fail "spec.loginUser: $LOGIN (id $1) belongs to the system in this image; name the user the image was made for (id $ID), or leave the field out"
  fi
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
  # shellcheck disable=SC2153 # startup.sh sets it
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

# write_tables: those that change are made beside the old ones and put in place with one command, because every command
# costs the user two milliseconds of waiting. The passwd file last: as long as it lacks the user, a start that was cut
# short begins anew. What cannot be renamed is a mount of its own, or read-only.
write_tables() {
  stage=/etc/.devserver.$$ staged=''
  # shellcheck disable=SC2086 # a list of paths without spaces
  if stage_table group "$group" && stage_table shadow "$shadow" && stage_table gshadow "$gshadow" &&
    stage_table passwd "$passwd" && { [ -z "$staged" ] || mv -f $staged /etc/ 2>/dev/null; }; then
    if [ -n "$staged" ]; then rmdir "$stage"; fi
    return 0
  fi
  rm -rf "$stage"
  write_table group "$group"
  if [ -n "$shadow" ]; then write_table shadow "$shadow"; fi
  if [ -n "$gshadow" ]; then write_table gshadow "$gshadow"; fi
  write_table passwd "$passwd"
}

# stage_table NAME CONTENT: the table as it will be, with the owner and mode of the one it replaces, if it changes.
stage_table() {
  if [ -z "$2" ] || [ "$(cat "/etc/$1")" = "$2" ]; then return 0; fi
  { [ -n "$staged" ] || mkdir -m 0700 "$stage"; } 2>/dev/null &&
    cp -p "/etc/$1" "$stage/$1" 2>/dev/null && printf '%s\n' "$2" >"$stage/$1" && staged="$staged $stage/$1"
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
  write_tables
  unlock_accounts
  if [ -n "$other_user" ]; then say "user $other_user (uid $ID) is now called $LOGIN"; fi
}
