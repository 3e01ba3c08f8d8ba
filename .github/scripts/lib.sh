# shellcheck shell=bash
# shellcheck disable=SC2034 # used by the scripts that source this file
# Shared by the scripts of the workflows. Everything that people type arrives in environment variables, is checked here, and is passed on
# in a file: no text of theirs is ever part of a command line, of a workflow command (::…::) or of Markdown before it was checked.
# Sourced with `set -euo pipefail` on.

# One byte is one character, and ranges are those of ASCII.
export LC_ALL=C
# Helm's records in ConfigMaps: the runner needs no right to read Secrets, which hold host keys beside them.
export HELM_DRIVER=configmap
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${NAMESPACE:=swish}"
: "${CHART:=$SCRIPTS/../../charts/dev-env}"
# Images people may choose, separated by commas or spaces; DEV_ENV_IMAGES of the repository's variables.
: "${IMAGES:=cthomaspdx1/swish-python3 cthomaspdx1/swish-python2 cthomaspdx1/swish-r}"
# Who may remove and change what others have, separated by commas or spaces. Nobody, unless it is said.
: "${ADMINS:=}"
# What makes a GitHub login a name of the cluster's: people of the two are not the same by having one name.
: "${OWNER_SUFFIX:=@github}"
# Seconds to wait until an environment runs; 0: do not wait.
: "${WAIT_SECONDS:=600}"
# Annotation that says which branch an environment is for: a hash, because a branch may be called anything.
SOURCE_ANNOTATION=swish.io/source

NAME_PATTERN='^[a-z]([-a-z0-9]*[a-z0-9])?$'
LABEL_PATTERN='^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'
LOGIN_PATTERN='^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?$'
QUANTITY_PATTERN='^[0-9]{1,12}([.][0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$'
IMAGE_PATTERN='^[a-z0-9]([a-zA-Z0-9._:-]*[a-zA-Z0-9])?(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*$'
PACKAGE_PATTERN='^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*\])?((===|==|!=|<=|>=|~=|<|>)[A-Za-z0-9.*+!_-]+(,(===|==|!=|<=|>=|~=|<|>)[A-Za-z0-9.*+!_-]+)*)?$'
KEY_PATTERN='^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh[.]com|sk-ecdsa-sha2-nistp256@openssh[.]com) AAAA[A-Za-z0-9+/]{40,}={0,3}$'

# printable TEXT: as much of it as can be shown without meaning anything to a log or a terminal.
printable() {
  local text=${1//[^ -~]/?}
  text=${text//::/: :}
  printf '%s' "${text:0:120}"
}

# fail MESSAGE: every message says what failed and what to do about it. Texts of people in it have gone through printable.
fail() {
  printf '::error::%s\n' "${*//%/%25}"
  exit 1
}

summary() { printf '%s\n' "$*" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"; }

# has_entry LIST WORD: whether the word is one of a list separated by commas or white space.
has_entry() {
  local entry
  local -a entries
  IFS=$', \t\n' read -r -d '' -a entries <<<"$1" || true
  for entry in "${entries[@]}"; do
    [ "$entry" != "$2" ] || return 0
  done
  return 1
}

check() { # WHAT VALUE PATTERN MAXIMUM REMEDY
  [[ ${#2} -le $4 && $2 =~ $3 ]] || fail "$1 \"$(printable "$2")\": $5"
}

# owner_of LOGIN: as whom the cluster knows somebody of GitHub, where logins differ in more than case.
owner_of() {
  check 'actor' "$1" "$LOGIN_PATTERN" 110 'not a GitHub login'
  printf '%s%s' "${1,,}" "$OWNER_SUFFIX"
}

is_admin() { has_entry "${ADMINS,,}" "${1,,}"; }

# label_of TEXT: as near to it as a label's value comes.
label_of() {
  local text=${1//[^A-Za-z0-9_.-]/-}
  text=${text:0:63}
  while [[ $text == [-_.]* ]]; do text=${text:1}; done
  while [[ $text == *[-_.] ]]; do text=${text%?}; done
  printf '%s' "$text"
}

# json TEXT: as a string. What is refused here was not checked before, which is a mistake of ours.
json() {
  [[ $1 != *[$'\x01'-$'\x1f'$'\x7f']* ]] || fail 'a control character in a value'
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

# json_list TEXT…
json_list() {
  local text list=
  for text in "$@"; do list+=${list:+,}$(json "$text"); done
  printf '[%s]' "$list"
}

# packages TEXT: sets PACKAGES to the requirements in a list separated by commas. A comma inside of brackets, or before another bound of
# the same package, parts nothing: flask>=2,<3.
packages() {
  local part package
  local -a parts=()
  PACKAGES=()
  [[ ${#1} -le 10000 ]] || fail 'pip_packages has more than 10000 characters; write a shorter list'
  [[ $1 != *$'\n'* && $1 != *$'\r'* ]] || fail 'pip_packages has more than one line; part packages by commas'
  IFS=, read -r -a parts <<<"$1"
  for part in "${parts[@]}"; do
    part=${part#"${part%%[! ]*}"}
    part=${part%"${part##*[! ]}"}
    package=
    [[ ${#PACKAGES[@]} -eq 0 ]] || package=${PACKAGES[-1]}
    if [[ -z $part ]]; then
      continue
    elif [[ -n $package && ($part == [\<\>=!~]* || ($package == *\[* && $package != *\]*)) ]]; then
      PACKAGES[-1]=$package,$part
    else
      PACKAGES+=("$part")
    fi
  done
  [[ ${#PACKAGES[@]} -le 100 ]] || fail 'pip_packages names more than 100 packages'
  for package in "${PACKAGES[@]}"; do
    check 'pip_packages:' "$package" "$PACKAGE_PATTERN" 200 'not one package as pip takes it, without spaces, options, addresses or paths; write flask,requests==2.32.3'
  done
}

# keys_of LOGIN: sets KEYS to the public keys that somebody has at GitHub.
keys_of() {
  local line text
  KEYS=()
  case ${GITHUB_SERVER_URL:=https://github.com} in
    https://* | http://127.0.0.1:*) ;;
    *) fail 'GITHUB_SERVER_URL must be https' ;;
  esac
  [[ $1 != *\[bot\] ]] || fail "$1 is a bot and has no ssh keys; launch without ssh, or give keys by the variable DEV_ENV_KEYS_SECRET"
  text=$(curl --silent --show-error --fail --location --max-time 30 --max-filesize 262144 "$GITHUB_SERVER_URL/$1.keys") ||
    fail "the ssh keys of $1 could not be read from GitHub; try again, or give keys by the variable DEV_ENV_KEYS_SECRET"
  while read -r line; do
    [[ ${#line} -gt 8192 || ! $line =~ $KEY_PATTERN ]] || KEYS+=("$line")
  done <<<"$text"
  [[ ${#KEYS[@]} -gt 0 ]] || fail "$1 has no ssh key at GitHub that could be used; add one (Settings, SSH and GPG keys), or launch without ssh"
  KEYS=("${KEYS[@]:0:16}")
}

# branch_name REPOSITORY REF: the environment of a branch. The hash keeps apart what looks alike when cleaned, and branches of different
# repositories. 4 + 37 + 1 + 10 = 52, which is as long as the name of an environment can be.
branch_name() {
  local clean
  clean=$(printf '%s' "$2" | tr '[:upper:]' '[:lower:]' | tr --complement --squeeze-repeats 'a-z0-9' '-')
  clean=${clean#-}
  clean=${clean:0:37}
  clean=${clean%-}
  printf 'dev-%s%.10s' "${clean:+$clean-}" "$(branch_source "$1" "$2")"
}

# branch_source REPOSITORY REF: which branch it is, as one word.
branch_source() {
  local sum
  sum=$(printf '%s\n%s' "$1" "$2" | sha256sum)
  printf '%s' "${sum%% *}"
}

# look NAME: sets FOUND (true or false), OWNER and SOURCE to what the cluster has under that name.
look() {
  local -a lines
  local text
  text=$(kubectl get devservers.devserver.io "$1" --namespace "$NAMESPACE" --ignore-not-found \
    --output 'jsonpath={.metadata.name}{"\n"}{.spec.owner}{"\n"}{.metadata.annotations.swish\.io/source}{"\n"}')
  mapfile -t lines <<<"$text"
  FOUND=false OWNER=${lines[1]:-} SOURCE=${lines[2]:-}
  [[ -z ${lines[0]:-} ]] || FOUND=true
}
