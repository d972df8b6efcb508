// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import GenericPT

/// Laws that hold for every format, level, size and protection.
@Suite struct FormatLawTests {
  @Test func amdv1() throws { try check(AMDv1.self) }
  @Test func amdv1Mock() throws { try check(AMDv1Mock.self) }
  @Test func x86() throws { try check(X86.self) }
  @Test func vtdSecondStage() throws { try check(VTDSecondStage.self) }
  @Test func riscv() throws { try check(RISCV.self) }
  @Test func armv8Granule4K() throws { try check(Armv8<Arm4K>.self) }
  @Test func armv8Granule16K() throws { try check(Armv8<Arm16K>.self) }
  @Test func armv8Granule64K() throws { try check(Armv8<Arm64K>.self) }

  @Test func armLPAE32() throws { try check(ArmLPAE32.self) }
  @Test func armv7s() throws { try check(Armv7s.self) }
  @Test func mali() throws { try check(Mali.self) }
  @Test func dart1Pages4K() throws { try check(DART<DART4K, DARTVersion1>.self) }
  @Test func dart1Pages16K() throws { try check(DART<DART16K, DARTVersion1>.self) }
  @Test func dart2Pages16K() throws { try check(DART<DART16K, DARTVersion2>.self) }

  private func check<Format: PageTableFormat>(_ type: Format.Type) throws {
    for text in Format.testConfigurations {
      let pairs = text.split(separator: ",").map { String($0) }
      let configuration = try Format.schema.configuration(pairs)
      guard Format.accepts(configuration) else { continue }
      let format = try Format(configuration)
      for level in 0...Format.maximumLevel { checkLeaves(format, level) }
      for level in 1...Format.maximumLevel { checkTables(format, level) }
      for level in 0...Format.maximumLevel { #expect(format.kind(of: 0, level: level) == .empty) }
    }
  }

  private func checkLeaves<Format: PageTableFormat>(_ format: Format, _ level: Int) {
    let sizes = format.possibleSizes(level: level) & Bits.lowMask(format.geometry.outputBits)
    for bit in 0..<64 where sizes & Bits.bit(bit) != 0 {
      let group = bit - Format.itemLog2(level: level)
      // A size code that reaches the encryption bit cannot be told from it.
      if group > 0, encryption(format) != 0, bit > encryption(format).trailingZeroBitCount { continue }
      for protection in [
        Protection.read, .write, [.read, .write], [.read, .write, .mmio], [.write, .cache],
      ] {
        guard let attributes = try? format.attributes(protection) else { continue }
        let highest = Bits.lowMask(format.geometry.outputBits) & ~Bits.lowMask(bit)
        for address in [0, Bits.bit(bit), highest] where address & encryption(format) == 0 {
          let word = format.leafEntry(address, sizeLog2: bit, level: level, attributes: attributes)
          #expect(format.kind(of: word, level: level) == .leaf)
          #expect(
            format.leafAddress(word, level: level) == address & Bits.lowMask(format.geometry.outputBits))
          #expect(format.contiguousLog2(word, level: level) == group)
          #expect(format.isPlainLeaf(word, level: level) == (group == 0))
        }
      }
    }
  }

  private func checkTables<Format: PageTableFormat>(_ format: Format, _ level: Int) {
    let aligned = ~Bits.lowMask(Format.allocationLog2)
    let bits = format.tableAddressBits
    for address in [Bits.bit(min(32, bits - 1)), Bits.lowMask(bits) & aligned]
    where address & encryption(format) == 0 {
      let word = format.tableEntry(address, level: level)
      #expect(format.kind(of: word, level: level) == .table)
      #expect(format.tableAddress(word, level: level) == address)
      #expect(format.plainLeafDefect(word, level: level) != 0)
      #expect(format.kind(of: word | format.flushedMark, level: level) == .table)
      #expect(format.tableAddress(word | format.flushedMark, level: level) == address)
    }
  }

  /// The bits that a format adds to the address of every table.
  private func encryption<Format: PageTableFormat>(_ format: Format) -> UInt64 {
    format.tableEntry(0, level: 1) & format.addressField(~0)
  }
}
