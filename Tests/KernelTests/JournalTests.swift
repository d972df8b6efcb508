// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Machine
import Testing

@testable import Kernel

@Suite("Journals of changes")
struct JournalTests {
  let host = FakeHost()
  let scratch = KernelScratch()

  private func journal(_ name: String = "journal") throws -> Journal {
    Journal(machine: host.machine, file: try JournalFile(new: scratch.path(name)))
  }

  @Test(
    "lines of changes are read as they were written",
    arguments: [
      KernelChange.module("vfio_pci"),
      .driver(device: "0000:00:04.0", driver: "e1000e", override: nil),
      .driver(device: "0000:00:04.0", driver: nil, override: "vfio-pci"),
      .driver(device: "0000:00:04.0", driver: "-", override: "a b%"),
      .setting(file: "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", value: "0"),
      .mount(folder: "/sys/kernel/debug"),
    ])
  func roundTrip(change: KernelChange) {
    #expect(KernelChange(change.text) == change)
    #expect(!change.text.contains("\n"))
  }

  @Test(
    "what no run writes is no change",
    arguments: [
      "", "module", "module a b", "module ../x", "module -", "driver a b", "driver a/b - -", "driver 1 .. -",
      "setting /etc/passwd x", "setting /sys/../etc/passwd x", "setting /sys/x", "setting /sys/x -",
      "mount /home", "mount", "remove x", "module %zz", "module  a", "setting /sys/x 1 ",
    ])
  func noChange(line: String) { #expect(KernelChange(line) == nil) }

  @Test("a change is on the file before it is made, and gone when it is undone")
  func writtenBefore() throws {
    let journal = try journal()
    #expect(scratch.text("journal") == nil)
    var seen: String?
    try journal.make(.module("vfio")) { seen = scratch.text("journal") }
    let lines = seen?.split(separator: "\n").map(String.init) ?? []
    #expect(lines.count == 4)
    #expect(lines.first == "ptkit journal 1")
    #expect(lines.last == "1 module vfio")
    #expect(journal.undoAll() == [])
    #expect(scratch.text("journal") == nil)
  }

  @Test("a journal that cannot be written keeps the change from being made")
  func notWritable() throws {
    let journal = Journal(machine: host.machine, file: try JournalFile(new: "/proc/no/such/folder/journal"))
    var isMade = false
    #expect(throws: JournalError.self) { try journal.make(.module("vfio")) { isMade = true } }
    #expect(!isMade)
    #expect(journal.changes == [])
  }

  @Test("changes are undone in reverse order, those before a mark are left")
  func order() throws {
    let journal = try journal()
    let file = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
    try journal.make(.setting(file: file, value: "3")) { try host.machine.write("7", to: file) }
    let mark = journal.mark
    try journal.make(.mount(folder: "/sys/kernel/debug")) {
      try host.machine.mount(fileSystem: "debugfs", on: "/sys/kernel/debug")
    }
    try journal.make(.setting(file: file, value: "7")) { try host.machine.write("9", to: file) }
    host.machine.log = []
    #expect(journal.undo(to: mark) == [])
    #expect(host.machine.log == ["write \(file) 7", "umount /sys/kernel/debug"])
    #expect(try host.machine.line(of: file) == "7")
    #expect(scratch.text("journal")?.hasSuffix("undone 3\nundone 2\n") == true)
    #expect(journal.undoAll() == [])
    #expect(try host.machine.line(of: file) == "3")
  }

  @Test("a change that fails in the middle is undone")
  func failsInTheMiddle() throws {
    let journal = try journal()
    let file = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
    #expect(throws: MachineError.self) {
      try journal.make(.setting(file: file, value: "3")) {
        try host.machine.write("7", to: file)
        throw MachineError.refused(call: "next", error: 5)
      }
    }
    #expect(try host.machine.line(of: file) == "3")
    #expect(journal.changes == [])
  }

  @Test("a left journal keeps the next run from starting, and says what to do; one in use, too")
  func left() throws {
    var journal: Journal? = try journal()
    try journal?.make(.module("vfio")) {}
    #expect(throws: JournalError.inUse(scratch.path("journal"), process: "\(getpid())")) {
      try JournalFile(new: scratch.path("journal"))
    }
    #expect(throws: JournalError.inUse(scratch.path("journal"), process: "\(getpid())")) {
      try JournalRestore.run(path: scratch.path("journal"), on: host.machine)
    }
    // The lock goes with the process.
    journal = nil
    let error = #expect(throws: JournalError.left(scratch.path("journal"))) {
      try JournalFile(new: scratch.path("journal"))
    }
    #expect(error.map { "\($0)" }?.contains("ptkit restore \(scratch.path("journal"))") == true)
  }

  @Test("default places are those that a new start empties")
  func places() {
    #expect(JournalPlace.path(user: 0, runtime: "/run/user/7") == "/run/ptkit/journal")
    #expect(JournalPlace.path(user: 7, runtime: "/run/user/7") == "/run/user/7/ptkit/journal")
    #expect(JournalPlace.path(user: 7, runtime: nil) == nil)
    #expect(JournalPlace.path(user: 7, runtime: "here") == nil)
  }
}
