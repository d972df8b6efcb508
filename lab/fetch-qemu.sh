# SPDX-License-Identifier: GPL-2.0-only
#
# The part of fetch for QEMU: $version that emulates $target into $work.

case $target in
  amd64) program=qemu-system-x86_64 wanted="qemu-system-x86" ;;
  arm64) program=qemu-system-aarch64 wanted="qemu-system-arm" ;;
  riscv64) program=qemu-system-riscv64 wanted="qemu-system-riscv opensbi" ;;
esac

found=
for each in $suites; do
  # Backports stand on the release of the same name.
  base=${each%-backports}
  # shellcheck disable=SC2046
  use "$each" $([ "$base" = "$each" ] || echo "$base") || continue
  found=$(debian_apt apt-cache madison qemu-system-data | awk '{ print $3 }' | grep -E "^[0-9]+:$version[.+]" | head -n 1)
  [ -z "$found" ] || break
done
[ -n "$found" ] || fail "$mirror has no QEMU $version in $suites"

# All that the programs depend on but what only an installed package needs; the newest of each is from the first suite.
list=$(debian_apt apt-get install --print-uris -y --no-install-recommends -t "$each" $wanted 2>>"$state/log" |
  sed -nE "s/^'.*' ([^_]+)_.*\$/\1/p" | grep -E '^(lib|zlib1g|qemu-|seabios|opensbi)' | sort -u)
[ -n "$list" ] || fail "apt finds no way to have $wanted of $each; see $state/log"
# shellcheck disable=SC2086
download $list
mkdir -p "$work"
# shellcheck disable=SC2086
unpack $list

linker=$(cd "$work" && find . -name 'ld-linux-*.so.[0-9]' | head -n 1)
[ -n "$linker" ] || fail "there is no dynamic linker among the packages"
libraries=$(cd "$work" && find . -name '*.so.*' -path '*/lib*' -exec dirname {} + | sort -u | grep -E '/lib/[a-z0-9_-]+$|/lib$')
{
  echo '#!/bin/sh'
  echo '# SPDX-License-Identifier: GPL-2.0-only'
  echo 'here=$(cd "$(dirname "$0")" && pwd)'
  echo "exec \"\$here/${linker#./}\" --library-path \"$(for each in $libraries; do printf '%s' "\$here/${each#./}:"; done)\" \\"
  echo "  \"\$here/usr/bin/$program\" -L \"\$here/usr/share/qemu\" -L \"\$here/usr/share/seabios\" -L \"\$here/usr/share\" \"\$@\""
} >"$work/$program"
chmod +x "$work/$program"
"$work/$program" -version >/dev/null 2>"$state/error" || fail "$program does not run: $(head -n 1 "$state/error")"
rm -rf "$work/usr/share/doc" "$work/usr/share/locale" "$work/usr/share/man"
