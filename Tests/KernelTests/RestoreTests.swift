// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Machine
import Testing

@testable import Kernel

@Suite("Restoring from a journal")
struct RestoreTests {
  let host = FakeHost()
  let scratch = KernelScratch()
  private var header: String { "ptkit journal 1\nprocess 1\nboot \(JournalFile.boot)\n" }
  private static let file = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

  private func restore(_ lines: String) throws -> JournalRestore.Report {
    try JournalRestore.run(path: scratch.write(header + lines, to: "left"), on: host.machine)
  }

  @Test("everything is put back, last first, and again without harm")
  func everything() throws {
    try host.machine.write("9", to: Self.file)
    try host.machine.mount(fileSystem: "debugfs", on: "/sys/kernel/debug")
    let text = "1 setting \(Self.file) 3\n2 mount /sys/kernel/debug\n3 module vfio\n"
    let report = try restore(text)
    #expect(report.problems == [])
    #expect(report.restored == ["module vfio", "the file system on /sys/kernel/debug", "\(Self.file), 3"])
    #expect(try host.machine.line(of: Self.file) == "3")
    #expect(scratch.text("left") == nil)
    host.machine.log = []
    _ = try restore(text)
    // Nothing is there to be removed, which is asked by trying.
    #expect(host.machine.log == ["remove vfio"])
  }

  @Test("what is undone is left alone, and so is a line that does not end")
  func undone() throws {
    try host.machine.write("9", to: Self.file)
    host.machine.log = []
    _ = try restore("1 setting \(Self.file) 3\nundone 1\n2 module vf")
    #expect(host.machine.log == [])
    #expect(try host.machine.line(of: Self.file) == "9")
  }

  @Test("another boot has undone everything")
  func boot() throws {
    let text = "ptkit journal 1\nprocess 1\nboot other\n1 setting \(Self.file) 1\n"
    let report = try JournalRestore.run(path: scratch.write(text, to: "left"), on: host.machine)
    #expect(report.isFromAnotherBoot)
    #expect(host.machine.log == [])
    #expect(scratch.text("left") == nil)
  }

  @Test("a device that is gone, a file that is gone and a driver that has it already are fine")
  func alreadyFine() throws {
    let report = try restore(
      "1 driver 0000:99:00.0 e1000e -\n2 setting /sys/no/such 1\n3 driver 0000:00:04.0 e1000e -\n")
    #expect(report.problems == [])
    #expect(host.machine.log == [])
  }

  @Test("what cannot be put back stays in the journal, and the rest is put back")
  func problems() throws {
    try host.machine.write("9", to: Self.file)
    host.machine.refusals["write \(Self.file) 3"] = EBUSY
    try host.machine.mount(fileSystem: "debugfs", on: "/sys/kernel/debug")
    let report = try restore("1 mount /sys/kernel/debug\n2 setting \(Self.file) 3\n")
    #expect(report.restored == ["the file system on /sys/kernel/debug"])
    #expect(report.problems.count == 1)
    #expect(scratch.text("left")?.hasSuffix("undone 1\n") == true)
    host.machine.refusals = [:]
    #expect(try JournalRestore.run(path: scratch.path("left"), on: host.machine).problems == [])
    #expect(try host.machine.line(of: Self.file) == "3")
  }

  @Test(
    "a malformed journal names the line and what was expected, and nothing is done",
    arguments: [
      ("hello\n", 1, "ptkit journal 1"),
      ("ptkit journal 2\nprocess 1\n", 1, "ptkit journal 1"),
      ("not ended", 1, "ptkit journal 1"),
      ("ptkit journal 1\nprocess x\n", 2, "process NUMBER"),
      ("ptkit journal 1\nprocess 1\nboot \n", 3, "boot ID"),
      ("ptkit journal 1\nprocess 1\nboot b\n1 module vfio\n3 module x\n", 5, "2 and a change"),
      ("ptkit journal 1\nprocess 1\nboot b\n1 setting /etc/passwd 0\n", 4, "1 and a change"),
      ("ptkit journal 1\nprocess 1\nboot b\nundone 1\n", 4, "undone and the number"),
      ("ptkit journal 1\nprocess 1\nboot b\n\n", 4, "1 and a change"),
    ])
  func malformed(text: String, line: Int, expected: String) throws {
    let path = try scratch.write(text, to: "bad")
    let error = #expect(throws: JournalError.self) { try JournalRestore.run(path: path, on: host.machine) }
    #expect(
      error.map { "\($0)" }?.hasPrefix("\(path):\(line): expected \(expected)") == true, "\(error as Any)")
    #expect(host.machine.log == [])
    #expect(scratch.text("bad") == text)
  }

  @Test("a journal that others can write, a folder and nothing are refused")
  func untrusted() throws {
    let path = try scratch.write(header, to: "shared")
    chmod(path, 0o666)
    #expect(throws: JournalError.self) { try JournalRestore.run(path: path, on: host.machine) }
    #expect(throws: JournalError.none(scratch.path("none"))) {
      try JournalRestore.run(path: scratch.path("none"), on: host.machine)
    }
    #expect(throws: JournalError.self) { try JournalRestore.run(path: scratch.folder, on: host.machine) }
    symlink(path, scratch.path("link"))
    #expect(throws: JournalError.self) {
      try JournalRestore.run(path: scratch.path("link"), on: host.machine)
    }
  }
}
