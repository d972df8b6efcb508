// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@Suite struct TextTests {
  @Test(arguments: [
    ("0", 0), ("4096", 4096), ("0x1000", 4096), ("4K", 4096), ("4k", 4096), ("2M", 2 << 20), ("1G", 1 << 30),
    ("16T", 16 << 40), ("0x10K", 16 << 10), ("18446744073709551615", UInt64.max),
    ("0xffffffffffffffff", .max),
  ])
  func sizes(_ text: String, _ value: UInt64) {
    #expect(Numbers.parseSize(text) == value)
  }

  @Test(arguments: [
    "", "K", "0x", "0xK", "-1", "+1", "1.5", "4 K", "4KB", "٤", "18446744073709551616", "0x1ffffffffffffffff",
    "16384P",
  ])
  func notSizes(_ text: String) {
    #expect(Numbers.parseSize(text) == nil)
  }

  @Test(arguments: ["none", "r", "w", "rw", "rw,cache", "r,noexec,priv", "cache", "cache,noexec,mmio,priv"])
  func protections(_ text: String) {
    #expect(Protection(text: text)?.text == text)
  }

  @Test(arguments: ["", "x", "wr", "cache,r", "rw,rw", "rw,cache,cache", "rw,", ",cache", "none,cache"])
  func notProtections(_ text: String) {
    #expect(Protection(text: text) == nil)
  }

  @Test(arguments: [
    "map 0x0 0x1000 0x600000 rw", "maprange 0x0 0x1000 0x1000 none", "mappages 0x0 0x0 0x1000 512 r,cache",
    "unmap 0x1000 0x5ff000", "unmappages 0x0 0x1000 512", "phys 0x7fffffffffff", "setdirty 0x1000",
    "dirty 0x0 0x4000 keep", "dirty 0x0 0x4000 clear", "allocbudget 3", "allocbudget unlimited",
  ])
  func operations(_ text: String) throws {
    #expect(try Operation(text: text).description == text)
  }

  @Test(arguments: [
    "", "mapp 0 0 4K rw", "map 0 0 4K", "map 0 0 4K rw rw", "map 0 zero 4K rw", "dirty 0 4K",
    "dirty 0 4K both",
    "allocbudget", "allocbudget -1", "phys", "unmappages 0 4K",
  ])
  func notOperations(_ text: String) {
    let error = #expect(throws: GrammarError.self) { try Operation(text: text) }
    #expect(error?.description.contains("expected") == true)
  }

  @Test func misspeltOperationsGetTheNearestNames() {
    let error = #expect(throws: GrammarError.self) { try Operation(text: "unmp 0 4K") }
    #expect(error?.description.contains("did you mean unmap?") == true, "\(String(describing: error))")
  }

  @Test(arguments: [
    ("map 0 0 4K rw", "ok"), ("map 0 0 4K rw", "EADDRINUSE"), ("maprange 0 0 4K rw", "ok 0x1000"),
    ("maprange 0 0 4K rw", "ENOMEM 0x0"), ("unmap 0 4K", "0x1000"), ("phys 0", "none"), ("phys 0", "0x0"),
    ("setdirty 0", "ENOENT"), ("dirty 0 4K keep", "none"), ("dirty 0 4K keep", "EINVAL"),
    ("dirty 0 4K keep", "0x0+0x1000 0x3000+0x2000"),
  ])
  func results(_ operation: String, _ text: String) throws {
    let operation = try Operation(text: operation)
    #expect(try OperationResult(text: text, of: operation).text == text)
  }

  @Test(arguments: [
    ("map 0 0 4K rw", "0x0"), ("map 0 0 4K rw", "EWHAT"), ("maprange 0 0 4K rw", "ok"), ("unmap 0 4K", "ok"),
    ("phys 0", "nowhere"), ("dirty 0 4K keep", "0x0"), ("allocbudget 1", "ok"), ("map 0 0 4K rw", "ok ok"),
  ])
  func notResults(_ operation: String, _ text: String) throws {
    let operation = try Operation(text: operation)
    #expect(throws: GrammarError.self) { try OperationResult(text: text, of: operation) }
  }

  @Test(arguments: ["sync 0x0..0xfff", "sync 0x1000..0x5fffff free=2", "top level=3", "warn"])
  func notes(_ text: String) throws {
    #expect(try OperationNote(text: text).text == text)
  }

  @Test(arguments: [
    "", "sync", "sync 0x0", "sync 0x0..", "sync 0..1 free", "top", "top level=x", "warn warn", "boom",
  ])
  func notNotes(_ text: String) {
    #expect(throws: GrammarError.self) { try OperationNote(text: text) }
  }
}
