#!/bin/sh
# Installs the packages of spec.packages.pip into the home, as the login user. The agent starts it in the background when
# sshd is there, and shows how it ended: 0 all are there, 3 the image has no pip, anything else some are missing.
# They are for Python 3 where the image has one with pip, else for the Python there is.
# The operator has checked that each line of the list is one package and nothing else.

set -u
CONFIG=/etc/devserver/sshd
LIST=$CONFIG/pip-requirements.txt
STATE=$HOME/.local/state/devserver
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
# Below the home and nowhere else, whatever PEP 668 says about the system's own packages. An older pip ignores what it
# does not know.
PIP_BREAK_SYSTEM_PACKAGES=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
export PATH PIP_BREAK_SYSTEM_PACKAGES PIP_DISABLE_PIP_VERSION_CHECK PIP_NO_INPUT
if [ -f "$CONFIG/pip.conf" ]; then
  PIP_CONFIG_FILE=$CONFIG/pip.conf
  export PIP_CONFIG_FILE
fi

# missing STATUS TEXT: what the next login shows.
missing() {
  printf '%s\n' "$2" >"$STATE/pip-failed"
  printf '%s\n' "$2"
  exit "$1"
}

install() { "$PYTHON" -m pip install --user "$@" </dev/null; }

mkdir -p "$STATE" || exit 1
PYTHON=''
for python in python3 python python2; do
  if "$python" -m pip --version; then PYTHON=$python && break; fi
done
if [ -z "$PYTHON" ]; then
  missing 3 "The packages of spec.packages.pip were not installed: this image has no Python with pip."
fi
# Another Python looks into another folder.
wanted=$("$PYTHON" -c 'import sys; print(sys.prefix, sys.version_info[:2])' && cat "$LIST") || exit 1
folder=$("$PYTHON" -m site --user-site)
if [ -d "$folder" ] && [ "$(cat "$STATE/pip-installed" 2>/dev/null)" = "$wanted" ]; then
  rm -f "$STATE/pip-failed"
  echo "unchanged"
  exit 0
fi
failed=''
if ! install -r "$LIST"; then
  # Together they are resolved together; when that fails, one bad name must not keep out the others.
  while IFS= read -r package || [ -n "$package" ]; do
    if [ -n "$package" ] && ! install "$package"; then failed="$failed $package"; fi
  done <"$LIST"
fi
if [ -n "$failed" ]; then
  missing 1 "Not installed:$failed. The reasons are in ~/.local/state/devserver/pip.log; it is tried again at the next start."
fi
rm -f "$STATE/pip-failed"
printf '%s\n' "$wanted" >"$STATE/pip-installed.part" && mv "$STATE/pip-installed.part" "$STATE/pip-installed"
