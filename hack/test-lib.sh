# shellcheck shell=bash
# For hack/test.sh: stages, counting, labs, the table at the end. Sourced after hack/lib.sh.

ROWS=()
LABS=()
declare -A TESTS=()
PASSED=0 FAILED=0

# row RING WHAT SECONDS [PASSED FAILED]: a line of the table, and the sums.
row() {
  ROWS+=("$(printf '%4s  %-44s %5d s  %6s  %6s' "$1" "$2" "$3" "${4:-}" "${5:-}")")
  PASSED=$((PASSED + ${4:-0})) FAILED=$((FAILED + ${5:-0}))
  TESTS[$1]=$((${TESTS[$1]:-0} + ${4:-0} + ${5:-0}))
}

# headline RING WHAT: where the run is, at its own place in the log and, from a lane, at once for who looks on.
headline() {
  say "${BOLD}==> ring $1: $2${PLAIN}"
  [ -z "${LANE:-}" ] || printf '%s==> ring %s: %s%s (lane %s)\n' "$BOLD" "$1" "$2" "$PLAIN" "$LANE" >&3
}

# sum_of WORD LOG: adds the numbers before WORD in cargo's and our own result lines.
sum_of() {
  { grep -E '^test result:|^[0-9]+ passed, [0-9]+ failed' "$2" || true; } |
    { grep -oE "[0-9]+ $1" || true; } | awk '{ n += $1 } END { print n + 0 }'
}

log_of() { printf '%s/%s.log' "$ARTIFACTS" "$(tr -cs 'a-z0-9\n' - <<<"$1-${2,,}")"; }

# stage RING WHAT COMMAND…: a step that is not a test; its failure counts as one failed test and ends the run.
stage() {
  local ring=$1 what=$2 started=$SECONDS log status=0
  shift 2
  log=$(log_of "$ring" "$what")
  headline "$ring" "$what"
  "$@" 2>&1 | tee "$log" || status=$?
  if [ "$status" = 0 ]; then
    row "$ring" "$what" $((SECONDS - started))
  else
    row "$ring" "$what" $((SECONDS - started)) 0 1
    tail_of "$log"
    exit 1
  fi
}

# tests RING WHAT COMMAND…: counts what cargo (or a script of ours) says; a failure ends the run after this command.
tests() {
  local ring=$1 what=$2 started=$SECONDS log status=0 passed failed
  shift 2
  log=$(log_of "$ring" "$what")
  headline "$ring" "$what"
  "$@" 2>&1 | tee "$log" || status=$?
  passed=$(sum_of passed "$log") failed=$(sum_of failed "$log")
  # Tests that did not even run (a compile error, a crash) must not look like success; nor must "0 tests".
  if [ "$failed" = 0 ] && { [ "$status" != 0 ] || [ "$passed" = 0 ]; }; then failed=1; fi
  row "$ring" "$what" $((SECONDS - started)) "$passed" "$failed"
  [ "$failed" = 0 ] && return
  tail_of "$log"
  exit 1
}

tail_of() {
  say "---- last lines of ${1#"$REPO"/}"
  tail -n 60 "$1"
}

lab_up() {
  LABS+=("$1")
  stage "$2" "start lab $1 ($3)" "$KUBELAB" up --lab "$1" --size "$3"
  link_tool kubectl
  # KUBECONFIG of this lab, and bin/ first on PATH.
  eval "$("$KUBELAB" env --lab "$1")"
}

# lab_down: ends a lab and requires that nothing of it is left; that is a promise, therefore a test.
lab_down() {
  local started=$SECONDS status=0
  { "$KUBELAB" down --lab "$1" && "$KUBELAB" down --lab "$1" --check; } 2>&1 | tee "$(log_of "$2" "lab $1 down")" || status=$?
  LABS=("${LABS[@]/$1/}")
  unset KUBECONFIG
  if [ "$status" = 0 ]; then row "$2" "lab $1 leaves nothing" $((SECONDS - started)) 1 0
  else row "$2" "lab $1 leaves nothing" $((SECONDS - started)) 0 1; exit 1; fi
}

# collect LAB: what one wants to read after a failure, before the lab is gone.
collect() {
  local to=$ARTIFACTS/lab-$1
  mkdir -p "$to"
  cp --recursive "/run/kubelab/$1/logs" "$to/" 2>/dev/null || true
  eval "$("$KUBELAB" env --lab "$1")"
  timeout 20 kubectl get devservers,statefulsets,pods,services,persistentvolumeclaims --all-namespaces --output yaml >"$to/objects.yaml" 2>&1 || true
  timeout 20 kubectl get events --all-namespaces --sort-by .metadata.creationTimestamp >"$to/events.txt" 2>&1 || true
  timeout 20 kubectl --namespace devserver-system logs --selector app.kubernetes.io/component=operator --tail 2000 --prefix >"$to/operator.log" 2>&1 || true
  say "---- last events of lab $1"
  tail -n 15 "$to/events.txt"
  say "---- more in ${to#"$REPO"/}"
}

# end_labs: of labs that are still there; after a failure, first what one wants to read.
end_labs() {
  local lab
  for lab in "${LABS[@]}"; do
    [ -n "$lab" ] || continue
    collect "$lab" || true
    "$KUBELAB" down --lab "$lab" || warn "lab $lab could not be ended; try: bin/kubelab down --lab $lab"
  done
}

# lanes FUNCTION…: all at once, each in a process of its own, with labs of its own. What a lane printed is printed when it has ended, as if
# it had been alone. One that fails does not stop the others, because they say more about it; the run ends after them.
lanes() {
  local lane pids=() status=0 failed=0
  exec 3>&1
  for lane in "$@"; do
    # A process group each: who ends the run ends what a lane waits for, too.
    set -m
    run_lane "$lane" </dev/null >"$ARTIFACTS/lane-$lane.log" 2>&1 &
    set +m
    pids+=($!)
    LANE_PIDS+=($!)
  done
  for lane in "$@"; do
    status=0
    wait "${pids[0]}" || status=$?
    pids=("${pids[@]:1}")
    cat "$ARTIFACTS/lane-$lane.log"
    add_lane "$ARTIFACTS/lane-$lane.sum"
    [ "$status" = 0 ] || failed=$status
  done
  LANE_PIDS=()
  [ "$failed" = 0 ] || exit 1
}

# run_lane FUNCTION: in a process of its own; what it counts begins anew.
run_lane() {
  local ring
  set +m
  LANE=$1 LABS=() ROWS=() PASSED=0 FAILED=0
  for ring in "${!TESTS[@]}"; do unset "TESTS[$ring]"; done
  trap 'end_lane $?' EXIT
  trap 'exit 130' INT TERM
  "$LANE"
}

# end_lane STATUS: in the lane, whatever ended it.
end_lane() {
  trap - EXIT
  end_labs
  if [ "$1" != 0 ] && [ "$FAILED" = 0 ]; then FAILED=1; fi
  {
    printf 'PASSED %s\nFAILED %s\n' "$PASSED" "$FAILED"
    for ring in "${!TESTS[@]}"; do printf 'TESTS %s %s\n' "$ring" "${TESTS[$ring]}"; done
    [ ${#ROWS[@]} = 0 ] || printf 'ROW %s\n' "${ROWS[@]}"
  } >"$ARTIFACTS/lane-$LANE.sum"
  exit "$1"
}

# add_lane FILE: what the lane counted. Without the file it was killed, which is no success.
add_lane() {
  local word rest ring
  if [ ! -f "$1" ]; then FAILED=$((FAILED + 1)); return; fi
  while read -r word rest; do
    case $word in
      PASSED) PASSED=$((PASSED + rest)) ;;
      FAILED) FAILED=$((FAILED + rest)) ;;
      TESTS) ring=${rest% *} TESTS[$ring]=$((${TESTS[$ring]:-0} + ${rest#* })) ;;
      ROW) ROWS+=("$(printf '%4s  %s' "${rest%% *}" "${rest#*  }")") ;;
    esac
  done <"$1"
}
LANE_PIDS=()

finish() {
  local status=$? ring pid
  trap - EXIT INT TERM
  for pid in "${LANE_PIDS[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for pid in "${LANE_PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
  end_labs
  printf '\n%s%4s  %-44s %7s  %6s  %6s%s\n' "$BOLD" ring stage time passed failed "$PLAIN"
  if [ ${#ROWS[@]} -gt 0 ]; then printf '%s\n' "${ROWS[@]}"; fi
  for ring in 1 1b 2 3 4; do
    [ -z "${TESTS[$ring]:-}" ] || printf 'ring %s: %d tests\n' "$ring" "${TESTS[$ring]}"
  done
  printf 'total %d s\n' "$SECONDS"
  if [ "$status" != 0 ] && [ "$FAILED" = 0 ]; then FAILED=1; fi
  printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
  exit "$status"
}
