#!/usr/bin/env bash
# The table of values in a chart's README, made from the comments in its values.yaml: `hack/values-table.sh CHART…` compares, `--update CHART…`
# writes, `--print CHART` prints it. Between the lines <!-- values --> and <!-- /values --> of a README the whole table is made; where these are missing the words are
# written by hand, and only names and defaults are compared.
#
# A key with a comment is a row. A key whose comment stands above further commented keys is a heading of theirs and none.
set -euo pipefail
# shellcheck source=hack/lib.sh
. "$(dirname "$0")/lib.sh"

rows() {
  awk '
    function path(   i, text) { for (i = 1; i <= depth; i++) text = text (i > 1 ? "." : "") key[i]; return text }
    # Strings as JSON has them; everything else as it stands.
    function json(value,   n, parts, i) {
      if (value ~ /^\[.+\]$/) {
        n = split(substr(value, 2, length(value) - 2), parts, /, */); value = ""
        for (i = 1; i <= n; i++) value = value (i > 1 ? "," : "") json(parts[i])
        return "[" value "]"
      }
      if (value ~ /^("|\[|\{)/ || value ~ /^(true|false|null|-?[0-9.]+)$/) return value
      return "\"" value "\""
    }
    function flush() {
      if (pending == "") return
      printf "| `%s` | see `values.yaml` | %s |\n", pending, said
      pending = ""
    }
    # A comment deeper than a waiting key: that one was a heading.
    /^ *# / { match($0, /^ */); if (pending != "" && RLENGTH / 2 >= mark) pending = ""; line = $0; sub(/^ *# /, "", line); words = words (words == "" ? "" : " ") line; next }
    /^ *$/ { words = ""; next }
    /^ *- / { next }
    /^ *[A-Za-z0-9_-]+:/ {
      match($0, /^ */); indent = RLENGTH; depth = indent / 2 + 1
      if (depth <= mark) flush()
      name = $0; sub(/^ */, "", name); sub(/:.*/, "", name); key[depth] = name
      value = $0; sub(/^ *[A-Za-z0-9_-]+: */, "", value)
      if (value != "") { if (words != "") printf "| `%s` | `%s` | %s |\n", path(), json(value), words }
      else if (words != "") { pending = path(); said = words; mark = depth }
      words = ""; next
    }
    END { flush() }
  ' "$1"
}

# table CHART: what belongs between the marks.
table() {
  say '| value | default | what |'
  say '|---|---|---|'
  rows "$REPO/charts/$1/values.yaml"
}

# names: of the rows that come in, the first two columns, without spaces in lists. What is absent by default is no key in values.yaml.
# shellcheck disable=SC2016 # the ticks are Markdown's
names() { sed -nE '/ \| absent \| /d; s/^\| (`[A-Za-z][A-Za-z0-9.]*`) \| ([^|]*) \|.*/\1 \2/p' | tr -d ' ' | sort; }

if [ "${1:-}" = --print ]; then
  table "$2"
  exit
fi
update=false
if [ "${1:-}" = --update ]; then update=true && shift; fi
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
for chart in "$@"; do
  readme=$REPO/charts/$chart/README.md
  if ! grep -q '^<!-- values -->$' "$readme"; then
    diff <(sed -n '/^## Values/,/^## /p' "$readme" | names) <(table "$chart" | names) >&2 ||
      die "the table of values in charts/$chart/README.md does not have the names and defaults of values.yaml (above; > is values.yaml)"
    continue
  fi
  { sed '/^<!-- values -->$/q' "$readme" && table "$chart" && sed -n '/^<!-- \/values -->$/,$p' "$readme"; } >"$fresh"
  if [ "$update" = true ]; then
    cat "$fresh" >"$readme"
  else
    diff --unified "$readme" "$fresh" >&2 || die "the table of values in charts/$chart/README.md is not what values.yaml says (above); run make generate and commit it"
  fi
done
