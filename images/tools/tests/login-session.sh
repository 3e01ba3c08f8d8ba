#!/usr/bin/env bash
# login-session.sh ROOT: starts the environment in ROOT under the agent, logs in with the stock client,
# stops it, and prints what it saw, one fact per line. Runs as root in mount, pid and network
# namespaces made for it. ROOT.client holds the client's files.
set -u
root=$1 client=$1.client

# wait_for COMMAND…: until it succeeds, ten seconds at most.
wait_for() {
  local _
  for _ in $(seq 200); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.05
  done
  echo "gave up waiting for: $*"
}

make_devices() {
  mount -t tmpfs dev "$root/dev"
  while read -r name major minor; do
    mknod -m 666 "$root/dev/$name" c "$major" "$minor"
  done <<<"null 1 3
zero 1 5
random 1 8
urandom 1 9
tty 5 0"
  mkdir "$root/dev/pts"
  mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
}

connect() { ssh -F "$client/config" "$@" 2>&1; }

ip link set lo up
mount -t proc proc "$root/proc"
make_devices
# No more rights than a careful pod has; containerd opens the low ports the same way.
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
capabilities=-all,+chown,+dac_override,+fowner,+setuid,+setgid,+sys_chroot,+kill
PATH=/opt/image/bin:$PATH setpriv --bounding-set=$capabilities chroot "$root" \
  /opt/devserver/bin/devserver-agent init -- /bin/sh /opt/devserver/startup.sh >"$client/log" 2>&1 &
agent=$!
wait_for curl -fs http://127.0.0.1:9022/healthz
echo "health: $(curl -s http://127.0.0.1:9022/healthz)"

echo "id: $(connect box 'id -u; id -un; pwd' </dev/null | tr '\n' ' ')"
echo "doas: $(connect box doas id -u </dev/null)"
echo "path: $(connect box env </dev/null | grep ^PATH=)"
echo "devserver: $(connect box env </dev/null | grep ^DEVSERVER=)"
echo "tools: $(connect box command -v devctl </dev/null)"
connect box 'exit 7' </dev/null
echo "exit: $?"
echo "quiet: $(connect box true </dev/null)"
# Typed when the greeting is there: an echo of it in the middle of the greeting would spoil the line.
# shellcheck disable=SC2094 # that is the point: what comes out decides when something goes in
{
  for _ in $(seq 100); do
    if grep -q '^Welcome' "$client/terminal" 2>/dev/null; then break; fi
    sleep 0.1
  done
  echo exit
} | connect -tt box >"$client/terminal"
echo "terminal: $(tr -d '\r' <"$client/terminal" | grep -c '^Welcome$')"
echo hello >"$client/file"
scp -q -F "$client/config" "$client/file" box:copied
echo "scp: $(cat "$root/home/dev/copied" 2>&1)"
echo "root: $(connect -l root box true </dev/null | tail -n 1)"
echo "stranger: $(ssh -F "$client/config-other" box true 2>&1 </dev/null | tail -n 1)"

connect -tt box 'trap "echo hung-up >farewell; exit" HUP; touch waiting; while :; do sleep 0.1; done' \
  </dev/null >"$client/session" &
wait_for test -e "$root/home/dev/waiting"
started=$SECONDS
kill -TERM $agent
wait $agent
echo "status: $?"
echo "seconds: $((SECONDS - started))"
echo "told: $(grep -c 'being stopped' "$client/session")"
echo "farewell: $(cat "$root/home/dev/farewell" 2>&1)"
