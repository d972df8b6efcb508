// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable

/// What is wrong with the words of a format.
enum FormatFault: Hashable, Sendable {
  /// A bit of leaves is inverted.
  case leafBit(Int)
  /// A bit of table pointers is inverted.
  case tableBit(Int)
  /// A bit of table pointers is inverted, and their address is read that way.
  case tableAddressBit(Int)
  /// Table pointers hold the address as it is, and not in the fields that the format has for it.
  case rawTableAddress
  /// Leaves hold no address bits from this one on.
  case shortLeafAddress(Int)
  /// Whoever may read may write.
  case readGrantsWrite
  /// Small and large leaves have the same bits.
  case noSizeMark
  /// Dirty leaves are not told.
  case neverDirty
  /// Leaves do not become clean.
  case neverClean
  /// Tables other than the top have half as many words.
  case halfTables
  /// Only the first of several roots is told.
  case oneRoot
  /// Several roots are told in the opposite order.
  case rootsReversed
}

/// A fault of what is constant in a format.
protocol ConstantFault: Sendable {
  static var missingIndexBits: Int { get }
}

enum NoConstantFault: ConstantFault {
  static var missingIndexBits: Int { 0 }
}

enum HalfTables: ConstantFault {
  static var missingIndexBits: Int { 1 }
}

/// A format with one fault.
struct MutantFormat<Base: PageTableFormat, Constant: ConstantFault>: PageTableFormat {
  typealias Word = Base.Word

  let base: Base
  let fault: FormatFault

  init(_ base: Base, _ fault: FormatFault) {
    self.base = base
    self.fault = fault
  }

  init(_ configuration: Configuration) throws { self.init(try Base(configuration), .leafBit(63)) }

  static var schema: ConfigurationSchema { Base.schema }
  static var testConfigurations: [String] { Base.testConfigurations }
  static var granuleLog2: Int { Base.granuleLog2 }
  static var indexBits: Int { Base.indexBits - Constant.missingIndexBits }
  static var maximumLevel: Int { Base.maximumLevel }
  static var minimumRootLog2: Int { Base.minimumRootLog2 }
  static var topMayGrow: Bool { Base.topMayGrow }
  static var allocationLog2: Int { Base.allocationLog2 }
  static var addressFieldBits: Int { Base.addressFieldBits }
  static var contiguousWordsRepeat: Bool { Base.contiguousWordsRepeat }
  static func accepts(_ configuration: Configuration) -> Bool { Base.accepts(configuration) }
  static func addressStep(level: Int) -> UInt64 { Base.addressStep(level: level) }

  var geometry: Geometry {
    var geometry = base.geometry
    if fault == .oneRoot { geometry.rootCount = 1 }
    return geometry
  }
  var tracksDirty: Bool { base.tracksDirty }
  var tableAddressBits: Int { base.tableAddressBits }
  var flushedMark: UInt64 { base.flushedMark }

  func possibleSizes(level: Int) -> UInt64 { base.possibleSizes(level: level) }
  func kind(of entry: UInt64, level: Int) -> EntryKind { base.kind(of: entry, level: level) }
  func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 { base.plainLeafDefect(entry, level: level) }
  func contiguousLog2(_ entry: UInt64, level: Int) -> Int { base.contiguousLog2(entry, level: level) }
  func leafAddress(_ entry: UInt64, level: Int) -> UInt64 { base.leafAddress(entry, level: level) }
  func tableAddress(_ entry: UInt64, level: Int) -> UInt64 {
    switch fault {
    case .tableAddressBit(let bit): base.tableAddress(entry ^ Bits.bit(bit), level: level)
    case .rawTableAddress: entry & Bits.mask(51, Base.granuleLog2)
    default: base.tableAddress(entry, level: level)
    }
  }
  func isLinear(first: UInt64, last: UInt64) -> Bool { base.isLinear(first: first, last: last) }

  func attributeBits(_ protection: Protection) -> UInt64 { base.attributeBits(granted(protection)) }
  func refusal(of protection: Protection) -> LinuxErrno? { base.refusal(of: granted(protection)) }

  private func granted(_ protection: Protection) -> Protection {
    fault == .readGrantsWrite && protection.contains(.read) ? protection.union(.write) : protection
  }

  func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    if fault == .noSizeMark {
      return base.leafBits(sizeLog2: Base.itemLog2(level: level), level: level, attributes: attributes)
    }
    let bits = base.leafBits(sizeLog2: sizeLog2, level: level, attributes: attributes)
    if case .leafBit(let bit) = fault { return bits ^ Bits.bit(bit) }
    return bits
  }

  func addressField(_ address: UInt64) -> UInt64 {
    if case .shortLeafAddress(let bits) = fault { return base.addressField(address & Bits.lowMask(bits)) }
    return base.addressField(address)
  }

  func tableEntry(_ table: UInt64, level: Int) -> UInt64 {
    switch fault {
    case .tableBit(let bit), .tableAddressBit(let bit): base.tableEntry(table, level: level) ^ Bits.bit(bit)
    case .rawTableAddress: base.tableEntry(0, level: level) | table
    default: base.tableEntry(table, level: level)
    }
  }

  func isDirty(_ entry: UInt64) -> Bool { fault == .neverDirty ? false : base.isDirty(entry) }
  func dirtied(_ entry: UInt64) -> UInt64 { base.dirtied(entry) }
  func cleaned(_ entry: UInt64) -> UInt64 { fault == .neverClean ? entry : base.cleaned(entry) }
}
