#!/usr/bin/env bash
# make lint: everything that can be said about the sources without running them. Runs all checks and then says which failed.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$REPO"
FAILED=()
CARGO_DENY=0.20.2

# check WHAT COMMAND…: one line when it passes, its output when it does not.
check() {
  local what=$1 started=$SECONDS output status=0
  shift
  output=$("$@" 2>&1) || status=$?
  if [ "$status" = 0 ]; then
    printf 'ok    %-34s %4d s  %s\n' "$what" $((SECONDS - started)) "$(tail -n 1 <<<"$output" | grep '^    ' | tr -s ' ')"
  else
    printf '%sFAIL%s  %-34s %4d s\n%s\n' "$RED" "$PLAIN" "$what" $((SECONDS - started)) "$output"
    FAILED+=("$what")
  fi
}

# sources GLOB…: files of the project, committed or about to be.
sources() { git ls-files --cached --others --exclude-standard -- "$@"; }

scripts() {
  local file
  sources '*.sh' '.ci/run'
  # Scripts without an ending, known by their first line.
  sources 'images/*' 'hack/*' 'bench/*' '.github/*' | grep -v '\.' | while read -r file; do
    if [ -f "$file" ] && head -n 1 "$file" | grep -Eq '^#!.*\b(ba)?sh\b'; then printf '%s\n' "$file"; fi
  done
}

shell() { scripts | sort -u | xargs shellcheck --external-sources --severity=style; }

# generated: makes the custom resource definitions anew elsewhere and compares, so that a lint changes no file.
generated() {
  local fresh status=0
  fresh=$(mktemp -d)
  { "$CARGO_TARGET_DIR/debug/crdgen" "$fresh" &&
    diff --recursive --unified charts/devserver-platform/crds "$fresh"; } || status=$?
  rm -rf "$fresh"
  [ "$status" = 0 ] || say "the custom resource definitions are not what crates/api says; run make generate and commit them"
  return "$status"
}

# What cargo-deny needs of the index is fetched before: it looks at all platforms' crates, and asks no network itself.
dependencies() {
  local deny
  deny=$(cargo_deny) || return $?
  cargo fetch --quiet --locked && "$deny" --offline check bans licenses sources
}

# cargo_deny: the pinned one, built on first use like all tools. Prints its path.
cargo_deny() {
  local folder=$DEVSERVER_CACHE/bin/cargo-deny-$CARGO_DENY
  if [ "$(cargo-deny --version 2>/dev/null)" = "cargo-deny $CARGO_DENY" ]; then
    command -v cargo-deny
    return
  fi
  if [ ! -x "$folder/bin/cargo-deny" ]; then
    # Without debug information and optimization it is built in half the time, and runs for a second.
    CARGO_TARGET_DIR=$folder/target CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --root "$folder" "cargo-deny@$CARGO_DENY" >&2 || return 1
    rm -rf "$folder/target"
  fi
  printf '%s\n' "$folder/bin/cargo-deny"
}

# pinned: nothing that can change behind our back. A tag "latest" in words that forbid it is not a use of it.
pinned() {
  local bad=0
  if sources 'images/*/Containerfile' 'charts/*/values*.yaml' 'charts/*/templates/*' 'examples/*' 'deploy/*' | xargs grep --with-filename --line-number ':latest'; then
    say "an image with the tag latest; name a version"
    bad=1
  fi
  if sources '.github/*' | xargs grep --with-filename --line-number 'uses:' | grep -vE 'uses: \./|uses: [^@]+@[0-9a-f]{40} # v[0-9.]+$'; then
    say "an action that is not pinned by its commit, with the version as a comment"
    bad=1
  fi
  return $bad
}

# clock_free: the crates that decide take time as an argument, and never meet a client or a runtime.
clock_free() {
  if grep --recursive --line-number --extended-regexp '(Timestamp|Instant|SystemTime|Zoned)::now\(' crates/core/src crates/api/src; then
    say "api and core must not read the clock; take the time as an argument"
    return 1
  fi
  local tree
  tree=$(cargo tree --locked --edges normal --prefix none -p devserver-core) || return 1
  if grep -E '^(tokio|hyper|kube-client|kube-runtime|rand|getrandom) ' <<<"$tree"; then
    say "devserver-core must not depend on these, directly or through others"
    return 1
  fi
}

# pages: all are in the book, links lead somewhere, docs/reference is what the code says; what each row of docs/requirements.md names exists.
pages() { DEVSERVER_DEVCTL=$DEVCTL cargo test --quiet --locked --workspace --test deps; }

# workflows: what GitHub would refuse, and shell in them that shellcheck would.
workflows() { "$("$KUBELAB" tools actionlint | tail -n 1)"; }

check 'format' cargo fmt --all --check
check 'shell scripts' shell
check 'length of files' hack/lines.sh
check 'pinned images and actions' pinned
check 'layers' clock_free
check 'dependencies (cargo-deny)' dependencies
check 'clippy' cargo clippy --locked --workspace --all-targets --keep-going --quiet -- -D warnings
check 'build programs' build_workspace
check 'generated files' generated
check 'pages and reference' pages
check 'chart' hack/chart.sh
check 'charts of environments' hack/environment-charts.sh
check 'manifests' hack/manifests.sh
check 'monitoring' hack/monitoring.sh
check 'workflows' workflows
if [ ${#FAILED[@]} -gt 0 ]; then
  printf '%s\n' "${FAILED[@]/#/  - }"
  die "${#FAILED[@]} check(s) failed"
fi
