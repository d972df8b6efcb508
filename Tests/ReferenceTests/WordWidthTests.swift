// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import ReferenceSpecs
import Testing

/// A format of no file of the kit: words of 32 bits, address bits scattered over the word, and several roots at
/// once. A file is all it takes.
struct WordWidthTests {
  /// Armv7 short descriptors with MediaTek's address bits, reduced to what is tested.
  private static let shortDescriptors = """
    format: short
    title: Armv7 short descriptors
    manual: DDI 0487 G5.4
    word: 32
    input: { width: 34 }
    root: { level: 1, high: 31, select: 33:32 }
    output: { width: 35 }
    levels:
    - { level: 0, name: L2, index: 19:12 }
    - { level: 1, name: L1, index: 31:20 }
    absent: { bits: 1:0, value: 0, text: fault }
    entries:
    - name: table
      kind: table
      levels: 1
      fields:
      - { bits: 31:10, name: base, address: 10 }
      - { bits: 9:2,   name: ignored, role: ignored }
      - { bits: 1:0,   name: type, value: 0b01 }
    - name: section
      kind: leaf
      levels: 1
      each: { super: 0..1 }
      size: shift + 4 * super
      fields:
      - { bits: 31:20 + 4 * super, name: base, address: shift + 4 * super }
      - { bits: 23:20, name: low, when: super == 1, role: res0 }
      - { bits: 19,    name: z19, role: res0 }
      - { bits: 18,    name: super, value: super }
      - { bits: 17:16, name: z17, role: reserved }
      - { bits: 15,    name: AP2, encode: not write }
      - { bits: 14:10, name: z14, role: res0 }
      - { bits: 9,     name: PA32, address: 32 }
      - { bits: 8:6,   name: z8, role: res0 }
      - { bits: 5,     name: PA34, address: 34 }
      - { bits: 4,     name: PA33, address: 33 }
      - { bits: 3:2,   name: z3, role: res0 }
      - { bits: 1:0,   name: type, value: 0b10 }
      protection: { read: 1, write: AP2 == 0 }
    - name: small page
      kind: leaf
      levels: 0
      fields:
      - { bits: 31:12, name: base, address: 12 }
      - { bits: 11:10, name: z11, role: res0 }
      - { bits: 9,     name: PA32, address: 32 }
      - { bits: 8:6,   name: z8, role: res0 }
      - { bits: 5,     name: PA34, address: 34 }
      - { bits: 4,     name: PA33, address: 33 }
      - { bits: 3,     name: AP2, encode: not write }
      - { bits: 2,     name: z2, role: res0 }
      - { bits: 1,     name: type, value: 1 }
      - { bits: 0,     name: XN, encode: noexec }
      protection: { read: 1, write: AP2 == 0, noexec: XN }
    faults:
      input: { name: translation fault, code: 5, text: fault }
      absent: { name: translation fault, code: 5, text: fault }
      malformed: { name: translation fault, code: 5, text: fault }
      reserved: { name: translation fault, code: 5, text: fault }
      address_size: { name: translation fault, code: 5, text: fault }
      permission: { name: translation fault, code: 5, text: fault }
      disagreement: { name: translation fault, code: 5, text: fault }
      memory: { name: translation fault, code: 5, text: fault }
    """

  private func format() throws -> ReferenceFormat {
    let configuration = try ConfigurationSchema(format: "short", keys: []).configuration([])
    return try ReferenceFormat(
      spec: ReferenceSpecs.parse(yaml: Self.shortDescriptors, file: "short.yaml"),
      configuration: configuration)
  }

  /// Table memory in words of 32 bits.
  private final class NarrowMemory: PhysicalMemoryReader {
    private let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 4096)

    init() { storage.initializeMemory(as: UInt8.self, repeating: 0) }

    deinit { storage.deallocate() }

    func bytes(at physical: UInt64, count byteCount: Int) -> UnsafeRawBufferPointer? {
      guard physical <= UInt64(storage.count - byteCount) else { return nil }
      return UnsafeRawBufferPointer(rebasing: storage[Int(physical)..<(Int(physical) + byteCount)])
    }

    func set(_ table: UInt64, _ index: Int, _ word: UInt64) {
      storage.storeBytes(
        of: UInt32(truncatingIfNeeded: word), toByteOffset: Int(table) + index * 4, as: UInt32.self)
    }
  }

  @Test func geometry() throws {
    let format = try format()
    #expect(format.wordBytes == 4)
    #expect(
      format.wordCount(level: 1, isRoot: true) == 4096 && format.wordCount(level: 0, isRoot: false) == 256)
    #expect(format.leafSizes(level: 1) == [1 << 20, 16 << 20])
    #expect(format.rootCount == 4)
    #expect(format.rootOrdinal(of: 0x3_0000_1000) == 3 && format.rootOrdinal(of: 0xffff_ffff) == 0)
  }

  @Test func addressBitsAreScattered() throws {
    let format = try format()
    let rw: Protection = [.read, .write]
    #expect(format.encodeLeaf(level: 0, pa: 0x7_1234_5000, size: 0x1000, protection: rw) == 0x1234_5232)
    #expect(
      format.encodeLeaf(level: 0, pa: 0x1_0000_0000, size: 0x1000, protection: [.read, .noexec]) == 0x20b)
    #expect(format.encodeLeaf(level: 1, pa: 0x2_0100_0000, size: 16 << 20, protection: rw) == 0x0104_0012)
    #expect(format.encodeTable(level: 1, pa: 0x4400) == 0x4401)
    #expect(format.encodeTable(level: 1, pa: 0x1_0000_0000) == nil)
    guard case .leaf(let leaf) = format.decode(0x1234_5232, level: 0).kind else {
      Issue.record("no leaf")
      return
    }
    #expect(leaf.pa == 0x7_1234_5000 && leaf.protection == rw)
  }

  @Test func walksAndImages() throws {
    let format = try format()
    let memory = NarrowMemory()
    memory.set(0x4000, 1, try #require(format.encodeTable(level: 1, pa: 0x8400)))
    memory.set(
      0x8400, 0xff,
      try #require(format.encodeLeaf(level: 0, pa: 0x5_0000_3000, size: 0x1000, protection: [.read])))
    let section = try #require(
      format.encodeLeaf(level: 1, pa: 0x3_1000_0000, size: 16 << 20, protection: [.read, .write]))
    for index in 0x20..<0x30 { memory.set(0x4000, index, section) }
    let root = TableRoot(physical: 0x4000, level: 1)
    let page = try format.walk(iova: 0x1f_fabc, root: root, memory: memory, access: .read).get()
    #expect(page.pa == 0x5_0000_3abc && page.protection == [.read])
    let large = try format.walk(iova: 0x2ab_cdef, root: root, memory: memory, access: .write).get()
    #expect(large.pa == 0x3_10ab_cdef && large.leafIOVA == 0x200_0000)
    let image = try format.image(roots: [TableRoot(physical: 0, level: 1), root], memory: memory)
    #expect(
      image.lines == [
        "T1 L1 [0x1] 0x1 -> T2", "T1 L1 [0x20..0x2f] 0x10040212", "T2 L0 [0xff] 0x322a",
      ])
    memory.set(0x4000, 0x2f, section | 1 << 16)
    #expect(throws: Fault.self) {
      try format.walk(iova: 0x2ab_cdef, root: root, memory: memory, access: .write).get()
    }
  }

  /// Bits above the root's index choose among roots; another order of the roots is another translation.
  @Test func severalRoots() throws {
    let format = try format()
    let memory = NarrowMemory()
    var roots: [TableRoot] = []
    for ordinal in 0..<4 as Range<UInt64> {
      roots.append(TableRoot(physical: ordinal * 0x4000, level: 1))
      let section = format.encodeLeaf(
        level: 1, pa: ordinal << 20, size: 1 << 20, protection: [.read, .write])
      memory.set(ordinal * 0x4000, 7, try #require(section))
    }
    func walk(_ iova: UInt64, _ roots: [TableRoot]) -> Result<Translation, Fault> {
      format.walk(iova: iova, roots: roots, memory: memory, access: .read)
    }
    for ordinal in 0..<4 as Range<UInt64> {
      let iova = ordinal << 32 | 0x70_0123
      #expect(try walk(iova, roots).get().pa == ordinal << 20 | 0x123)
      #expect(try walk(iova, roots.reversed()).get().pa == (3 - ordinal) << 20 | 0x123)
      let short = walk(iova, Array(roots.prefix(2)))
      #expect((try? short.get()) != nil || ordinal > 1)
      guard case .failure(let fault) = short else { continue }
      #expect(ordinal > 1 && fault.key == "input" && fault.reason.contains("root \(ordinal) of 2"))
    }
    #expect(throws: Fault.self) { try walk(1 << 34, roots).get() }
  }
}
