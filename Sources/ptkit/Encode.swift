// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import PageTable
import Reference
import ReferenceSpecs
import TAP

/// `ptkit encode`
struct Encode: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode",
    abstract: "Print the word of one entry, as the reference encodes it.",
    discussion: """
      Of a leaf that has several words, the first one. Prints 'invalid: why' and exits with status 1 where \
      the format cannot express the entry.

      Example: ptkit encode amdv1 leaf --level 0 --pa 0x123456000 --size 4K --prot rw
      Example: ptkit encode armv8:stage=2 table --level 2 --pa 0x1fff000
      """)

  /// What the word is.
  enum Kind: String, ExpressibleByArgument, CaseIterable {
    case leaf
    case table
  }

  @OptionGroup
  var formats: AddedFormatOptions

  @Argument(help: ArgumentText.configuration)
  var config: String

  @Argument(help: "What the word is: leaf or table.")
  var kind: Kind

  @Option(help: ArgumentText.level, transform: Arguments.count)
  var level: Int

  @Option(
    help: "The output address of a leaf, or the address of the lower table, in bytes.",
    transform: Arguments.size)
  var pa: UInt64

  @Option(help: "The bytes that a leaf maps.", transform: Arguments.size)
  var size: UInt64?

  @Option(
    help: "The protection of a leaf: r, w or rw, then any of ,cache ,noexec ,mmio ,priv.",
    transform: Arguments.protection)
  var prot: Protection?

  @Flag(help: "Set the dirty state of a leaf.")
  var dirty = false

  @Flag(help: "Set the accessed state of a leaf.")
  var accessed = false

  func validate() throws {
    switch kind {
    case .leaf:
      if size == nil { throw ValidationError("a leaf needs '--size', for example --size 4K") }
      if prot == nil { throw ValidationError("a leaf needs '--prot', for example --prot rw") }
    case .table:
      if size != nil || prot != nil || dirty || accessed {
        throw ValidationError("a table takes '--level' and '--pa' only")
      }
    }
  }

  func run() throws {
    let library = try formats.library()
    let format = try library.format(library.configuration(config))
    let word: UInt64?
    let refusal: String
    if kind == .leaf, let size, let prot {
      word = format.encodeLeaf(
        level: level, pa: pa, size: size, protection: prot, dirty: dirty, accessed: accessed)
      refusal = format.leafRefusal(level: level, pa: pa, size: size, protection: prot)
    } else {
      word = format.encodeTable(level: level, pa: pa)
      refusal = format.tableRefusal(level: level, pa: pa)
    }
    guard let word else {
      print("invalid: \(refusal)")
      throw ExitStatus.failure
    }
    print(Numbers.hex(word))
  }
}

extension ReferenceFormat {
  /// Why a leaf cannot be encoded.
  fileprivate func leafRefusal(level: Int, pa: UInt64, size: UInt64, protection: Protection) -> String {
    if let reason = levelRefusal(level) { return reason }
    let sizes = leafSizes(level: level)
    guard sizes.contains(size) else {
      let known = sizes.isEmpty ? "none" : sizes.map(Numbers.size).joined(separator: ", ")
      return "no leaf of \(Numbers.size(size)) at level \(level); leaf sizes there are \(known)"
    }
    if let reason = refusal(protection) { return "protection \(protection.text): \(reason)" }
    if pa & (size &- 1) != 0 { return "\(Numbers.hex(pa)) is not aligned to \(Numbers.size(size))" }
    return addressRefusal(pa)
  }

  /// Why a pointer to a table cannot be encoded.
  fileprivate func tableRefusal(level: Int, pa: UInt64) -> String {
    if let reason = levelRefusal(level) { return reason }
    if level == 0 { return "level 0 is the last one and has no pointers to tables" }
    if pa <= Bits.lowMask(outputWidth), encodeTable(level: level, pa: 0) != nil {
      return "the address field does not hold the low bits of \(Numbers.hex(pa))"
    }
    return addressRefusal(pa)
  }

  private func levelRefusal(_ level: Int) -> String? {
    (0..<levelCount).contains(level) ? nil : "no level \(level); levels are 0 to \(levelCount - 1)"
  }

  private func addressRefusal(_ pa: UInt64) -> String {
    pa > Bits.lowMask(outputWidth)
      ? "\(Numbers.hex(pa)) has more than \(outputWidth) bits" : "the format has no such entry"
  }
}
