// SPDX-License-Identifier: GPL-2.0-only

struct SMMUv3Walk {
  let reader: StructureReader

  init(_ reader: StructureReader) { self.reader = reader }

  func run() throws {
    reader.problem("the structures of an \(reader.registers.kind.title) are not walked yet")
  }
}
