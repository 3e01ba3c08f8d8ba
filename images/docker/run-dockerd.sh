#!/bin/sh
# Keeps a Docker daemon running for the container beside it: `run-dockerd rootless` in a user namespace, without any right over
# the node, or `run-dockerd privileged`. A daemon that ends is started again from here, later and later: the pod stays Ready, so
# that nobody is locked out of the machine because of its Docker.

set -u
SOCKET=/run/devserver-docker/docker.sock
mode=${1:-}
set -- --host "unix://$SOCKET" --group 1000 --data-root /var/lib/docker --exec-root /run/docker --pidfile /run/docker.pid \
  --storage-driver overlay2

say() { printf 'run-dockerd: %s\n' "$*" >&2; }

# A group may hold either processes or groups with controllers: with version 2, ours move out of the way of the containers.
make_room_for_groups() {
  groups=/sys/fs/cgroup
  if [ ! -f $groups/cgroup.controllers ] || [ ! -w $groups/cgroup.subtree_control ]; then return 0; fi
  mkdir -p $groups/init
  while read -r process; do echo "$process" >$groups/init/cgroup.procs; done <$groups/cgroup.procs 2>/dev/null
  sed -e 's/ / +/g' -e 's/^/+/' <$groups/cgroup.controllers >$groups/cgroup.subtree_control
}

case $mode in
  # Root here is nobody on the node; dockerd then leaves alone what only the node's root may do.
  rootless)
    XDG_RUNTIME_DIR=/run HOME=/root
    export XDG_RUNTIME_DIR HOME
    set -- --rootless "$@"
    ;;
  privileged) make_room_for_groups || say "the control groups cannot be prepared; limits of containers may not work" ;;
  *)
    say "usage: run-dockerd rootless|privileged"
    exit 64
    ;;
esac

daemon='' ending=''
trap 'ending=yes; if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null; fi' TERM INT
wait_seconds=1
while [ -z "$ending" ]; do
  rm -f /run/docker.pid
  began=$(date +%s)
  dockerd "$@" &
  daemon=$!
  # A signal ends `wait` before the daemon has ended.
  while kill -0 "$daemon" 2>/dev/null; do wait "$daemon"; status=$?; done
  if [ -n "$ending" ]; then break; fi
  if [ $(($(date +%s) - began)) -ge 60 ]; then wait_seconds=1; fi
  say "dockerd ended with status $status; it is started again in $wait_seconds s"
  sleep "$wait_seconds"
  wait_seconds=$((wait_seconds * 2))
  if [ $wait_seconds -gt 60 ]; then wait_seconds=60; fi
done
