// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable

/// What is wrong with a format: changes of what its functions take or return; nil where nothing is.
struct FormatFault: Sendable {
  /// Before a protection becomes bits.
  var protection: (@Sendable (Protection) -> Protection)?
  /// A leaf's bits, from those of a size and a level.
  var leafBits: (@Sendable (_ bits: UInt64, _ sizeLog2: Int, _ level: Int) -> UInt64)?
  /// The size that a leaf is encoded with, log2.
  var encodedSize: (@Sendable (_ sizeLog2: Int, _ level: Int) -> Int)?
  /// The address before it goes into a leaf.
  var address: (@Sendable (UInt64) -> UInt64)?
  /// A pointer to a table, and that table's address read from it.
  var tableEntry: (@Sendable (_ entry: UInt64, _ table: UInt64, _ level: Int) -> UInt64)?
  var tableAddress: (@Sendable (_ address: UInt64, _ entry: UInt64) -> UInt64)?
  /// How many words a leaf has, log2.
  var contiguousLog2: (@Sendable (_ log2: Int, _ level: Int) -> Int)?
  var isDirty: (@Sendable (_ isDirty: Bool, _ entry: UInt64) -> Bool)?
  var cleaned: (@Sendable (_ cleaned: UInt64, _ entry: UInt64) -> UInt64)?
  var geometry: (@Sendable (Geometry) -> Geometry)?

  /// Bits of leaves are inverted, at one level or at all.
  static func leafBit(_ bit: Int, level only: Int? = nil) -> FormatFault {
    FormatFault(leafBits: { bits, _, level in
      only == nil || only == level ? bits ^ Bits.bit(bit) : bits
    })
  }

  /// Bits of table pointers are inverted, at one level or at all; whoever reads the address knows.
  static func tableBit(_ bit: Int, level only: Int? = nil) -> FormatFault {
    FormatFault(tableEntry: { entry, _, level in
      only == nil || only == level ? entry ^ Bits.bit(bit) : entry
    })
  }
}

/// A format with a fault.
struct FaultyFormat<Base: PageTableFormat>: PageTableFormat {
  typealias Word = Base.Word

  let base: Base
  let fault: FormatFault
  let geometry: Geometry

  init(_ base: Base, _ fault: FormatFault) {
    self.base = base
    self.fault = fault
    geometry = fault.geometry?(base.geometry) ?? base.geometry
  }

  init(_ configuration: Configuration) throws { self.init(try Base(configuration), FormatFault()) }

  static var schema: ConfigurationSchema { Base.schema }
  static var testConfigurations: [String] { Base.testConfigurations }
  static var granuleLog2: Int { Base.granuleLog2 }
  static var indexBits: Int { Base.indexBits }
  static var maximumLevel: Int { Base.maximumLevel }
  static var minimumRootLog2: Int { Base.minimumRootLog2 }
  static var topMayGrow: Bool { Base.topMayGrow }
  static var allocationLog2: Int { Base.allocationLog2 }
  static var addressFieldBits: Int { Base.addressFieldBits }
  static var contiguousWordsRepeat: Bool { Base.contiguousWordsRepeat }
  static func accepts(_ configuration: Configuration) -> Bool { Base.accepts(configuration) }
  static func addressStep(level: Int) -> UInt64 { Base.addressStep(level: level) }

  var tracksDirty: Bool { base.tracksDirty }
  var tableAddressBits: Int { base.tableAddressBits }
  var flushedMark: UInt64 { base.flushedMark }

  func possibleSizes(level: Int) -> UInt64 { base.possibleSizes(level: level) }
  func kind(of entry: UInt64, level: Int) -> EntryKind { base.kind(of: entry, level: level) }
  func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 { base.plainLeafDefect(entry, level: level) }
  func contiguousLog2(_ entry: UInt64, level: Int) -> Int {
    let log2 = base.contiguousLog2(entry, level: level)
    return fault.contiguousLog2?(log2, level) ?? log2
  }
  func leafAddress(_ entry: UInt64, level: Int) -> UInt64 { base.leafAddress(entry, level: level) }
  func tableAddress(_ entry: UInt64, level: Int) -> UInt64 {
    let address = base.tableAddress(entry, level: level)
    return fault.tableAddress?(address, entry) ?? address
  }
  // Leaves are filled one by one where their addresses go wrong.
  func isLinear(first: UInt64, last: UInt64) -> Bool {
    fault.address == nil && base.isLinear(first: first, last: last)
  }

  func attributeBits(_ protection: Protection) -> UInt64 {
    base.attributeBits(fault.protection?(protection) ?? protection)
  }
  func refusal(of protection: Protection) -> LinuxErrno? {
    base.refusal(of: fault.protection?(protection) ?? protection)
  }

  func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    let size = fault.encodedSize?(sizeLog2, level) ?? sizeLog2
    let bits = base.leafBits(sizeLog2: size, level: level, attributes: attributes)
    return fault.leafBits?(bits, sizeLog2, level) ?? bits
  }

  func addressField(_ address: UInt64) -> UInt64 {
    base.addressField(fault.address?(address) ?? address)
  }

  func tableEntry(_ table: UInt64, level: Int) -> UInt64 {
    let entry = base.tableEntry(table, level: level)
    return fault.tableEntry?(entry, table, level) ?? entry
  }

  func isDirty(_ entry: UInt64) -> Bool {
    fault.isDirty?(base.isDirty(entry), entry) ?? base.isDirty(entry)
  }
  func dirtied(_ entry: UInt64) -> UInt64 { base.dirtied(entry) }
  func cleaned(_ entry: UInt64) -> UInt64 {
    fault.cleaned?(base.cleaned(entry), entry) ?? base.cleaned(entry)
  }
}
