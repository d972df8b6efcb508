// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// `ptkit selftest --target kernel`, `modules` and `restore`. The names that are run here change no machine: the kit's module is nowhere
/// loaded, and whether all was put back is looked at only.
@Suite("ptkit on the running kernel")
struct KernelTargetTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func selftest(_ arguments: String..., environment: [String: String] = [:]) throws -> Run {
    let journal = ["--journal", scratch.path("journal").path]
    return try Run.ptkit(["selftest", "--target", "kernel"] + journal + arguments, environment: environment)
  }

  /// A journal as a killed run leaves it.
  private func left(_ changes: String) throws -> String {
    let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
    let path = try scratch.write("ptkit journal 1\nprocess 1\nboot \(boot)\(changes)", to: "journal")
    chmod(path, 0o600)
    return path
  }

  @Test("what cannot run is skipped with a reason; the status is 0, and 4 for kselftest's runner")
  func skips() throws {
    let run = try selftest("kernel.module", "kernel.left_as_found")
    #expect(run.status == 0)
    #expect(run.streamDefects == [])
    #expect(run.points.count > 20)
    let isSkip = run.points.allSatisfy { $0.isOK && $0.directive.hasPrefix("# SKIP ") }
    #expect(isSkip, "\(run.output)")
    // The detail stands in a line before each.
    let results = run.lines.indices.filter { run.lines[$0].hasPrefix("ok ") }
    #expect(results.allSatisfy { run.lines[$0 - 1].hasPrefix("# ") })
    #expect(!FileManager.default.fileExists(atPath: scratch.path("journal").path))
    let watched = try selftest("kernel.module", environment: ["kselftest_timeout": "45"])
    #expect(watched.status == 4)
  }

  @Test("the list names tests and what they need, and changes nothing")
  func list() throws {
    let run = try selftest("--list")
    #expect(run.status == 0)
    #expect(run.lines.contains { $0.hasPrefix("kernel.vfio.semantics.sizes\tvfio\troot, module ") })
    #expect(run.lines.contains { $0.hasPrefix("kernel.kunit.modules.iommu_pt_kunit_test\tkunit") })
    #expect(run.lines.last?.hasPrefix("kernel.left_as_found") == true)
    #expect(
      try selftest("--list", "kernel.module.dma").lines.allSatisfy { $0.hasPrefix("kernel.module.dma") })
    let unknown = try selftest("kernel.vfoi")
    #expect(unknown.status == 64)
    #expect(unknown.errors.contains("no test 'kernel.vfoi', did you mean kernel.vfio"))
  }

  @Test(
    "options of one target are refused for another, and so are devices and addresses that are none",
    arguments: [
      (["--load"], 64, "--load is for --target kernel"),
      (["--bind", "0000:00:04.0"], 64, "--bind is for --target kernel"),
      (["--journal", "x"], 64, "--journal is for --target kernel"),
      (
        ["--target", "kernel", "--formats", "vtdss"], 64,
        "--formats and --build-options are for --target ksrc:"
      ),
      (["--target", "kernel", "--spec", "x"], 64, "--spec and --golden are for"),
      (
        ["--target", "kernel", "--bind", "04:0"], 64, "'--bind 04:0': expected a PCI address as 0000:00:04.0"
      ),
      (["--target", "kernel", "--group", "x"], 64, "--group"),
      (["--target", "kernel", "--bind", "ffff:ff:1f.7"], 65, "there is no such PCI device"),
      (["--target", "kernel", "--findings", "/no/such"], 65, "/no/such"),
    ])
  func refused(arguments: [String], status: Int32, message: String) throws {
    let run = try Run.ptkit(["selftest"] + arguments)
    #expect(run.status == status)
    #expect(run.errors.contains(message), "\(run.errors)")
    #expect(run.streamDefects == [])
  }

  @Test("a target that cannot be asked for its tables is refused by other commands")
  func otherCommands() throws {
    for arguments in ["image --target kernel amdv1", "bench --target kernel", "golden check --target kernel"]
    {
      let run = try Run.ptkit(arguments.words)
      #expect(
        run.status == 64 && run.errors.contains("'--target kernel' is for ptkit selftest"), "\(arguments)")
    }
  }

  @Test("a left journal keeps a run from starting until ptkit restore has put everything back")
  func leftJournal() throws {
    let path = try left("1 setting /sys/no/such/file 7\n")
    let run = try selftest("kernel.module")
    #expect(run.status == 65)
    #expect(run.errors.contains("\(path) was left by a run that was killed; 'ptkit restore \(path)'"))
    let restore = try Run.ptkit(["restore", path])
    #expect(restore.status == 0)
    #expect(restore.output == "put back: /sys/no/such/file, 7\n")
    #expect(try selftest("kernel.left_as_found").status == 0)
    let again = try Run.ptkit(["restore", path])
    #expect(again.status == 65)
    #expect(again.errors == "Error: \(path): there is no journal\n")
  }

  @Test("a malformed journal is refused with file, line and what was expected, and stays")
  func malformed() throws {
    let path = try left("1 setting /etc/passwd 7\n")
    let run = try Run.ptkit(["restore", path])
    #expect(run.status == 65)
    #expect(run.errors.contains("\(path):4: expected 1 and a change (module NAME, "))
    #expect(run.errors.contains("found '1 setting /etc/passwd 7'"))
    #expect(FileManager.default.fileExists(atPath: path))
  }

  @Test("the journal of a running process is refused")
  func inUse() throws {
    let path = try left("")
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    try #require(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    for run in [try Run.ptkit(["restore", path]), try selftest("kernel.module")] {
      #expect(run.status == 65)
      #expect(run.errors.contains("\(path) is the journal of a running process (1)"))
    }
  }

  @Test("modules are a table, and looking changes nothing")
  func modules() throws {
    let run = try Run.ptkit(["modules"])
    #expect(run.status == 0)
    #expect(run.lines.first?.hasPrefix("MODULE ") == true)
    for module in ["vfio", "vfio_iommu_type1", "vfio_pci", "iommufd", "kunit", "iommu_pt_kunit_test"] {
      let states = ["built in", "loaded", "available", "missing"]
      let line = run.lines.first { $0.hasPrefix(module + " ") }
      let rest = line.map { $0.dropFirst(module.count).drop { $0 == " " } } ?? ""
      #expect(states.contains { rest.hasPrefix($0 + " ") }, "\(module)")
    }
  }

  @Test("SIGTERM ends a run in good order: the stream is whole, and the process ends by the signal")
  func signal() throws {
    let process = Process()
    process.executableURL = Places.binary
    process.arguments = [
      "selftest", "--target", "kernel", "--journal", scratch.path("journal").path, "kernel.module",
    ]
    let pipe = Pipe()
    // The results of all tests do not fit in (F_SETPIPE_SZ), so that the run waits in its middle.
    _ = fcntl(pipe.fileHandleForWriting.fileDescriptor, 1031, 4096)
    process.standardOutput = pipe
    process.standardInput = FileHandle.nullDevice
    try process.run()
    try pipe.fileHandleForWriting.close()
    var text = pipe.fileHandleForReading.readData(ofLength: 64)
    kill(process.processIdentifier, SIGTERM)
    text += pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGTERM)
    let run = Run(status: 0, output: String(decoding: text, as: UTF8.self), errors: "")
    #expect(run.lines.contains("# SIGTERM ends the run; what was changed is put back"), "\(run.output)")
    #expect(run.points.contains { $0.name == "kernel.left_as_found" && $0.isOK })
    #expect(run.points.contains { !$0.isOK })
    #expect(run.streamDefects == [])
  }
}
