# SPDX-License-Identifier: GPL-2.0-only
#
# The part of fetch for kernels: $version of $target into $work.

# The modules that the tests load, with what they depend on.
modules="vfio vfio_iommu_type1 vfio-pci iommufd iommufd_vfio"

# newest: the name of the newest kernel of this version for the usual machine. Later ones come in parts, of which
# linux-binary is one.
newest() {
  for kind in binary image; do
    debian_apt apt-cache pkgnames "linux-$kind-" |
      grep -E "^linux-$kind-${version}\.[0-9]+(-[0-9]+)?(\+[a-z0-9.]+)?-$target\$" | sort -V | tail -n 1
  done | head -n 1
}

package=
for each in $suites; do
  use "$each" || continue
  package=$(newest)
  [ -z "$package" ] || break
done
[ -n "$package" ] || fail "$mirror has no kernel $version for $target in $suites"
release=${package#linux-*-}
case $package in
  linux-binary-*) set -- "$package" "linux-modules-$release" ;;
  *) set -- "$package" ;;
esac
download "$@"
mkdir -p "$work"
unpack "$@"

# Only what is needed remains, modules unpacked.
kernel=$(find "$work/boot" "$work/usr/lib/modules/$release" -name 'vmlinu[xz]*' 2>/dev/null | head -n 1)
[ -n "$kernel" ] || fail "$package has no kernel in it"
mv "$kernel" "$work/vmlinuz"
echo "$release" >"$work/release"
tree=$(find "$work/lib/modules" "$work/usr/lib/modules" -maxdepth 1 -name "$release" 2>/dev/null | head -n 1)
mv "$tree" "$work/all"
home=$work/kept/lib/modules/$release
mkdir -p "$home"
[ ! -f "$work/all/modules.builtin" ] || cp "$work/all/modules.builtin" "$home"

# keep NAME: a module with those it depends on, and its line for modules.dep, all of them listed, nearest first.
keep() {
  file=$(find "$work/all" -name '*.ko*' | grep -E "/$(echo "$1" | sed 's/[-_]/[-_]/g')\.ko(\.xz)?\$" | head -n 1)
  [ -n "$file" ] || return 0
  path=${file#"$work/all/"}
  path=${path%.xz}
  [ ! -f "$home/$path" ] || return 0
  mkdir -p "$home/$(dirname "$path")"
  case $file in *.xz) xz -dc "$file" >"$home/$path" ;; *) cp "$file" "$home/$path" ;; esac
  for needed in $(depends "$home/$path"); do keep "$needed"; done
}

# depends FILE: the modules that one says it needs
depends() { tr '\0' '\n' <"$1" | sed -n 's/^depends=//p' | head -n 1 | tr ',' ' '; }

for module in $modules; do keep "$module"; done

# all_depends FILE: the paths of all that one needs, in the order in which they can be inserted
all_depends() {
  for needed in $(depends "$1"); do
    found=$(cd "$home" && find . -name '*.ko' | grep -E "/$(echo "$needed" | sed 's/[-_]/[-_]/g')\.ko\$")
    (all_depends "$home/$found")
    echo "${found#./}"
  done
}
# depmod lists what is to be inserted first last.
(cd "$home" && find . -name '*.ko' | sort) | while read -r path; do
  path=${path#./}
  echo "$path:$(all_depends "$home/$path" | awk '!seen[$0]++ { all = " " $0 all } END { printf "%s", all }')"
done >"$home/modules.dep"
find "$work" -mindepth 1 -maxdepth 1 ! -name vmlinuz ! -name release ! -name kept -exec rm -rf {} +
mv "$work/kept/lib" "$work/lib"
rmdir "$work/kept"
# The packages are large, and what was needed of them is here.
for package in "$@"; do rm -f "$state/packages/${package}_"*.deb; done
