# SPDX-License-Identifier: GPL-2.0-only
#
# Packages from the machine's Debian mirror, for scripts that source this file. Mirror, key and suite come from the
# machine's apt sources; neither its apt lists nor its packages change.
#
# The script that sources it has a function `fail MESSAGE…`, which ends it, and sets
#   cache          the folder where lists and packages are kept
#   etc            the folder of apt's configuration, /etc/apt
#   architecture   what packages are for, as dpkg calls it; the machine's own when unset
# shellcheck shell=sh

# debian_open: makes ready to ask, and sets `mirror`, `own` (the machine's suite) and `key`.
debian_open() {
  for tool in apt-get apt-cache dpkg-deb xz flock; do
    command -v "$tool" >/dev/null 2>&1 || fail "$tool is missing: this is for Debian"
  done
  # The archive itself, not its security updates, nor anybody else's.
  line=$(debian_sources | awk '$1 ~ /\/debian\/?$/ && $2 !~ /[\/-]/ { print; exit }')
  [ -n "$line" ] || fail "no source of Debian packages in $etc"
  set -- $line
  mirror=$1 own=$2 key=${3:-/usr/share/keyrings/debian-archive-keyring.gpg}

  state=$cache/apt${architecture:+-$architecture}
  mkdir -p "$state/lists/partial" "$state/archives/partial"
  # Another fetch into the same cache waits here until this one has ended.
  exec 9>"$state/lock"
  flock 9
  : >"$state/status"
}

# debian_sources: a line for each source of binary packages on this machine: URI SUITE KEY
debian_sources() {
  for file in "$etc/sources.list" "$etc"/sources.list.d/*.list; do
    [ -f "$file" ] || continue
    sed -nE 's/^deb[ \t]+(\[([^]]*)\][ \t]+)?([^ \t]+)[ \t]+([^ \t]+)[ \t].*/\3 \4 \2/p' "$file" |
      while read -r uri name options; do
        echo "$uri $name $(echo "$options" | sed -nE 's/.*signed-by=([^ ]+).*/\1/p')"
      done
  done
  for file in "$etc"/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    awk '
      function flush(count, each, names) {
        count = split(suites, names, " ")
        if (types ~ /(^| )deb( |$)/) for (each = 1; each <= count; each++) print uri, names[each], key
        types = uri = suites = key = ""
      }
      /^[ \t]*$/ { flush(); next }
      tolower($1) == "types:" { $1 = ""; types = $0 }
      tolower($1) == "uris:" { uri = $2 }
      tolower($1) == "suites:" { $1 = ""; suites = $0 }
      tolower($1) == "signed-by:" && $2 ~ /^\// { key = $2 }
      END { flush() }
    ' "$file"
  done
}

# debian_apt COMMAND…: apt with lists of its own
debian_apt() {
  command=$1
  shift
  "$command" -qq -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state" \
    -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- -o Acquire::Languages=none \
    -o APT::Sandbox::User="$(id -un)" ${architecture:+-o APT::Architecture="$architecture"} \
    ${architecture:+-o APT::Architectures="$architecture"} "$@"
}

# debian_suite SUITE: reads the lists of one suite, or of another release's from the same mirror; fails where it has none.
debian_suite() {
  case $1 in
    # Security updates stand beside the archive.
    *-security) echo "deb [signed-by=$key] ${mirror%/}-security $1 main" ;;
    *) echo "deb [signed-by=$key] $mirror $1 main" ;;
  esac >"$state/sources.list"
  debian_apt apt-get update --error-on=any >"$state/log" 2>&1
}

# debian_has PACKAGE: whether the lists have it
debian_has() { debian_apt apt-cache show "$1" >/dev/null 2>&1; }

# debian_download PACKAGE: fetches it and sets `deb`, its file, which is the caller's to remove.
debian_download() {
  echo "fetching $1 from $(cut -d ' ' -f 3,4 "$state/sources.list")" >&2
  (cd "$state/archives" && rm -f "$1"_*.deb && debian_apt apt-get download "$1" >>"$state/log" 2>&1) ||
    fail "the download of $1 failed; see $state/log"
  deb=$(echo "$state/archives/$1"_*.deb)
}
