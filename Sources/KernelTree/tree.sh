# SPDX-License-Identifier: GPL-2.0-only
#
# What there is in a Linux tree, and what its errors mean; sourced by build.

# read_tree TREE: sets tree_version (7.3.4), tree_flags (what differs between versions)
read_tree() {
  tree_version=$(awk -F ' *= *' '
    $1 == "VERSION" || $1 == "PATCHLEVEL" || $1 == "SUBLEVEL" || $1 == "EXTRAVERSION" { value[$1] = $2 }
    $1 == "NAME" { exit }
    END { printf "%s.%s.%s%s", value["VERSION"], value["PATCHLEVEL"], value["SUBLEVEL"], value["EXTRAVERSION"] }
  ' "$1/Makefile" 2>/dev/null || echo 0.0.0)
  era=$(echo "$tree_version" | cut -d . -f 1,2)
  tree_flags="-DKSRC_ERA=\"$era\""
  # Tables to free are a list of their own type, where there was a plain list.
  ! grep -q '^struct iommu_pages_list' "$1/include/linux/iommu.h" || tree_flags="$tree_flags -DKSRC_PAGES_LIST"
  # The gather counts levels for generic_pt.
  ! grep -q 'leaf_levels_bitmap' "$1/include/linux/iommu.h" || tree_flags="$tree_flags -DKSRC_GATHER_LEVELS"
  # DART tells how many levels it has.
  ! grep -q 'n_levels' "$1/include/linux/io-pgtable.h" || tree_flags="$tree_flags -DKSRC_DART_LEVELS"
}

# Which shim file something belongs in, by its name.
shim_file() {
  case $1 in
    CONFIG_* | IS_*ABLED) echo shim/recreated/config.h ;;
    *.h) echo shim/headers ;;
    [us][0-9]* | __[us][0-9]* | *_t | __le* | __be* | __aligned_* | *_MAX) echo shim/recreated/types.h ;;
    *page* | *folio* | *PAGE* | *gfp* | *GFP* | *node_state*) echo shim/recreated/pages.h ;;
    *alloc* | *free* | *kmem* | SLAB_*) echo shim/recreated/slab.h ;;
    *dma* | *DMA* | *flush* | *cache*) echo shim/recreated/dma.h ;;
    *cmpxchg* | *atomic* | *_ONCE | smp_* | *mb | refcount*) echo shim/recreated/atomics.h ;;
    *lock* | *mutex* | *seqcount* | *rcu* | guard | scoped_*) echo shim/recreated/locks.h ;;
    list_* | hlist_* | LIST_* | llist_*) echo shim/recreated/lists.h ;;
    *bit* | *BIT* | FIELD_* | GENMASK* | *ffs* | *fls* | *ffz*) echo shim/recreated/bits.h ;;
    SZ_* | *round* | *ALIGN* | *log2* | min* | max* | *div* | *overflow* | *pow*) echo shim/recreated/arithmetic.h ;;
    WARN* | BUG* | pr_* | dev_* | *ERR*) echo shim/recreated/warnings.h ;;
    mem* | *virt* | *phys* | sme_* | __pa | __va) echo shim/recreated/memory.h ;;
    EXPORT_* | MODULE_* | module_* | *initcall) echo shim/stubbed/modules.h ;;
    __* | *_assert) echo shim/recreated/compiler.h ;;
    *) echo shim/stubbed/devices.h ;;
  esac
}

# explain_log LOG TREE HERE: one line on why a library was not built
explain_log() {
  found=$(sed -nE "
    s/^(.*)fatal error: '?([^' :]+\.h)'?(: No such file| file not found).*/\1@\2/p; t
    s/^(.*)implicit declaration of function '([^']+)'.*/\1@\2/p; t
    s/^(.*)call to undeclared function '([^']+)'.*/\1@\2/p; t
    s/^(.*)error: '([A-Za-z0-9_]+)' undeclared.*/\1@\2/p; t
    s/^(.*)use of undeclared identifier '([^']+)'.*/\1@\2/p; t
    s/^(.*)unknown type name '([^']+)'.*/\1@\2/p; t
    s/^(.*)incomplete type '?(struct [A-Za-z0-9_]+).*/\1@\2/p; t
    s/^(.*)undefined type '(struct [A-Za-z0-9_]+).*/\1@\2/p; t
    s/^(.*)undefined reference to [\`']([^']+)'.*/\1@\2/p; t
    s/^(.*)undefined symbol: ([A-Za-z0-9_]+).*/\1@\2/p
  " "$1" | head -n 1)
  if [ -n "$found" ]; then
    where=$(echo "$found" | sed -nE "s|^$2/||; s|^$3/||; s/^([^ :]+:[0-9]+).*@.*/\1/p")
    missing=${found##*@}
    echo "${where:-it} needs $missing, which the shims lack: add it to $(shim_file "${missing#struct }")"
  else
    first=$(grep -m 1 -E '(error|undefined|fatal)' "$1" | sed "s|$2/||g; s|$3/||g")
    echo "${first:-not built}; all of it is in $1"
  fi
}
