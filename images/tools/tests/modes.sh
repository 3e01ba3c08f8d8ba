# shellcheck shell=bash disable=SC2154,SC2016 # variables of startup-test.sh; text for shells inside
# The cases of environments whose sshd is elsewhere or nowhere, of passwords, and of packages.

# Records a pause instead of making one; everything else is the real agent.
replace_pause() {
  mv "$ROOT/opt/devserver/bin/devserver-agent" "$ROOT/opt/devserver/bin/agent"
  printf '#!/bin/sh\nif [ "$1" = pause ]; then echo paused; exit 0; fi\nexec /opt/devserver/bin/agent "$@"\n' \
    >"$ROOT/opt/devserver/bin/devserver-agent"
  chmod 0755 "$ROOT/opt/devserver/bin/devserver-agent"
}

case_without_sshd_the_environment_is_prepared_and_waits() {
  prepare pause base
  replace_pause
  rm "$ROOT/etc/devserver/sshd/sshd_config"
  start_with : env DEVSERVER_SSH_PORT=0
  is "exit status" "$STATUS" 0
  has "output" "$OUTPUT" paused
  is "sshd was not started" "$(cat "$ROOT/sshd-calls" 2>/dev/null)" ""
  is "uid and home" "$(entry passwd dev | cut -d: -f3,6)" "1000:/home/dev"
  is "skeleton" "$(stat -c %u "$ROOT/home/dev/.bashrc")" 1000
  becomes_root doas
}

case_without_root_nothing_but_the_home_is_prepared() {
  prepare rootless base
  replace_pause
  mkdir "$ROOT/home/dev/.ssh"
  touch "$ROOT/home/dev/.ssh/id" "$ROOT/home/dev/.bashrc"
  chown -R 1000:1000 "$ROOT/home/dev"
  chmod 0660 "$ROOT/home/dev/.ssh/id"
  local before
  before=$(cd "$ROOT" && find etc usr/local run -printf '%p %T@ %i %m %U\n' 2>/dev/null | sort)
  start_with : setpriv --reuid=1000 --regid=1000 --clear-groups --bounding-set=-all env DEVSERVER_SSH_PORT=0
  is "exit status" "$STATUS" 0
  has "output" "$OUTPUT" paused
  is "mode of a key of the user" "$(stat -c %a "$ROOT/home/dev/.ssh/id")" 600
  is "files outside the home" "$(cd "$ROOT" && find etc usr/local run -printf '%p %T@ %i %m %U\n' 2>/dev/null | sort)" "$before"
}

case_without_root_a_home_that_cannot_be_written_is_told() {
  prepare rootless-home base
  replace_pause
  chown 0:0 "$ROOT/home/dev"
  chmod 0755 "$ROOT/home/dev"
  start_with : setpriv --reuid=1000 --regid=1000 --clear-groups env DEVSERVER_SSH_PORT=0
  is "exit status" "$STATUS" 0
  has "output" "$OUTPUT" "fsGroup"
}

case_sshd_of_a_container_without_root_is_refused() {
  prepare rootless-sshd base
  start_with : setpriv --reuid=1000 --regid=1000 --clear-groups
  is "exit status" "$STATUS" 78
  has "output" "$OUTPUT" "must run as root"
}

case_password_hash_reaches_the_account_file_that_sshd_reads() {
  local hash='$6$rounds=5000$saltstring$abc./DEF'
  prepare password base
  mkdir -p "$ROOT/etc/devserver/authorized-keys"
  printf '%s\n' "$hash" >"$ROOT/etc/devserver/authorized-keys/password-hash"
  start
  started
  is "password" "$(entry passwd dev | cut -d: -f2)" "$hash"
}

case_changed_password_hash_changes_that_field_and_nothing_else() {
  local hash='$6$saltstring$abc./DEF' before calls file=$WORK/case/password-change/root/etc/devserver/authorized-keys/password-hash
  prepare password-change base
  mkdir -p "${file%/*}"
  printf '%s\n' '$6$saltstring$before' >"$file"
  start
  started
  calls=$(wc -l <"$ROOT/sshd-calls")
  before=$(sed '/^dev:/d' "$ROOT/etc/passwd"; cat "$ROOT/etc/group" "$ROOT/etc/shadow"; entry passwd dev | cut -d: -f1,3-)
  printf '%s\n' "$hash" >"$file"
  OUTPUT=$(inside /opt/devserver/bin/devserver-agent prepare password)
  is "exit status" $? 0
  is "password" "$(entry passwd dev | cut -d: -f2)" "$hash"
  rm "$file"
  OUTPUT=$(inside /opt/devserver/bin/devserver-agent prepare password)
  is "exit status without" $? 0
  is "no password" "$(entry passwd dev | cut -d: -f2)" '*'
  is "everything else" "$(sed '/^dev:/d' "$ROOT/etc/passwd"; cat "$ROOT/etc/group" "$ROOT/etc/shadow"; entry passwd dev | cut -d: -f1,3-)" "$before"
  is "calls of sshd" "$(wc -l <"$ROOT/sshd-calls")" "$calls"
}

case_d3_password_hash_that_is_none_is_never_written() {
  local bad
  for bad in '' plain '$y$j9T$x$y' '$6$a$b:0:0::/root:/bin/sh' $'$6$a$b\nevil:x:0:0::/:/bin/sh' '$6$$(id)$x y' '$6$a$'; do
    prepare password-bad busybox
    mkdir -p "$ROOT/etc/devserver/authorized-keys"
    printf '%s' "$bad" >"$ROOT/etc/devserver/authorized-keys/password-hash"
    start
    started
    case $(entry passwd dev | cut -d: -f2) in
      '*' | x) ;;
      *) problems+="    written: $(entry passwd dev)"$'\n' ;;
    esac
    is "entries of evil" "$(grep -c '^evil:' "$ROOT/etc/passwd")" 0
    has "output" "$OUTPUT" "no password is right"
    if [ "$bad" != '$6$a$' ]; then discard; fi
  done
}

case_c10_links_in_home_workspace_and_shared_are_never_followed_by_root() {
  prepare links base
  mkdir -p "$ROOT/srv/alice" "$ROOT/workspace"
  echo secret >"$ROOT/srv/alice/canary"
  chmod 0700 "$ROOT/srv/alice"
  chmod 0600 "$ROOT/srv/alice/canary"
  chown -R 4321:4321 "$ROOT/srv/alice"
  mount --bind "$ROOT/home/dev" "$ROOT/workspace"
  chown 1000:1000 "$ROOT/home/dev" "$ROOT/shared"
  ln -s /srv/alice "$ROOT/shared/data"
  ln -s /srv/alice "$ROOT/home/dev/.ssh"
  ln -s /srv/alice/canary "$ROOT/home/dev/.profile"
  mkdir -p "$ROOT/home/dev/.local/state"
  ln -s /srv/alice "$ROOT/home/dev/.local/state/devserver"
  chown -hR 1000:1000 "$ROOT/home/dev"
  local before
  before=$(stat -c '%u:%g %a %Y %i' "$ROOT/srv/alice" "$ROOT/srv/alice/canary")
  start
  started
  # What the agent starts for the user goes where the user could go, and no further.
  OUTPUT=$(inside /opt/devserver/bin/devserver-agent as-login-user --log .local/state/devserver/canary -- id -u)
  has "log" "$OUTPUT" "failed to open"
  OUTPUT=$(inside /opt/devserver/bin/devserver-agent as-login-user -- /bin/sh /opt/devserver/libexec/install-packages)
  is "alice's files" "$(stat -c '%u:%g %a %Y %i' "$ROOT/srv/alice" "$ROOT/srv/alice/canary")" "$before"
  is "content" "$(cat "$ROOT/srv/alice/canary")" secret
  umount "$ROOT/workspace"
}

# fake_python BODY: a python3 that records how pip was called, one word in brackets each.
fake_python() {
  mkdir -p "$ROOT/usr/local/bin"
  cat >"$ROOT/usr/local/bin/python3" <<EOF
#!/bin/sh
case \$1 in -c) echo "/usr (3, 11)"; exit 0 ;; esac
if [ "\$2" = site ]; then echo /home/dev/.local/lib/python3.11/site-packages; exit 0; fi
shift 2
if [ "\$1" = --version ]; then echo pip 23; exit 0; fi
{ printf '[%s]' "\$@"; echo " \${PIP_BREAK_SYSTEM_PACKAGES:-} \${PIP_CONFIG_FILE:-}"; } >>/home/dev/calls
$1
EOF
  chmod 0755 "$ROOT/usr/local/bin/python3"
}

install_packages() {
  OUTPUT=$(inside env PATH=/usr/local/bin:/usr/bin:/bin /opt/devserver/bin/devserver-agent \
    as-login-user -- /bin/sh /opt/devserver/libexec/install-packages)
  STATUS=$?
}

case_packages_are_installed_once_into_the_home() {
  prepare packages base
  start
  printf 'numpy==2.1\nhttpx[http2]>=0.27\n' >"$ROOT/etc/devserver/sshd/pip-requirements.txt"
  printf '[global]\nindex-url = https://pip.example.com/simple\n' >"$ROOT/etc/devserver/sshd/pip.conf"
  fake_python 'mkdir -p /home/dev/.local/lib/python3.11/site-packages'
  install_packages
  is "exit status" "$STATUS" 0
  is "calls" "$(cat "$ROOT/home/dev/calls")" \
    "[install][--user][-r][/etc/devserver/sshd/pip-requirements.txt] 1 /etc/devserver/sshd/pip.conf"
  install_packages
  is "exit status of the second start" "$STATUS" 0
  has "output of the second start" "$OUTPUT" unchanged
  is "calls after the second start" "$(wc -l <"$ROOT/home/dev/calls")" 1
  echo 'rich' >>"$ROOT/etc/devserver/sshd/pip-requirements.txt"
  install_packages
  is "calls after a change" "$(wc -l <"$ROOT/home/dev/calls")" 2
  is "owner" "$(stat -c %u "$ROOT/home/dev/.local/state/devserver/pip-installed")" 1000
}

case_package_that_fails_keeps_out_no_other_and_is_shown_at_login() {
  prepare packages-failed base
  start
  printf 'good\nno-such-package\nbetter\n' >"$ROOT/etc/devserver/sshd/pip-requirements.txt"
  fake_python 'case "$*" in *-r* | *no-such*) echo "No matching distribution"; exit 1 ;; esac'
  install_packages
  is "exit status" "$STATUS" 1
  is "calls" "$(wc -l <"$ROOT/home/dev/calls")" 4
  has "told" "$(cat "$ROOT/home/dev/.local/state/devserver/pip-failed")" "Not installed: no-such-package."
  OUTPUT=$(script -qec "chroot '$ROOT' setpriv --reuid=1000 --regid=1000 --clear-groups env HOME=/home/dev bash -lc true" /dev/null)
  has "login" "$OUTPUT" "Not installed: no-such-package."
  fake_python 'mkdir -p /home/dev/.local/lib/python3.11/site-packages'
  install_packages
  is "exit status of the next start" "$STATUS" 0
  is "told after the next start" "$(ls "$ROOT/home/dev/.local/state/devserver/pip-failed" 2>/dev/null)" ""
}

case_packages_of_an_image_with_python_2_alone_are_for_that() {
  prepare packages-python2 busybox
  start
  echo numpy >"$ROOT/etc/devserver/sshd/pip-requirements.txt"
  fake_python 'mkdir -p /home/dev/.local/lib/python2.7/site-packages'
  mv "$ROOT/usr/local/bin/python3" "$ROOT/usr/local/bin/python2"
  install_packages
  is "exit status" "$STATUS" 0
  is "calls" "$(cat "$ROOT/home/dev/calls")" "[install][--user][-r][/etc/devserver/sshd/pip-requirements.txt] 1 "
}

case_image_without_pip_says_so() {
  prepare packages-none busybox
  start
  echo numpy >"$ROOT/etc/devserver/sshd/pip-requirements.txt"
  install_packages
  is "exit status" "$STATUS" 3
  has "told" "$(cat "$ROOT/home/dev/.local/state/devserver/pip-failed")" "no Python with pip"
}

case_login_shell_of_the_sidecar_is_quiet_for_commands_and_greets_terminals() {
  prepare login-shell base
  is "command" "$(inside env HOME=/home/dev /opt/devserver/libexec/login-shell -c 'echo $SHELL')" /bin/bash
  OUTPUT=$(script -qec "chroot '$ROOT' env HOME=/home/dev /opt/devserver/libexec/login-shell" /dev/null <<<exit)
  has "terminal" "$OUTPUT" Welcome
  rm -f "$ROOT/bin/bash" "$ROOT/usr/bin/bash"
  is "without bash" "$(inside env HOME=/home/dev /opt/devserver/libexec/login-shell -c 'echo $SHELL')" /bin/sh
}

# As codercom/code-server has it.
image_of_coder() {
  echo 'coder:x:1000:1000:Coder:/home/coder:/bin/bash' >>"$ROOT/etc/passwd"
  echo 'coder:x:1000:' >>"$ROOT/etc/group"
  echo 'coder:!:19000:0:99999:7:::' >>"$ROOT/etc/shadow"
  mkdir -p "$ROOT/home/coder" "$ROOT/workspace"
  mount --bind "$ROOT/home/coder" "$ROOT/workspace"
}

case_image_made_for_another_user_keeps_its_name_and_home() {
  prepare coder base
  image_of_coder
  start_with : env DEVSERVER_LOGIN_USER=coder
  is "exit status" "$STATUS" 0
  is "name of uid 1000" "$(awk -F: '$3 == 1000 { print $1 }' "$ROOT/etc/passwd")" coder
  is "user dev" "$(grep -c '^dev:' "$ROOT/etc/passwd" "$ROOT/etc/group" | tr '\n' ' ')" "$ROOT/etc/passwd:0 $ROOT/etc/group:0 "
  is "entry" "$(entry passwd coder)" "coder:x:1000:1000:Coder:/home/coder:/bin/bash"
  is "the account is not locked" "$(entry shadow coder | cut -d: -f2)" '*'
  is "owner of the home" "$(stat -c %u:%g "$ROOT/home/coder" "$ROOT/workspace" | tr '\n' ' ')" "1000:1000 1000:1000 "
  is "skeleton" "$(stat -c %u "$ROOT/home/coder/.bashrc")" 1000
  as_coder() { inside env DEVSERVER_LOGIN_USER=coder /opt/devserver/bin/devserver-agent as-login-user -- "$@"; }
  is "who and where" "$(as_coder sh -c 'echo $(id -un) $USER $HOME')" "coder coder /home/coder"
  is "doas id -u" "$(as_coder doas id -u)" 0
  is "keys" "$(inside /opt/devserver/bin/devserver-agent authorized-keys dev coder)" ""
  local before
  before=$(cat "$ROOT/etc/passwd" "$ROOT/etc/group" "$ROOT/etc/shadow")
  start_with : env DEVSERVER_LOGIN_USER=coder
  is "accounts after the second start" "$(cat "$ROOT/etc/passwd" "$ROOT/etc/group" "$ROOT/etc/shadow")" "$before"
  umount "$ROOT/workspace"
}

case_without_the_field_the_user_of_such_an_image_is_called_dev() {
  prepare coder-as-dev base
  image_of_coder
  start
  started
  is "user coder" "$(grep -c '^coder:' "$ROOT/etc/passwd")" 0
  umount "$ROOT/workspace"
}

case_an_image_without_the_named_user_gets_it() {
  prepare vscode busybox
  start_with : env DEVSERVER_LOGIN_USER=vscode
  is "exit status" "$STATUS" 0
  is "uid and home" "$(entry passwd vscode | cut -d: -f3,6)" "1000:/home/vscode"
  is "owner of the home" "$(stat -c %u "$ROOT/home/vscode")" 1000
}

case_a_user_of_the_system_is_never_the_login_user() {
  local name
  for name in daemon root ../etc; do
    prepare system base
    local before
    before=$(cat "$ROOT/etc/passwd" "$ROOT/etc/group")
    start_with : env DEVSERVER_LOGIN_USER="$name"
    is "exit status of $name" "$STATUS" 78
    has "output of $name" "$OUTPUT" "$name"
    is "accounts after $name" "$(cat "$ROOT/etc/passwd" "$ROOT/etc/group")" "$before"
    is "left-over files" "$(find "$ROOT/etc" -name '*.lock' -not -name .pwd.lock)" ""
    if [ "$name" != ../etc ]; then discard; fi
  done
}
