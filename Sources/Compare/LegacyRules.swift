// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// The rules about operations on drivers' own code; the raw value is the rule's name.
enum LegacyRule: String, Hashable, Sendable, CaseIterable {
  case misaligned
  case emptyMap = "empty-map"
  case noPermission = "no-permission"
  case busyIsExist = "busy-is-exist"
  case blockOverTable = "block-over-table"
  case keepsOld = "keeps-old"
  case replacesLeaf = "replaces-leaf"
  case losesBlock = "loses-block"
  case smallInBlockNoMemory = "small-in-block-no-memory"
  case countsHoles = "counts-holes"
  case takesBlock = "takes-block"
  case dropsTable = "drops-table"
  case refusesPart = "refuses-part"
  case allOrNothing = "all-or-nothing"
  case overTop = "over-top"
  case dirtyBeyondTop = "dirty-beyond-top"
  case splitsBlock = "splits-block"
  // These say what is not run, for Linux's result depends on more than what is mapped, or is damage.
  case outOfRange = "out-of-range"
  case singleCalls = "single-calls"
  case partialMap = "partial-map"
  case smallInBlock = "small-in-block"
  case partOfBlock = "part-of-block"
  case leafOverLeaf = "leaf-over-leaf"
  case splitLosesAddress = "split-loses-address"
  case noDirtyTracking = "no-dirty-tracking"
  case dirtyOfParts = "dirty-of-parts"
  case fewerSizes = "fewer-sizes"
  case lastByte = "last-byte"

  /// The drivers whose code it is about.
  fileprivate func applies(_ behaviour: LegacyBehaviour, sizes: Int) -> Bool {
    let hasBlocks = sizes > 1
    switch self {
    case .misaligned, .emptyMap, .singleCalls, .outOfRange: return true
    case .noPermission: return behaviour == .riscv
    case .busyIsExist, .partialMap: return behaviour.refusesLeaves
    case .blockOverTable: return behaviour != .dart && hasBlocks
    case .keepsOld: return behaviour == .vtd
    case .replacesLeaf:
      return [.amdv1, .amdv2, .riscv].contains(behaviour) || behaviour == .vtd && hasBlocks
    case .losesBlock: return [.amdv1, .amdv2].contains(behaviour)
    case .smallInBlockNoMemory: return behaviour == .riscv
    case .countsHoles: return [.amdv1, .amdv2, .vtd].contains(behaviour)
    case .takesBlock: return [.amdv1, .amdv2].contains(behaviour)
    case .dropsTable: return behaviour.isARM && hasBlocks
    case .refusesPart: return [.arm(splits: false), .armv7s(splits: false)].contains(behaviour) && hasBlocks
    case .allOrNothing: return [.armv7s(splits: false), .armv7s(splits: true)].contains(behaviour)
    case .overTop, .dirtyBeyondTop: return behaviour == .amdv1
    case .splitsBlock: return behaviour == .arm(splits: true) && hasBlocks
    case .smallInBlock: return [.amdv1, .vtd].contains(behaviour)
    case .partOfBlock: return behaviour == .vtd
    // The kit's model does not do as Linux there.
    case .leafOverLeaf: return false
    case .splitLosesAddress: return behaviour == .armv7s(splits: true)
    case .noDirtyTracking: return !behaviour.tracksDirty
    case .dirtyOfParts: return behaviour.tracksDirty
    case .lastByte: return behaviour == .arm(splits: false)
    case .fewerSizes: return behaviour == .riscv && sizes > 4
    }
  }

  /// Sides, what it excuses, and why.
  fileprivate var text: (scope: String, excuses: String, reason: String) {
    switch self {
    case .misaligned:
      (
        "generic; legacy of all families", "errno of a map; bytes of an unmap",
        """
        iommu_map() and iommu_unmap() look at the alignment first: the map is EINVAL and the unmap 0. The generic code \
        returns ENXIO for the map, and unmaps the leaf in which a range ends.
        """
      )
    case .emptyMap:
      (
        "generic; legacy of all families", "result of a map of 0 bytes",
        "iommu_map()'s loop does not run, which is a success; the generic code returns EINVAL."
      )
    case .noPermission:
      (
        "generic; legacy riscv64", "result and what is mapped",
        "The driver sets R whatever it is asked for, so a map without permission is one for reads; generic: EINVAL."
      )
    case .busyIsExist:
      (
        "generic; legacy armv8, arm_lpae32, mali, armv7s, dart", "errno of a map",
        "io-pgtable refuses a leaf in the way with EEXIST and a warning; the generic code with EADDRINUSE."
      )
    case .blockOverTable:
      (
        "generic; legacy of all families with blocks", "result and what is mapped",
        """
        A block over a table is written, and the table goes with what it maps, in all drivers; the generic code \
        replaces only a table that maps nothing, else it returns EADDRINUSE.
        """
      )
    case .keepsOld:
      (
        "generic; legacy vtdss, x86_64 vtdfs", "result of a map",
        "The driver warns and leaves the old 4K leaf, and returns 0; generic: EADDRINUSE."
      )
    case .replacesLeaf:
      (
        "generic; legacy amdv1, x86_64, riscv64; vtdss superpages", "result and what is mapped",
        "The new leaf takes the old one's place, and the map succeeds; generic: EADDRINUSE."
      )
    case .losesBlock:
      (
        "generic; legacy amdv1, x86_64 amdv2", "result and what is mapped",
        "A small page inside of a block takes the whole block away, and the map succeeds; generic: EADDRINUSE."
      )
    case .smallInBlockNoMemory:
      (
        "generic; legacy riscv64", "errno of a map",
        "The driver finds no table below a leaf and returns ENOMEM; generic: EADDRINUSE."
      )
    case .countsHoles:
      (
        "generic; legacy amdv1, x86_64, vtdss", "bytes of an unmap, and what it goes on to unmap",
        """
        AMD's code counts the empty words of last-level tables as unmapped and goes on, VT-d's any hole, by the size of \
        the word that is empty; the generic code stops at the first hole.
        """
      )
    case .takesBlock:
      (
        "generic; legacy amdv1, x86_64 amdv2", "bytes of an unmap, and what is unmapped",
        "An unmap that starts inside of a block takes the whole block and counts all of it; generic: 0."
      )
    case .dropsTable:
      (
        "generic; legacy armv8, arm_lpae32, mali, armv7s", "bytes of an unmap, and what is unmapped",
        """
        An unmap of a block's size takes the table in its place, holes or not, and counts the whole block; the generic \
        code stops at the first hole.
        """
      )
    case .refusesPart:
      (
        "generic; legacy armv8, arm_lpae32, mali, armv7s of 7.3", "bytes of an unmap, and what is unmapped",
        """
        Part of a block is not unmapped: 0 and a warning. The generic code does so where the range starts inside, and \
        takes the whole block where it ends inside.
        """
      )
    case .allOrNothing:
      (
        "generic; legacy armv7s", "bytes of an unmap, and what is unmapped",
        """
        An unmap of the size of a large page or a supersection takes nothing unless all its sixteen words map something; \
        the generic code goes up to the first hole.
        """
      )
    case .overTop:
      (
        "generic; legacy amdv1", "bytes of an unmap, and what is unmapped",
        """
        The generic code refuses a range that runs over the end of what the top spans as a whole, 0; the driver's code \
        unmaps what it finds up to there.
        """
      )
    case .dirtyBeyondTop:
      (
        "generic; legacy amdv1", "errno of setdirty",
        "Beyond what the top spans, the driver's code finds nothing mapped, ENOENT; the generic code says ERANGE."
      )
    case .splitsBlock:
      (
        "generic; legacy armv8, arm_lpae32, mali of 6.12", "bytes of an unmap, and what is unmapped",
        "6.12 splits a block of which a part is unmapped into a table without the part."
      )
    case .outOfRange:
      (
        "generic; legacy of all families", "not run: addresses beyond what callers may use",
        """
        Callers of iommu_map() keep to the aperture; beyond it each driver has errnos of its own (EFAULT, EINVAL, \
        ERANGE), wraps or warns. Golden vectors and the drivers' own tests pin those down.
        """
      )
    case .singleCalls:
      (
        "generic; legacy of all families", "not run: mappages and unmappages",
        """
        One call of map_pages ends where a table ends and reports that; iommu_map() and iommu_unmap() call again, and \
        are what is compared.
        """
      )
    case .partialMap:
      (
        "generic; legacy armv8, arm_lpae32, mali, armv7s, dart",
        "not run: maps of several leaves into what is busy",
        """
        The drivers look at all words of a table before they write one, and drop tables meanwhile; how far a failing \
        map came follows from where tables end.
        """
      )
    case .smallInBlock:
      (
        "generic; legacy vtdss, x86_64 vtdfs; amdv1 within a page of several words, and within a dirty one",
        "not run: a small page inside of a larger leaf",
        """
        VT-d's code takes the page that the block maps for a table and writes into it; AMD's overwrites some of the like \
        words of a page, or clears only those that are like the first one that it meets.
        """
      )
    case .partOfBlock:
      (
        "generic; legacy vtdss, x86_64 vtdfs", "not run: an unmap that covers part of a superpage",
        "VT-d's code clears words of the page that the superpage maps, or counts beyond the range."
      )
    case .splitLosesAddress:
      (
        "generic; legacy armv7s of 6.12", "not run: an unmap of part of a block",
        "6.12 splits it into pages that lose the section's output address: a defect that vectors show."
      )
    case .noDirtyTracking:
      (
        "generic; legacy of families without dirty tracking", "not run: setdirty and dirty",
        "The driver's own code has no read_and_clear_dirty, or one over another structure; EOPNOTSUPP."
      )
    case .fewerSizes:
      (
        "generic; legacy riscv64 with five levels", "not run: maps of leaves that the driver does not offer",
        "6.13 offers pages up to 512G; the generic code also those of the top level."
      )
    case .lastByte:
      (
        "generic; libraries of armv8 and arm_lpae32 with quirks=ttbr1",
        "not run: the translation of the last byte of 64 bits",
        """
        arm_lpae_iova_to_phys() of 7.3 walks up to the byte behind an address, which is 0 there: it looks at no \
        entry, and computes with what was on the stack. The kit's model of the driver finds the page.
        """
      )
    case .leafOverLeaf:
      (
        "generic; AMD's own x86_64 code", "not run: maps of large leaves over large leaves",
        "6.12 takes the data page of the old leaf for a table and frees what it finds there."
      )
    case .dirtyOfParts:
      (
        "generic; legacy amdv1",
        "not run: dirty state of ranges that are not whole leaves, or end where the address space does",
        """
        The driver goes on by the size of what it meets, so that a range that starts inside of a leaf is reported shifted; \
        from the end of the space 6.12 goes on at 0, and never returns.
        """
      )
    }
  }

  static let rules: [CompareRule] = allCases.map { rule in
    CompareRule(
      rule.rawValue, scope: rule.text.scope, excuses: rule.text.excuses, reason: rule.text.reason,
      applies: { left, right in
        guard case .legacy(let configuration) = right.kind else { return false }
        // The kit's models of drivers do not have this one.
        if rule == .lastByte, right.library == nil || !configuration.flags("quirks").contains("ttbr1") {
          return false
        }
        if rule == .lastByte { return rule.applies(LegacyBehaviour(configuration), sizes: 1) }
        guard case .generic(let own) = left.kind, let shape = try? FormatShape(own) else { return false }
        return rule.applies(LegacyBehaviour(configuration), sizes: shape.sizes.nonzeroBitCount)
      })
  }
}
