# shellcheck shell=bash disable=SC2154,SC2016 # variables of startup-test.sh; text for shells inside
# The cases of startup-test.sh that need no network: each a function, its name the promise.

case_plain_busybox_image_gets_the_user_and_doas() {
  prepare plain-busybox busybox
  start
  started
  is "shell" "$(entry passwd dev | cut -d: -f7)" /bin/sh
  is "mode of doas" "$(stat -c '%u %a' "$ROOT/usr/local/bin/doas")" "0 4755"
  is "mode of doas.conf" "$(stat -c '%u %a' "$ROOT/etc/doas.conf")" "0 400"
  becomes_root doas
  becomes_root sudo
}

case_plain_debian_image_gets_bash_and_the_skeleton() {
  prepare plain-debian base
  start
  started
  is "shell" "$(entry passwd dev | cut -d: -f7)" /bin/bash
  is "skeleton" "$(stat -c %u "$ROOT/home/dev/.bashrc")" 1000
  becomes_root doas
  has "PATH of login shells" "$(inside bash -lc 'echo $PATH')" /opt/devserver/bin
  has "PATH of login shells" "$(inside bash -lc 'echo $PATH')" /usr/local/bin
}

case_every_common_shell_runs_the_script() {
  local shell
  for shell in /bin/dash /bin/bash "/bin/bash --posix"; do
    prepare shells base
    # shellcheck disable=SC2086 # the option is a word of its own
    start_with : $shell
    started
    if [ "$shell" != "/bin/bash --posix" ]; then discard; fi
  done
}

case_second_start_changes_no_file() {
  prepare second base
  start
  started
  local before
  before=$(cd "$ROOT" && find etc home usr/local -printf '%p %T@ %i %m %U\n' | grep -vE '^etc(/motd)? |doas|^usr/local/bin ' | sort)
  start
  started
  is "files after the second start" \
    "$(cd "$ROOT" && find etc home usr/local -printf '%p %T@ %i %m %U\n' | grep -vE '^etc(/motd)? |doas|^usr/local/bin ' | sort)" "$before"
  is "rules for doas" "$(wc -l <"$ROOT/etc/doas.conf")" 1
}

case_user_ubuntu_with_our_id_is_renamed_and_keeps_its_groups() {
  prepare ubuntu base
  echo 'ubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/bash' >>"$ROOT/etc/passwd"
  echo 'ubuntu:$6$hash:19000:0:99999:7:::' >>"$ROOT/etc/shadow"
  printf '%s\n' 'ubuntu:x:1000:' 'docker:x:998:someone,ubuntu,other' 'video2:x:997:ubuntu' >>"$ROOT/etc/group"
  printf '%s\n' 'ubuntu:!::' 'docker:!::someone,ubuntu,other' >>"$ROOT/etc/gshadow"
  start
  started
  is "ubuntu in passwd" "$(grep -c '^ubuntu:' "$ROOT/etc/passwd")" 0
  is "groups" "$(inside id -Gn dev)" "dev docker video2"
  is "members of docker" "$(entry group docker)" "docker:x:998:someone,dev,other"
  is "members in gshadow" "$(entry gshadow docker)" "docker:!::someone,dev,other"
  is "password" "$(entry shadow dev)" 'dev:$6$hash:19000:0:99999:7:::'
  is "real name" "$(entry passwd dev | cut -d: -f5)" Ubuntu
}

case_group_with_our_id_and_another_name_is_renamed() {
  prepare group busybox
  echo 'staff:x:1000:alice' >>"$ROOT/etc/group"
  start
  started
  is "group" "$(entry group dev)" "dev:x:1000:alice"
  is "old group" "$(grep -c '^staff:' "$ROOT/etc/group")" 0
}

case_user_dev_with_another_id_moves_to_ours() {
  prepare moved base
  echo 'dev:x:1005:1005::/srv/dev:/bin/sh' >>"$ROOT/etc/passwd"
  echo 'dev:!!:19000::::::' >>"$ROOT/etc/shadow"
  echo 'dev:x:1005:' >>"$ROOT/etc/group"
  start
  started
  is "shadow" "$(entry shadow dev)" 'dev:*:19000::::::'
}

case_user_dev_beside_another_owner_of_the_id_comes_first() {
  prepare beside busybox
  printf '%s\n' 'node:x:1000:1000::/home/node:/bin/sh' 'dev:x:1005:1005::/home/dev:/bin/sh' >>"$ROOT/etc/passwd"
  printf '%s\n' 'node:x:1000:' 'dev:x:1005:bob' >>"$ROOT/etc/group"
  start
  started
  is "group" "$(entry group dev)" "dev:x:1000:bob"
  is "node is still known" "$(entry passwd node)" 'node:x:1000:1000::/home/node:/bin/sh'
}

case_image_without_useradd_bash_and_profile_works() {
  prepare masked base
  rm -f "$ROOT"/usr/sbin/{useradd,usermod,groupadd,groupmod} "$ROOT"/bin/bash "$ROOT"/usr/bin/bash
  rm -rf "$ROOT/etc/profile.d" "$ROOT/etc/skel"
  start
  started
  is "shell" "$(entry passwd dev | cut -d: -f7)" /bin/sh
}

case_red_hat_style_locked_account_is_opened_for_keys_only() {
  prepare redhat base
  echo 'dev:x:1000:1000::/home/dev:/bin/bash' >>"$ROOT/etc/passwd"
  echo 'dev:!!:19000:0:99999:7:::' >>"$ROOT/etc/shadow"
  echo 'dev:x:1000:' >>"$ROOT/etc/group"
  echo 'dev:!::' >>"$ROOT/etc/gshadow"
  chmod 0000 "$ROOT/etc/shadow"
  start
  started
  is "password field" "$(entry shadow dev | cut -d: -f2)" '*'
  is "mode of shadow" "$(stat -c %a "$ROOT/etc/shadow")" 0
}

case_account_without_password_is_closed_for_passwords() {
  prepare nopassword busybox
  echo 'dev::1000:1000::/home/dev:/bin/sh' >>"$ROOT/etc/passwd"
  rm "$ROOT/etc/shadow"
  start
  started
  is "password field" "$(entry passwd dev | cut -d: -f2)" '*'
}

case_nologin_shell_is_replaced_and_a_chosen_one_kept() {
  prepare nologin base
  echo 'dev:x:1000:1000::/home/dev:/usr/sbin/nologin' >>"$ROOT/etc/passwd"
  start
  started
  is "shell" "$(entry passwd dev | cut -d: -f7)" /bin/bash
  cp "$ROOT/bin/bash" "$ROOT/bin/zsh"
  sed -i 's,^\(dev:.*\):/bin/bash$,\1:/bin/zsh,' "$ROOT/etc/passwd"
  start
  started
  is "chosen shell" "$(entry passwd dev | cut -d: -f7)" /bin/zsh
}

case_comments_and_nis_lines_survive() {
  prepare odd busybox
  printf '%s\n' '# a comment: with: colons' '+::::::' >>"$ROOT/etc/passwd"
  printf 'last:x:500:' >>"$ROOT/etc/group" # no newline at the end
  start
  started
  is "comment" "$(grep -c '^# a comment: with: colons$' "$ROOT/etc/passwd")" 1
  is "NIS line" "$(grep -c '^+::::::$' "$ROOT/etc/passwd")" 1
  is "last group" "$(entry group last)" 'last:x:500:'
}

case_read_only_passwd_file_is_a_clear_error() {
  prepare readonly busybox
  start_with 'mount --bind "$1/etc/passwd" "$1/etc/passwd"; mount -o remount,ro,bind "$1/etc/passwd"'
  is "exit status" "$STATUS" 78
  has "output" "$OUTPUT" "/etc/passwd cannot be written"
  has "termination log" "$(cat "$ROOT/dev/termination-log")" "read-only"
  has "remedy" "$(cat "$ROOT/dev/termination-log")" "dev:x:1000:1000:"
  is "sshd was not started" "$(cat "$ROOT/sshd-calls" 2>/dev/null)" ""
}

case_read_only_passwd_file_that_is_right_already_is_fine() {
  prepare readonly-right busybox
  start
  started
  start_with 'mount --bind "$1/etc" "$1/etc"; mount -o remount,ro,bind "$1/etc"'
  started
}

case_passwd_file_that_is_a_writable_mount_is_written_in_place() {
  prepare mounted busybox
  start_with 'mount --bind "$1/etc/passwd" "$1/etc/passwd"'
  started
}

case_stale_lock_of_the_account_files_is_removed() {
  prepare lock busybox
  echo 999999 >"$ROOT/etc/passwd.lock"
  start
  started
  has "output" "$OUTPUT" "stale lock"
}

case_existing_sudo_is_kept_and_opened() {
  prepare sudo base
  mkdir -p "$ROOT/etc/sudoers.d"
  printf '#!/bin/sh\nexit 0\n' >"$ROOT/usr/bin/sudo"
  chmod 0755 "$ROOT/usr/bin/sudo"
  start
  started
  is "drop-in" "$(cat "$ROOT/etc/sudoers.d/devserver")" "dev ALL=(ALL:ALL) NOPASSWD: ALL"
  is "mode of the drop-in" "$(stat -c %a "$ROOT/etc/sudoers.d/devserver")" 440
  is "doas" "$(ls "$ROOT/usr/local/bin/doas" 2>/dev/null)" ""
}

case_sudo_that_refuses_stays_and_doas_is_added() {
  prepare sudo-broken base
  printf '#!/bin/sh\nexit 1\n' >"$ROOT/usr/bin/sudo"
  chmod 0755 "$ROOT/usr/bin/sudo"
  start
  started
  becomes_root doas
  is "sudo link" "$(ls "$ROOT/usr/local/bin/sudo" 2>/dev/null)" ""
}

case_rules_of_an_existing_doas_stay_in_force() {
  prepare doas busybox
  echo 'permit nopass :wheel' >"$ROOT/etc/doas.conf"
  start
  started
  is "rules" "$(tr '\n' '|' <"$ROOT/etc/doas.conf")" 'permit nopass :wheel|permit nopass keepenv dev|'
  becomes_root doas
}

case_files_in_the_home_are_never_touched_as_root() {
  prepare canary base
  mkdir -p "$ROOT/srv/other"
  echo secret >"$ROOT/srv/other/canary"
  chown -R 1000:1000 "$ROOT/home/dev"
  ln -s /srv/other "$ROOT/home/dev/.ssh"
  ln -s /srv/other/canary "$ROOT/home/dev/.bashrc"
  touch "$ROOT/home/dev/foreign"
  chown 4321:4321 "$ROOT/home/dev/foreign"
  local before
  before=$(stat -c '%u:%g %a %Y' "$ROOT/srv/other" "$ROOT/srv/other/canary" "$ROOT/home/dev" "$ROOT/home/dev/foreign")
  start
  started
  is "canary" "$(stat -c '%u:%g %a %Y' "$ROOT/srv/other" "$ROOT/srv/other/canary" "$ROOT/home/dev" "$ROOT/home/dev/foreign")" "$before"
  is "content" "$(cat "$ROOT/srv/other/canary")" secret
}

case_home_that_is_a_link_is_refused() {
  prepare link busybox
  rmdir "$ROOT/home/dev"
  mkdir "$ROOT/srv"
  ln -s /srv "$ROOT/home/dev"
  start
  is "exit status" "$STATUS" 78
  has "output" "$OUTPUT" "symbolic link"
  is "owner behind the link" "$(stat -c %u "$ROOT/srv")" 0
}

case_large_home_with_a_wrong_owner_changes_only_the_top() {
  prepare large busybox
  mkdir "$ROOT/home/dev/project"
  touch "$ROOT/home/dev/project/file"
  chmod 0777 "$ROOT/home/dev"
  start
  started
  is "mode of the home" "$(stat -c %a "$ROOT/home/dev")" 755
  is "owner below" "$(stat -c %u "$ROOT/home/dev/project" "$ROOT/home/dev/project/file" | tr '\n' ' ')" "0 0 "
}

case_read_only_home_is_a_warning_only() {
  prepare rohome busybox
  start_with 'mount --bind "$1/home/dev" "$1/home/dev"; mount -o remount,ro,bind "$1/home/dev"'
  is "exit status" "$STATUS" 0
  has "output" "$OUTPUT" "cannot be changed"
  is "last call of sshd" "$(tail -n 1 "$ROOT/sshd-calls")" "-D -e -f /etc/devserver/sshd/sshd_config -o SetEnv PATH=$SESSION_PATH"
}

case_refused_sshd_configuration_is_told() {
  prepare badconfig busybox
  printf '#!/bin/sh\ncase $1 in -t) echo "line 7: Bad option"; exit 255 ;; esac\n' >"$ROOT/opt/devserver/sbin/sshd"
  start
  is "exit status" "$STATUS" 78
  has "termination log" "$(cat "$ROOT/dev/termination-log")" "line 7: Bad option"
}

case_missing_configuration_is_told() {
  prepare noconfig busybox
  rm "$ROOT/etc/devserver/sshd/sshd_config"
  start
  is "exit status" "$STATUS" 78
  has "termination log" "$(cat "$ROOT/dev/termination-log")" "not mounted"
}

case_start_without_root_is_refused() {
  prepare noroot busybox
  OUTPUT=$(chroot --userspec=1000:1000 "$ROOT" /opt/devserver/startup.sh 2>&1)
  is "exit status" $? 78
  has "output" "$OUTPUT" "must run as root"
}
