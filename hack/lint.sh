#!/usr/bin/env bash
# make lint: everything that can be said about the sources without running them. Runs all checks and then says which failed.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$REPO"
FAILED=()
# What a check returns when it could not be made here.
SKIPPED=77

# check WHAT COMMAND…: one line when it passes, its output when it does not.
check() {
  local what=$1 started=$SECONDS output status=0
  shift
  output=$("$@" 2>&1) || status=$?
  if [ "$status" = "$SKIPPED" ]; then
    printf 'SKIP  %-34s  %s\n' "$what" "$output"
  elif [ "$status" = 0 ]; then
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
  sources 'images/*' 'hack/*' 'bench/*' | grep -v '\.' | while read -r file; do
    if [ -f "$file" ] && head -n 1 "$file" | grep -Eq '^#!.*\b(ba)?sh\b'; then printf '%s\n' "$file"; fi
  done
}

shell() { scripts | sort -u | xargs shellcheck --external-sources --severity=style; }

# generated: makes the custom resource definitions anew elsewhere and compares, so that a lint changes no file.
generated() {
  local fresh status=0
  fresh=$(mktemp -d)
  { cargo run --quiet --locked -p devserver-api --bin crdgen -- "$fresh" &&
    diff --recursive --unified charts/devserver-platform/crds "$fresh"; } || status=$?
  rm -rf "$fresh"
  [ "$status" = 0 ] || say "the custom resource definitions are not what crates/api says; run make generate and commit them"
  return "$status"
}

dependencies() {
  if ! command -v cargo-deny >/dev/null; then
    say "not run: cargo-deny is not installed (cargo install --locked cargo-deny@0.20.2)"
    return "$SKIPPED"
  fi
  cargo deny --offline check bans licenses sources
}

# pinned: nothing that can change behind our back. A tag "latest" in words that forbid it is not a use of it.
pinned() {
  local bad=0
  if sources 'images/*/Containerfile' 'charts/*/values.yaml' 'charts/*/templates/*' 'examples/*' | xargs grep --with-filename --line-number ':latest'; then
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

check 'format' cargo fmt --all --check
check 'shell scripts' shell
check 'length of files' hack/lines.sh
check 'pinned images and actions' pinned
check 'layers' clock_free
check 'dependencies (cargo-deny)' dependencies
check 'generated files' generated
check 'clippy' cargo clippy --locked --workspace --all-targets --keep-going --quiet -- -D warnings
check 'build kubelab' build_programs
check 'chart' hack/chart.sh
if [ ${#FAILED[@]} -gt 0 ]; then
  printf '%s\n' "${FAILED[@]/#/  - }"
  die "${#FAILED[@]} check(s) failed"
fi
