#!/usr/bin/env bash
# A preprocessor of mdBook (book.toml): links that lead out of docs/ become addresses in the repository, because a book has no such pages.
# BOOK_REPOSITORY is where; mdBook calls it with "supports RENDERER" first, and then gives [context, book] as JSON.
set -euo pipefail
: "${BOOK_REPOSITORY:=https://github.com/devserver-io/devserver/blob/main}"
if [ "${1:-}" = supports ]; then exit 0; fi
command -v jq >/dev/null || {
  echo 'error: hack/book-links.sh needs jq; install it with: apt-get install jq' >&2
  exit 1
}
# One "../" for each folder of the page, and one more out of docs/.
exec jq --compact-output --arg repository "$BOOK_REPOSITORY" '
  .[1] | walk(
    if type == "object" and (.content | type) == "string" and (.path | type) == "string"
    then (.path | split("/") | length) as $depth | .content |= gsub("\\]\\((\\.\\./){\($depth)}(?<path>(?!\\.\\./)[^)]+)\\)"; "](\($repository)/\(.path))")
    else . end)'
