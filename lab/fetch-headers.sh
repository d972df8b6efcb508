# SPDX-License-Identifier: GPL-2.0-only
#
# The part of fetch for a kernel's headers: what a module for kernel $version of $target is built against, into $work. It is for
# the kernel that is in the cache, which is fetched first where there is none.

# The lists are in use until here.
exec 9>&-
kernel=$("$0" --cache="$cache" --apt="$etc" kernel "$version" "$target")
release=$(cat "$kernel/release")
stem=${release%-"$target"}
own_architecture=$(dpkg --print-architecture)

# from PACKAGE…: downloads packages for $architecture from the first suite that has the first of them, and unpacks them.
from() {
  debian_open
  found=
  for each in $suites; do
    use "$each" || continue
    debian_has "$1" && found=yes && break
  done
  [ -n "$found" ] || fail "$mirror has no $1 in $suites"
  download "$@"
  unpack "$@"
}

mkdir -p "$work"
architecture=$target
from "linux-headers-$release" "linux-headers-$stem-common"
# The programs that build are for this machine.
architecture=$own_architecture
from "linux-kbuild-$stem"

# They need a newer libc than this machine may have.
mkdir "$work/host"
programs=$work
work=$work/host
suites="${each%-backports} $suites"
from libc6 libelf1t64 zlib1g libzstd1 libssl3t64
work=$programs
linker=$(find "$work/host" -name 'ld-linux-*.so.[0-9]' | head -n 1)
[ -n "$linker" ] || fail "there is no dynamic linker among the packages"
libraries=$(find "$work/host" -name '*.so.*' -exec dirname {} + | sort -u | sed "s|^$work|$folder|" | tr '\n' :)
tools=$work/usr/lib/linux-kbuild-$stem
find "$tools" -type f -perm -u+x >"$work/programs"
while read -r program; do
  [ "$(head -c 4 "$program" | tail -c 3)" = ELF ] || continue
  mv "$program" "$program.elf"
  # Some ask which architecture they are for, and start another program then.
  real=$program
  case $program in
    */modpost) real=$program.real-lsb-64 ;;
    */objtool) real=$program.real-x86 ;;
  esac
  {
    echo '#!/bin/sh'
    echo "exec '$folder${linker#"$work"}' --library-path '$libraries' '$folder${real#"$work"}.elf' \"\$@\""
  } >"$program"
  chmod +x "$program"
done <"$work/programs"

build=$work/usr/src/linux-headers-$release
# Without it no BTF is generated, for which more tools are needed.
rm -f "$build/vmlinux"
{
  echo "KBUILD_OUTPUT=$folder/usr/src/linux-headers-$release"
  echo "include $folder/usr/src/linux-headers-$stem-common/Makefile"
} >"$build/Makefile"
ln -s "usr/src/linux-headers-$release" "$work/build"
echo "$release" >"$work/release"
