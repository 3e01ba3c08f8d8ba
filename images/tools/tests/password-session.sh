#!/usr/bin/env bash
# password-session.sh ROOT: starts the environment in ROOT under the agent and logs in by password with the stock client.
# Prints what it saw, one fact per line. Runs as root in mount, pid and network namespaces made for it.
set -u
root=$1 client=$1.client

# by_password TEXT COMMAND: the client asks a program for the password.
by_password() {
  printf '#!/bin/sh\nprintf "%%s\\n" "%s"\n' "$1" >"$client/askpass"
  chmod 0755 "$client/askpass"
  SSH_ASKPASS=$client/askpass SSH_ASKPASS_REQUIRE=force ssh -F "$client/config" -o PreferredAuthentications=password \
    -o NumberOfPasswordPrompts=1 box "$2" 2>&1 </dev/null
}

# await_password TEXT OUTCOME: until a login with it ends so (dev or denied), twenty seconds at most.
await_password() {
  for _ in $(seq 20); do
    case $(by_password "$1" 'id -un' | tail -n 1) in
      dev) if [ "$2" = dev ]; then return; fi ;;
      *) if [ "$2" = denied ]; then return; fi ;;
    esac
    sleep 1
  done
}

ip link set lo up
mount -t proc proc "$root/proc"
mount -t tmpfs dev "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/urandom" c 1 9
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
DEVSERVER_PASSWORD_LOGIN=yes chroot "$root" /opt/devserver/bin/devserver-agent init -- /bin/sh /opt/devserver/startup.sh >"$client/log" 2>&1 &
agent=$!
for _ in $(seq 200); do
  if curl -fs http://127.0.0.1:9022/healthz >/dev/null; then break; fi
  sleep 0.05
done
echo "right: $(by_password 'correct horse' 'id -un' | tail -n 1)"
echo "wrong: $(by_password 'correct hors' 'id -un' | tail -n 1)"
echo "empty: $(by_password '' 'id -un' | tail -n 1)"
echo "key: $(ssh -F "$client/config" -o BatchMode=yes box 'id -un' 2>&1 </dev/null | tail -n 1)"
# As the kubelet does: another file under the name.
openssl passwd -6 'battery staple' >"$root/etc/devserver/authorized-keys/.new"
mv "$root/etc/devserver/authorized-keys/.new" "$root/etc/devserver/authorized-keys/password-hash"
await_password 'battery staple' dev
echo "changed: $(by_password 'battery staple' 'id -un' | tail -n 1)"
echo "old: $(by_password 'correct horse' 'id -un' | tail -n 1)"
rm "$root/etc/devserver/authorized-keys/password-hash"
await_password 'battery staple' denied
echo "withdrawn: $(by_password 'battery staple' 'id -un' | tail -n 1)"
kill -TERM $agent
wait $agent
