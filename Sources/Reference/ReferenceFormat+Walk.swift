// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ReferenceFormat {
  /// Translates `iova` as the hardware does.
  ///
  /// At each word, in this order: present, a known kind, no reserved bit set, the format's own
  /// checks, the address in range; at the leaf, that all its words agree, and that the rights of
  /// all words together permit the access.
  public func walk(
    iova: UInt64, root: TableRoot, memory: some PhysicalMemoryReader, access: DeviceAccess
  ) -> Result<Translation, Fault> {
    let position = Position(iova: iova, access: access)
    guard levels.indices.contains(root.level) else {
      return .failure(fault(.input, position, "the root has level \(root.level)"))
    }
    guard levels[root.level].input.accepts(iova) else { return .failure(fault(.input, position)) }
    let start = ReachedTable(physical: root.physical, level: root.level)
    return run(Walk(from: start, isRoot: true, position: position), memory)
  }

  /// Translates `iova` from the root that its bits choose; `roots` are in the order of those bits.
  ///
  /// An IOVA that chooses a root beyond the last one raises the fault `input`.
  public func walk(
    iova: UInt64, roots: [TableRoot], memory: some PhysicalMemoryReader, access: DeviceAccess
  ) -> Result<Translation, Fault> {
    let ordinal = rootOrdinal(of: iova)
    guard roots.indices.contains(ordinal) else {
      let text = "root \(ordinal) of \(roots.count)"
      return .failure(fault(.input, Position(iova: iova, access: access), "there is no \(text)"))
    }
    return walk(iova: iova, root: roots[ordinal], memory: memory, access: access)
  }

  /// Completes a walk from a table below the root, as with a paging-structure cache: what the
  /// words above it grant is known, and the IOVA is one that leads to it.
  ///
  /// The path of the result starts with the word in `table`.
  public func walk(
    iova: UInt64, from table: ReachedTable, memory: some PhysicalMemoryReader, access: DeviceAccess
  ) -> Result<Translation, Fault> {
    let position = Position(iova: iova, access: access)
    guard levels.indices.contains(table.level) else {
      return .failure(fault(.input, position, "there is no level \(table.level)"))
    }
    return run(Walk(from: table, isRoot: false, position: position), memory)
  }

  /// The tables that the words of a path lead to, highest first, with what the path grants up to each:
  /// what a paging-structure cache may keep after the walk, whether it faulted or not.
  ///
  /// - Parameters:
  ///   - path: the words that a walk read, in order.
  ///   - start: what was granted above the path's first word; all of it where that is the root's.
  public func tablesReached(
    by path: [WalkStep], above start: PathRights = .all
  ) -> [ReachedTable] {
    var tables: [ReachedTable] = []
    var rights = start
    for step in path {
      guard levels.indices.contains(step.level), !isAbsent(step.word),
        let entry = entryIndex(of: step.word, level: step.level), entries[entry].isTable
      else { break }
      restrict(&rights, by: entry, step.word)
      tables.append(
        ReachedTable(physical: address(in: step.word, entry), level: entries[entry].child, rights: rights))
    }
    return tables
  }

  /// Reads words from where `walk` stands until there is a result.
  private func run(
    _ start: Walk, _ memory: some PhysicalMemoryReader
  ) -> Result<Translation, Fault> {
    var walk = start
    let iova = walk.position.iova
    walk.position.path.reserveCapacity(walk.level + 1)
    while true {
      let index = self.index(of: iova, level: walk.level, isRoot: walk.isRoot)
      let physical = walk.table &+ UInt64(index &* wordBytes)
      guard let word = load(physical, from: memory) else {
        walk.position.step = WalkStep(level: walk.level, index: index, physical: physical, word: 0)
        return .failure(fault(.memory, walk.position))
      }
      let step = WalkStep(level: walk.level, index: index, physical: physical, word: word)
      walk.position.step = step
      walk.position.path.append(step)
      let entry: Int
      switch classify(word, level: walk.level, walk.position) {
      case .failure(let fault): return .failure(fault)
      case .success(let found): entry = found
      }
      restrict(&walk.rights, by: entry, word)
      if !entries[entry].isTable { return finish(walk, entry, memory) }
      guard iova & entries[entry].skipped == 0 else {
        return .failure(fault(.absent, walk.position, "IOVA bits of skipped levels are set"))
      }
      walk.table = address(in: word, entry)
      walk.level = entries[entry].child
      walk.isRoot = false
    }
  }

  /// Where a walk is, for faults.
  private struct Position {
    var iova: UInt64
    var access: DeviceAccess
    var step: WalkStep?
    var path: [WalkStep] = []
  }

  /// The state of a walk.
  private struct Walk {
    var table: UInt64
    var level: Int
    var isRoot: Bool
    var rights: PathRights
    var position: Position

    init(from start: ReachedTable, isRoot: Bool, position: Position) {
      table = start.physical
      level = start.level
      rights = start.rights
      self.isRoot = isRoot
      self.position = position
    }
  }

  /// Takes from `rights` what the word, an entry of kind `entry`, does not grant.
  private func restrict(_ rights: inout PathRights, by entry: Int, _ word: UInt64) {
    rights.read = rights.read && holds(entries[entry].read, word)
    rights.write = rights.write && holds(entries[entry].write, word)
    rights.noexec = rights.noexec || holds(entries[entry].noexec, word)
    rights.priv = rights.priv || holds(entries[entry].priv, word)
  }

  /// The word at `physical`, little-endian; nil outside of memory.
  @inline(__always)
  private func load(_ physical: UInt64, from memory: some PhysicalMemoryReader) -> UInt64? {
    guard let bytes = memory.bytes(at: physical, count: wordBytes), bytes.count >= wordBytes else {
      return nil
    }
    return wordBytes == 8
      ? UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
      : UInt64(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
  }

  /// The kind of a word, or the fault it raises by itself.
  @inline(__always)
  private func classify(_ word: UInt64, level: Int, _ position: Position) -> Result<Int, Fault> {
    if isAbsent(word) { return .failure(fault(.absent, position)) }
    guard let entry = entryIndex(of: word, level: level) else {
      return .failure(fault(.malformed, position))
    }
    if word & entries[entry].reserved != 0 {
      return .failure(fault(.reserved, position, reservedText(word, entry)))
    }
    let firstCheck = entries[entry].firstCheck
    for check in firstCheck..<(firstCheck &+ entries[entry].checkCount) {
      let applies = position.access == .read ? checks[check].onRead : checks[check].onWrite
      if applies, holds(checks[check].test, word) {
        return .failure(fault(checks[check].fault, position, checks[check].why))
      }
    }
    if address(in: word, entry) & ~Bits.lowMask(outputWidth) != 0 {
      return .failure(fault(.addressSize, position))
    }
    return .success(entry)
  }

  /// Completes a walk at its leaf.
  private func finish(
    _ walk: Walk, _ entry: Int, _ memory: some PhysicalMemoryReader
  ) -> Result<Translation, Fault> {
    guard let leaf = walk.position.path.last else { return .failure(fault(.absent, walk.position)) }
    let size: UInt64 = 1 &<< UInt64(entries[entry].sizeLog2)
    let base = address(in: leaf.word, entry) & ~(size &- 1)
    var dirty = holds(entries[entry].dirty, leaf.word)
    var accessed = holds(entries[entry].accessed, leaf.word)
    if entries[entry].countLog2 > 0 {
      switch checkGroup(leaf, entry, memory, walk.position) {
      case .failure(let fault): return .failure(fault)
      case .success(let state): (dirty, accessed) = (state.dirty, state.accessed)
      }
    }
    guard walk.position.access == .read ? walk.rights.read : walk.rights.write else {
      return .failure(permissionFault(walk))
    }
    var protection: Protection = []
    if walk.rights.read { protection.insert(.read) }
    if walk.rights.write { protection.insert(.write) }
    if walk.rights.noexec { protection.insert(.noexec) }
    if walk.rights.priv { protection.insert(.priv) }
    if holds(entries[entry].cache, leaf.word) { protection.insert(.cache) }
    if holds(entries[entry].mmio, leaf.word) { protection.insert(.mmio) }
    let iova = walk.position.iova
    return .success(
      Translation(
        pa: base | (iova & (size &- 1)), leafPA: base, leafIOVA: iova & ~(size &- 1), leafSize: size,
        leafLevel: leaf.level, protection: protection, dirty: dirty, accessed: accessed,
        path: walk.position.path))
  }

  private func permissionFault(_ walk: Walk) -> Fault {
    // A format may name the case in which the path grants nothing at all.
    if !walk.rights.read, !walk.rights.write,
      let index = spec.faults.firstIndex(where: { $0.key == "no_rights" })
    {
      return fault(index, walk.position, nil)
    }
    return fault(.permission, walk.position)
  }

  /// Compares all words of a leaf that has several; the hardware may set dirty in any of them.
  private func checkGroup(
    _ leaf: WalkStep, _ index: Int, _ memory: some PhysicalMemoryReader, _ position: Position
  ) -> Result<(dirty: Bool, accessed: Bool), Fault> {
    let entry = entries[index]
    let count = 1 << entry.countLog2
    let offset = leaf.index & (count - 1)
    let first = leaf.physical &- UInt64(offset &* wordBytes)
    let size: UInt64 = 1 &<< UInt64(entry.sizeLog2)
    let base = address(in: leaf.word, index) & ~(size &- 1)
    let step: UInt64 = entry.consecutive ? 1 &<< UInt64(levels[leaf.level].shift) : 0
    var dirty = false
    var accessed = false
    for other in 0..<count {
      guard let word = load(first &+ UInt64(other &* wordBytes), from: memory) else {
        return .failure(fault(.memory, position))
      }
      let differs = (word ^ leaf.word) & entry.agreement != 0
      if differs || (entry.consecutive && address(in: word, index) != base &+ UInt64(other) &* step) {
        let text = "word \(other) of \(count) of the leaf is \(Numbers.hex(word))"
        return .failure(fault(.disagreement, position, text))
      }
      dirty = dirty || holds(entry.dirty, word)
      accessed = accessed || holds(entry.accessed, word)
    }
    return .success((dirty, accessed))
  }

  // MARK: - Faults

  private func fault(_ key: FaultKey, _ position: Position, _ reason: String? = nil) -> Fault {
    fault(faultIndex[key.ordinal], position, reason)
  }

  private func fault(_ index: Int, _ position: Position, _ reason: String?) -> Fault {
    var named = index
    if let level = position.step?.level, faultNames[index].indices.contains(level) {
      named = faultNames[index][level]
    }
    let spec = self.spec.faults[named]
    let isWrite = position.access == .write
    return Fault(
      key: self.spec.faults[index].key, name: isWrite ? spec.writeName : spec.name,
      code: isWrite ? spec.writeCode : spec.code, access: position.access, iova: position.iova,
      step: position.step, path: position.path, reason: reason ?? spec.text)
  }
}
