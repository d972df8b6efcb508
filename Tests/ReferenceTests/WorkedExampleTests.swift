// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import ReferenceSpecs
import Testing

/// The words that the manuals and Linux want, against the reference.
struct WorkedExampleTests {
  static let texts = [
    "AMD": amdExamples, "x86-64": x86Examples, "VT-d": vtdExamples, "RISC-V": riscvExamples,
    "Arm stage 1": armStage1Examples, "Arm stage 2": armStage2Examples, "Arm LPAE": armLPAE32Examples,
    "Arm short descriptors": armv7sExamples, "Mali": maliExamples, "DART": dartExamples,
  ]

  static func examples(_ name: String) throws -> [WorkedExample] {
    try WorkedExample.parse(try #require(texts[name]))
  }

  @Test func everyExampleIsRead() throws {
    let counts = try Self.texts.mapValues { try WorkedExample.parse($0).count }
    #expect(counts.values.reduce(0, +) == 172)
    let formats = Set(
      try Self.texts.values.flatMap { try WorkedExample.parse($0) }.map {
        String($0.configuration.prefix { $0 != ":" })
      })
    #expect(formats == Set(ReferenceSpecs.formats))
  }

  @Test(arguments: texts.keys.sorted()) func wordsAreAsWorkedOut(_ name: String) throws {
    for example in try Self.examples(name) {
      let format = try reference(example.configuration)
      #expect(example.disagreements(format).isEmpty, "\(example.configuration) \(example.rows)")
    }
  }

  @Test(arguments: texts.keys.sorted()) func walksEndWhereTheExampleSays(_ name: String) throws {
    for example in try Self.examples(name) {
      let format = try reference(example.configuration)
      let memory = example.memory(format)
      let root = TableRoot(physical: example.root, level: format.rootLevel)
      // Without permissions everything may be written.
      let writable = example.protection.contains(.write) || example.configuration.contains("no_perms")
      let access: DeviceAccess = example.protection.contains(.read) ? .read : .write
      for offset in [0, example.size / 2 + 3, example.size - 1] {
        let translation = try format.walk(
          iova: example.iova + offset, root: root, memory: memory, access: access
        ).get()
        #expect(translation.pa == example.pa + offset)
        #expect(translation.leafIOVA == example.iova)
        #expect(translation.leafSize == example.size)
        #expect(translation.leafPA == example.pa)
        #expect(translation.protection.contains(.write) == writable)
        #expect(translation.path.count == format.rootLevel - translation.leafLevel + 1)
      }
      // The byte after the mapping does not translate, nor the one before it.
      for iova in [example.iova &+ example.size, example.iova &- 1] {
        let result = format.walk(iova: iova, root: root, memory: memory, access: access)
        guard case .failure(let fault) = result else {
          Issue.record("\(Numbers.hex(iova)) translates in \(example)")
          continue
        }
        #expect(["absent", "input"].contains(fault.key))
      }
    }
  }

  /// A specification with one wrong bit is found out by the examples of its format.
  @Test(arguments: [
    ("amdv1", "{ bits: 61,    name: IR, encode: 1,", "{ bits: 61,    name: IR, encode: 0,"),
    ("amdv1", "name: SizeEnd, when: s > shift, value: 0", "name: SizeEnd, when: s > shift, value: 1"),
    ("amdv1_mock", "address: 12, text", "address: 13, text"),
    ("x86_64", "encode: write or dirty", "encode: dirty"),
    ("vtdss", "name: W, encode: write", "name: W, encode: read"),
    ("riscv64", "value: 0b1000", "value: 0b0100"),
    ("armv8", "name: nG, encode: 1", "name: nG, encode: 0"),
    ("armv8", "6 if cache else 5, values", "7 if cache else 5, values"),
    ("arm_lpae32", "name: XN, encode: noexec", "name: XN, encode: 0"),
    ("arm_lpae32", "name: HAP2, encode: write", "name: HAP2, encode: read"),
    ("armv7s", "name: PA33, when: mtk, address: 33", "name: PA33, when: mtk, address: 34"),
    ("armv7s", "shift + 4 * super", "shift + 3 * super"),
    ("armv7s", "name: NS, encode: ns", "name: NS, encode: 0"),
    ("mali", "name: SHARE, encode: 2", "name: SHARE, encode: 3"), ("mali", "value: 0b01", "value: 0b11"),
    ("dart", "37:10, name: OFFSET, address: 14", "37:10, name: OFFSET, address: 10"),
    ("dart", "name: SP_END, encode: 0xfff", "name: SP_END, encode: 0"),
    ("dart", "name: SP_DIS, encode: 1", "name: SP_DIS, encode: 0"),
  ])
  func oneWrongBitIsFound(_ format: String, _ right: String, _ wrong: String) throws {
    let source = try #require(ReferenceSpecs.source(format: format))
    #expect(source.contains(right))
    let broken = try ReferenceSpecs.parse(yaml: source.replacing(right, with: wrong), file: "broken.yaml")
    let examples = try Self.texts.values.flatMap { try WorkedExample.parse($0) }
      .filter { $0.configuration.split(separator: ":")[0] == format }
    #expect(!examples.isEmpty)
    let found = try examples.contains { example in
      let configuration = try TestConfigurations.parse(example.configuration)
      guard let reference = try? ReferenceFormat(spec: broken, configuration: configuration) else {
        return true
      }
      return !example.disagreements(reference).isEmpty
    }
    #expect(found)
  }
}
