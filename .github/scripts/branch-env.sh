#!/usr/bin/env bash
# The environment of a branch: launched when the branch is made, removed when it is deleted (document 003). Everything comes in by
# environment variables: EVENT, REF_TYPE, REF, REPOSITORY, DEFAULT_BRANCH, ACTOR, and those of dev-env.sh.
set -euo pipefail
# shellcheck source=.github/scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ ${REF_TYPE:-} != branch || -z ${REF:-} || $REF == main || $REF == "${DEFAULT_BRANCH:-main}" ]]; then
  summary '### No environment: not a branch that gets one'
  exit
fi
check 'repository' "${REPOSITORY:-}" '^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$' 200 'not a repository of GitHub'
ENV_NAME=$(branch_name "$REPOSITORY" "$REF")
SOURCE_WANTED=$(branch_source "$REPOSITORY" "$REF")
: "${IMAGE:=cthomaspdx1/swish-python3}"
TEAM=$(label_of "${ACTOR:-}")
case ${EVENT:-} in
  create) ACTION=launch ;;
  delete) ACTION=teardown ;;
  *) fail "event \"$(printable "${EVENT:-}")\": only create and delete of a branch mean something here" ;;
esac
export ACTION ENV_NAME SOURCE_WANTED IMAGE TEAM
[[ -z ${GITHUB_OUTPUT:-} ]] || printf 'name=%s\n' "$ENV_NAME" >>"$GITHUB_OUTPUT"
exec "$SCRIPTS/dev-env.sh"
