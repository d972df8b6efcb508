// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Simulator

/// The hardware whose caches are checked walks as the reference does.
extension ReferenceFormat: HardwareWalker {
  public func walk(_ iova: UInt64, roots: [TableRoot], memory: any PhysicalMemoryReader) -> DeviceWalk {
    var result = walk(iova: iova, roots: roots, memory: memory, access: .read)
    if case .failure(let fault) = result, fault.key != FaultKey.absent.rawValue, fault.step != nil {
      // It may be there for writes only.
      let written = walk(iova: iova, roots: roots, memory: memory, access: .write)
      if case .success = written { result = written }
    }
    return deviceWalk(result, above: .all)
  }

  public func walk(
    _ iova: UInt64, from pointer: CachedPointer, memory: any PhysicalMemoryReader
  ) -> DeviceWalk {
    let table = ReachedTable(
      physical: pointer.table, level: pointer.childLevel, rights: PathRights(pointer.rights))
    var result = walk(iova: iova, from: table, memory: memory, access: .read)
    if case .failure(let fault) = result, fault.key != FaultKey.absent.rawValue {
      let written = walk(iova: iova, from: table, memory: memory, access: .write)
      if case .success = written { result = written }
    }
    return deviceWalk(result, above: table.rights)
  }

  private func deviceWalk(_ result: Result<Translation, Fault>, above rights: PathRights) -> DeviceWalk {
    var walk = DeviceWalk()
    switch result {
    case .success(let found):
      walk.pointers = pointers(of: found.path, above: rights)
      guard let leaf = found.path.last else { return walk }
      walk.leaf = CachedLeaf(
        iova: found.leafIOVA, pa: found.leafPA, sizeLog2: found.leafSize.trailingZeroBitCount,
        level: found.leafLevel, protection: found.protection, isDirty: found.dirty, place: leaf.physical,
        word: leaf.word)
    case .failure(let fault):
      walk.pointers = pointers(of: fault.path, above: rights)
    }
    return walk
  }

  private func pointers(of path: [WalkStep], above rights: PathRights) -> [CachedPointer] {
    zip(path, tablesReached(by: path, above: rights)).map { step, table in
      CachedPointer(
        level: step.level, place: step.physical, word: step.word, table: table.physical,
        childLevel: table.level, rights: table.rights.protection)
    }
  }
}

extension PathRights {
  fileprivate init(_ protection: Protection) {
    self.init(
      read: protection.contains(.read), write: protection.contains(.write),
      noexec: protection.contains(.noexec), priv: protection.contains(.priv))
  }

  fileprivate var protection: Protection {
    var protection: Protection = []
    if read { protection.insert(.read) }
    if write { protection.insert(.write) }
    if noexec { protection.insert(.noexec) }
    if priv { protection.insert(.priv) }
    return protection
  }
}
