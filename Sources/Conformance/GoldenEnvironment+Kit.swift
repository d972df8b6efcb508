// SPDX-License-Identifier: GPL-2.0-only

import LegacyPT
import PageTable
import Reference

extension GoldenEnvironment {
  /// The kit's own witnesses: the generic implementation and the drivers' own code in the simulator, and the reference
  /// with the specifications of a library.
  public static func kit(_ library: SpecificationLibrary) -> GoldenEnvironment {
    GoldenEnvironment(
      configuration: { try library.entry(named: $0).schema.configuration($1, permissive: true) },
      makeTable: { configuration, base in
        guard !library.hasAdded(configuration.format) else { throw NoImplementation(configuration.format) }
        return try FormatList.simulate(configuration, SimulationOptions(physicalBase: base))
      },
      encoder: { library.hasAdded($0.format) ? nil : try FormatList.encoder($0) },
      reference: { try library.format($0) },
      legacy: .kit)
  }
}

extension GoldenLegacy {
  /// The kit's own models of the drivers' code, in the simulator.
  static var kit: GoldenLegacy {
    GoldenLegacy(
      eras: { LegacyVocabulary.eras(of: $0) },
      configuration: { try LegacyList.schema($0).configuration($1, permissive: true) },
      makeTable: { try LegacyList.simulate($0, SimulationOptions(physicalBase: $1)) },
      counterpart: { LegacyVocabulary.generic(of: $0) })
  }
}

extension GenericEncoder: GoldenEncoder {
  /// Linux never writes the accessed state itself.
  public var encodesAccessed: Bool { false }

  public func encodeLeaf(_ leaf: GoldenLeaf) -> UInt64? {
    encodeLeaf(leaf.level, leaf.address, leaf.size, leaf.protection, leaf.dirty ?? false)
  }

  public func encodeTable(level: Int, address: UInt64) -> UInt64? { encodeTable(level, address) }
}

extension ReferenceFormat: GoldenReference {
  public var encodesAccessed: Bool { true }

  public func encodeLeaf(_ leaf: GoldenLeaf) -> UInt64? {
    encodeLeaf(
      level: leaf.level, pa: leaf.address, size: leaf.size, protection: leaf.protection,
      dirty: leaf.dirty ?? false, accessed: leaf.accessed ?? false)
  }

  public func encodeTable(level: Int, address: UInt64) -> UInt64? { encodeTable(level: level, pa: address) }

  public func classify(_ word: UInt64, level: Int) -> WordKind { wordKind(word, level: level) }

  public func walk(_ iova: UInt64, roots: [TableRoot], memory: any PhysicalMemoryReader) -> GoldenTranslation
  {
    // A leaf that only permits writes is found by a write.
    switch walk(iova: iova, roots: roots, memory: memory, access: .read) {
    case .success(let translation): return GoldenTranslation(translation)
    case .failure(let fault) where fault.isRefusal:
      switch walk(iova: iova, roots: roots, memory: memory, access: .write) {
      case .success(let translation): return GoldenTranslation(translation)
      case .failure: return .refused("\(fault)")
      }
    case .failure(let fault): return .fault("\(fault)")
    }
  }
}

extension Fault {
  /// Whether a leaf was reached that does not permit the access.
  fileprivate var isRefusal: Bool { key == FaultKey.permission.rawValue || key == "no_rights" }
}

extension GoldenTranslation {
  fileprivate init(_ translation: Translation) {
    self = .leaf(
      address: translation.pa, first: translation.leafIOVA,
      last: translation.leafIOVA &+ (translation.leafSize &- 1),
      readable: translation.protection.contains(.read), writable: translation.protection.contains(.write))
  }
}
