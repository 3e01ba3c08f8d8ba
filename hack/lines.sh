#!/usr/bin/env bash
# No source file grows beyond what a reader takes in: at most 400 lines each. Prints the median, which should stay
# near 130. Generated files and lock files are not source.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"
CAP=400
cd "$REPO"

# Untracked files count too: they are about to be committed.
mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.rs' '*.sh' '*.go' | grep -v '/generated/' | sort)
counts=$(for file in "${files[@]}"; do
  [ ! -f "$file" ] || printf '%d %s\n' "$(wc -l <"$file")" "$file"
done | sort -n)
too_long=$(awk -v cap=$CAP '$1 > cap' <<<"$counts")
awk '{ n[NR] = $1; sum += $1 } END { printf "    %d files, %d lines, median %d, longest %d\n", NR, sum, n[int((NR + 1) / 2)], n[NR] }' <<<"$counts"
[ -z "$too_long" ] || die "files of more than $CAP lines; split them by what they are about:
$too_long"
