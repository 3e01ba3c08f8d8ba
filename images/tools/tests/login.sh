# shellcheck shell=bash disable=SC2154 # STATUS, OUTPUT, ROOT, problems: startup-test.sh
# The cases with the real sshd: the agent as first process, a login over loopback, all in namespaces of their own.

# client_config KEY: what `ssh -F` needs; the key of the host is known, as devctl does it.
client_config() {
  cat <<EOF
Host box
  HostName 127.0.0.1
  User dev
  IdentityFile $ROOT.client/$1
  IdentitiesOnly yes
  UserKnownHostsFile $ROOT.client/known_hosts
  StrictHostKeyChecking yes
  ConnectTimeout 5
EOF
}

case_real_sshd_in_a_debian_image_lets_the_user_in_and_ends_gracefully() {
  prepare login-debian base
  cp -a "$WORK/image/tools/sbin/sshd" "$ROOT/opt/devserver/sbin/sshd"
  log_in
}

# The tools get there as by the init container of a cluster without image volumes.
case_real_sshd_in_a_busybox_image_with_copied_tools_does_the_same() {
  prepare login-busybox busybox
  rm -rf "$ROOT/opt/devserver"
  mkdir -p "$ROOT/opt/devserver" "$WORK/image/tools/target"
  chmod 0777 "$ROOT/opt/devserver"
  mount --bind "$ROOT/opt/devserver" "$WORK/image/tools/target"
  chroot "$WORK/image/tools" /bin/devserver-agent copy / /target 2>/dev/null
  is "exit status of the copy" $? 0
  umount "$WORK/image/tools/target"
  rmdir "$WORK/image/tools/target"
  log_in
}

# The hash is made by another program than the one that checks it.
case_s3_16_password_of_an_allowed_hash_lets_in_and_no_other() {
  prepare password-login base
  cp -a "$WORK/image/tools/sbin/sshd" "$ROOT/opt/devserver/sbin/sshd"
  make_keys
  openssl passwd -6 'correct horse' >"$ROOT/etc/devserver/authorized-keys/password-hash"
  # The test logs in more often than anybody, and many a time in vain.
  sed -i 's/^PasswordAuthentication no/PasswordAuthentication yes\nPerSourcePenalties no/' "$ROOT/etc/devserver/sshd/sshd_config"
  OUTPUT=$(unshare --mount --net --pid --fork --mount-proc --kill-child -- bash "$HERE/password-session.sh" "$ROOT" 2>&1)
  has "right password" "$OUTPUT" $'right: dev\n'
  has "wrong password" "$OUTPUT" "wrong: dev@127.0.0.1: Permission denied"
  has "no password" "$OUTPUT" "empty: dev@127.0.0.1: Permission denied"
  has "key" "$OUTPUT" "key: dev"
  has "changed password" "$OUTPUT" "changed: dev"
  has "password of before" "$OUTPUT" "old: dev@127.0.0.1: Permission denied"
  has "password withdrawn" "$OUTPUT" "withdrawn: dev@127.0.0.1: Permission denied"
  [ -z "$problems" ] || problems+="    session: $OUTPUT"$'\n'"    log: $(tail -n 40 "$ROOT.client/log")"$'\n'
  rm -rf "$ROOT.client"
}

make_keys() {
  mkdir -p "$ROOT.client" "$ROOT/etc/devserver/host-keys" "$ROOT/etc/devserver/authorized-keys"
  local keygen=$WORK/image/tools/bin/ssh-keygen kind
  for kind in ed25519 ecdsa; do
    "$keygen" -q -t $kind -N '' -f "$ROOT/etc/devserver/host-keys/ssh_host_${kind}_key"
  done
  "$keygen" -q -t ed25519 -N '' -f "$ROOT.client/key"
  "$keygen" -q -t ed25519 -N '' -f "$ROOT.client/other"
  cp "$ROOT.client/key.pub" "$ROOT/etc/devserver/authorized-keys/authorized_keys"
  echo "127.0.0.1 $(cat "$ROOT/etc/devserver/host-keys/ssh_host_ed25519_key.pub")" >"$ROOT.client/known_hosts"
  cp "$HERE/sshd_config" "$ROOT/etc/devserver/sshd/sshd_config"
  client_config key >"$ROOT.client/config"
  client_config other >"$ROOT.client/config-other"
}

log_in() {
  make_keys
  OUTPUT=$(unshare --mount --net --pid --fork --mount-proc --kill-child -- bash "$HERE/login-session.sh" "$ROOT" 2>&1)
  has "health" "$OUTPUT" "health: ok"
  has "who, as whom, where" "$OUTPUT" "id: 1000 dev /home/dev"
  has "root by doas" "$OUTPUT" "doas: 0"
  has "PATH of commands" "$OUTPUT" "path: PATH=/opt/image/bin:"
  has "variables of the configuration" "$OUTPUT" "devserver: DEVSERVER=true"
  has "tools found by commands" "$OUTPUT" "tools: /opt/devserver/bin/devctl"
  has "exit status" "$OUTPUT" "exit: 7"
  has "no motd for commands" "$OUTPUT" $'quiet: \n'
  has "motd at a terminal" "$OUTPUT" "terminal: 1"
  has "scp" "$OUTPUT" "scp: hello"
  has "root refused" "$OUTPUT" "root: root@127.0.0.1: Permission denied (publickey)."
  has "other key refused" "$OUTPUT" "stranger: dev@127.0.0.1: Permission denied (publickey)."
  has "status of the agent" "$OUTPUT" "status: 0"
  has "farewell on the terminal" "$OUTPUT" "told: 1"
  has "hang-up reached the session" "$OUTPUT" "farewell: hung-up"
  if ! grep -qE '^seconds: [0-5]$' <<<"$OUTPUT"; then problems+="    slow end"$'\n'; fi
  [ -z "$problems" ] || problems+="    session: $OUTPUT"$'\n'"    log: $(tail -n 40 "$ROOT.client/log")"$'\n'
  rm -rf "$ROOT.client"
}
