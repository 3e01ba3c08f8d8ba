# shellcheck shell=bash
# Fetches Debian source packages without touching the machine's own apt configuration.
# Trust: apt checks the archive's signature (debian-archive-keyring) and with it the index;
# our pin is the sha256 of the .dsc; the .dsc holds the sha256 of every tarball, checked by dpkg-source.

# debian_source PINS PACKAGE: sets SOURCE_VERSION and SOURCE_DIR (holds the .dsc and its tarballs).
debian_source() {
  local pins=$1 package=$2 sha
  read -r SOURCE_VERSION sha < <(awk -v p="$package" '$1 == p { print $2, $3 }' "$pins") ||
    die "$pins has no line for $package"
  SOURCE_DIR=$DEVSERVER_CACHE/downloads/$package-${sha:0:16}
  [ -d "$SOURCE_DIR" ] || download_source "$pins" "$package" "$sha"
  SOURCE_DSC=$(echo "$SOURCE_DIR"/*.dsc)
  echo "$sha  $SOURCE_DSC" | sha256sum --check --quiet >&2 ||
    die "$SOURCE_DSC is not the pinned file; remove $SOURCE_DIR or correct $pins"
  grep -qxF "Version: $SOURCE_VERSION" "$SOURCE_DSC" ||
    die "$pins: the sha256 of $package is not that of version $SOURCE_VERSION"
}

download_source() {
  local pins=$1 package=$2 sha=$3 part=$SOURCE_DIR.part
  need apt-get apt
  need dpkg-source dpkg-dev
  private_apt_update
  rm -rf "$part"
  mkdir -p "$part"
  log "fetching source of $package $SOURCE_VERSION"
  (cd "$part" && private_apt apt-get --quiet=2 source --download-only "$package=$SOURCE_VERSION" >&2) ||
    source_is_gone "$pins" "$package"
  warn_if_outdated "$package"
  echo "$sha  $(echo "$part"/*.dsc)" | sha256sum --check --quiet >&2 ||
    die "the .dsc of $package $SOURCE_VERSION is not the pinned one; do not build it before you know why"
  mv "$part" "$SOURCE_DIR"
}

# The pinned version cannot be had: never build another one silently, but say what to edit.
source_is_gone() {
  local version choices=''
  for version in $(source_versions "$2"); do
    choices+=$'\n'"    $2 $version $(dsc_sha256 "$2" "$version")"
  done
  die "$2 $SOURCE_VERSION cannot be fetched. Debian's index has, newest last:$choices
  Put one of these lines into ${1#"$REPO"/} (the newest, unless this mirror does not have it yet),
  run the tests of images/tools, and change the security level in images/tools/README.md."
}

warn_if_outdated() {
  local newest
  newest=$(source_versions "$1" | tail -n 1)
  if dpkg --compare-versions "$newest" gt "$SOURCE_VERSION"; then
    log "warning: Debian has published $1 $newest; the pinned version is $SOURCE_VERSION"
  fi
}

# source_versions PACKAGE: all versions in the index, newest last.
source_versions() {
  local version sorted=() place
  for version in $(private_apt apt-cache showsrc "$1" | awk -v p="$1" '
    $1 == "Package:" { mine = ($2 == p) } mine && $1 == "Version:" { print $2 }' | sort -u); do
    place=${#sorted[@]}
    while [ "$place" -gt 0 ] && dpkg --compare-versions "$version" lt "${sorted[place - 1]}"; do
      place=$((place - 1))
    done
    sorted=("${sorted[@]:0:place}" "$version" "${sorted[@]:place}")
  done
  printf '%s\n' "${sorted[@]}"
}

dsc_sha256() {
  private_apt apt-cache showsrc "$1" | awk -v file="${1}_${2#*:}.dsc" '
    /^Checksums-Sha256:/ { sums = 1; next } /^[^ ]/ { sums = 0 } sums && $3 == file { print $1; exit }'
}

# private_apt COMMAND ARG…: apt with our own sources, lists and cache. The machine's apt.conf stays in
# force, so a proxy or credentials configured there are used.
private_apt() {
  local dir=$DEVSERVER_CACHE/apt
  "$1" -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State="$dir/state" -o Dir::State::status=/dev/null -o Dir::Cache="$dir/cache" \
    -o APT::Sandbox::User="$(id -un)" "${@:2}"
}

private_apt_update() {
  local dir=$DEVSERVER_CACHE/apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -z "${PRIVATE_APT_UPDATED:-}" ] || return 0
  [ -f $keyring ] || die "$keyring is missing; install it with: apt-get install debian-archive-keyring"
  mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
  {
    echo "deb-src [signed-by=$keyring] $(debian_mirror debian) trixie main"
    echo "deb-src [signed-by=$keyring] $(debian_mirror debian-security) trixie-security main"
  } >"$dir/sources.list"
  log "reading Debian's source index"
  private_apt apt-get --quiet=2 update >&2
  PRIVATE_APT_UPDATED=yes
}

# debian_mirror debian|debian-security: the mirror this machine uses, else Debian's public one.
debian_mirror() {
  local uri
  # shellcheck disable=SC2016 # apt-get expands it
  uri=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | sed 's,/*$,,' | grep "/$1\$" | head -n 1) || true
  printf '%s' "${uri:-http://deb.debian.org/$1}"
}
