// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// `ptkit lab` around the machines: what is asked for, what cannot be had, and how a run ends before its time.
@Suite("lab command")
struct LabCommandTests {
  private static let isFetched = ["kernel-7.2-amd64", "qemu-11.1-amd64"].allSatisfy {
    FileManager.default.fileExists(atPath: Places.cache.appendingPathComponent("lab/\($0)/complete").path)
  }

  private func lab(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Run {
    try Run.ptkit(["lab"] + arguments, environment: environment, folder: Places.repository)
  }

  @Test("the list has the rows of the file, and says which run by default")
  func list() throws {
    let run = try lab(["--list"])
    let rows = try String(contentsOf: Places.repository.appendingPathComponent("lab/rows"), encoding: .utf8)
      .split(separator: "\n").filter { $0.hasPrefix("row ") }.map { $0.split(separator: " ") }
    let columns = run.lines.map { $0.split(separator: "\t", omittingEmptySubsequences: false) }
    #expect(run.status == 0 && columns.map(\.first) == rows.map { $0[1] })
    #expect(columns.map { $0[1] == "default" } == rows.map { $0.contains("default") })
  }

  @Test("the tests of a row are named for it, and it begins with a boot and ends with a machine that is off")
  func tests() throws {
    let run = try lab(["--list", "--tests", "riscv64"])
    #expect(run.status == 0 && run.lines.allSatisfy { $0.hasPrefix("vm.riscv64.") })
    #expect(run.lines.first == "vm.riscv64.boot" && run.lines.last == "vm.riscv64.power_off")
  }

  @Test(
    "what is not there is an error that says so",
    arguments: [
      (["intel-s"], "intel-ss"), (["--tests", "intel-ss"], "--list"),
      (["--only", "walk,frob", "intel-ss"], "'frob'"),
      (["--kernel", "/nonexistent/bzImage", "intel-ss"], "/nonexistent/bzImage"),
      (["--kernel", "/dev/null", "--modules", "/nonexistent", "intel-ss"], "/nonexistent"),
    ])
  func errors(_ arguments: [String], _ text: String) throws {
    let run = try lab(arguments)
    #expect(run.status != 0 && run.errors.contains(text), "\(run.errors)")
    #expect(!run.output.contains("\nok "), "\(run.output)")
  }

  @Test("a kernel that cannot be fetched makes each test of its row a skip with the reason")
  func notFetched() throws {
    let scratch = try Scratch()
    // A machine without apt.
    try FileManager.default.createSymbolicLink(
      at: scratch.path("dirname"), withDestinationURL: URL(fileURLWithPath: "/usr/bin/dirname"))
    let run = try lab(
      ["intel-ss"], ["PTKIT_CACHE": scratch.path("cache").path, "PATH": scratch.folder.path])
    let names = try lab(["--list", "--tests", "intel-ss"]).lines
    #expect(run.points.map(\.name) == names)
    #expect(run.lines.filter { $0.hasSuffix("# SKIP not fetched") }.count == names.count, "\(run.output)")
    #expect(run.lines.contains { $0.hasPrefix("# ") && $0.contains("apt-get is missing") }, "\(run.output)")
    #expect(run.status == 0)
  }

  @Test(
    "what does not compile is a failure, and no skip",
    .enabled(if: isFetched, "kernel and QEMU of the lab are not in its cache"))
  func brokenAgent() throws {
    let scratch = try Scratch()
    try FileManager.default.copyItem(
      at: Places.repository.appendingPathComponent("lab"), to: scratch.path("lab"))
    let agent = scratch.path("lab/agent/agent.c")
    let source = try String(contentsOf: agent, encoding: .utf8)
    try (source + "int broken(\n").write(to: agent, atomically: false, encoding: .utf8)
    let run = try Run.ptkit(["lab", "intel-ss"], folder: scratch.folder)
    #expect(run.status == 1)
    #expect(run.points.first.map { !$0.isOK && $0.name == "vm.intel-ss.boot" } == true, "\(run.output)")
    #expect(run.lines.contains { $0.hasPrefix("# the agent for amd64 could not be built") }, "\(run.output)")
  }

  @Test(
    "a signal ends the machines, removes their files, and is said in the stream",
    .enabled(if: isFetched, "kernel and QEMU of the lab are not in its cache"), arguments: [SIGTERM, SIGINT])
  func signal(_ signal: Int32) throws {
    let process = Process()
    process.executableURL = Places.binary
    process.arguments = ["lab", "intel-ss"]
    process.currentDirectoryURL = Places.repository
    process.standardInput = FileHandle.nullDevice
    let (output, errors) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, errors)
    try process.run()
    for pipe in [output, errors] { try pipe.fileHandleForWriting.close() }
    // The machine's own files are there once its emulator runs.
    var emulator: Int32?
    for _ in 0..<600 where emulator == nil {
      emulator =
        Self.children(of: process.processIdentifier).first {
          $0.name.contains("qemu") || $0.name.hasPrefix("ld-")
        }?.id
      usleep(50_000)
    }
    let machine = try #require(emulator, "no emulator was started")
    let folder = try #require(Self.machineFolder(machine))
    #expect(FileManager.default.fileExists(atPath: folder))
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(process.terminationStatus == 128 + signal)
    #expect(text.hasSuffix("Bail out! \(signal == SIGTERM ? "SIGTERM" : "SIGINT") ends the run\n"), "\(text)")
    #expect(!FileManager.default.fileExists(atPath: folder))
    // Its memory takes a moment to give back; then it is gone, or waits for somebody to ask for its status.
    var state = ""
    for _ in 0..<200 {
      state = (try? String(contentsOfFile: "/proc/\(machine)/stat", encoding: .utf8)) ?? " Z "
      if state.contains(" Z ") { break }
      usleep(50_000)
    }
    #expect(state.contains(" Z "), "\(state)")
  }

  private static func children(of parent: Int32) -> [(id: Int32, name: String)] {
    let folders = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return folders.compactMap { Int32($0) }.compactMap { id in
      guard let line = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
        let start = line.firstIndex(of: "("), let end = line.lastIndex(of: ")"),
        line[end...].split(separator: " ").dropFirst(2).first.flatMap({ Int32($0) }) == parent
      else { return nil }
      return (id, String(line[line.index(after: start)..<end]))
    }
  }

  /// Where the emulator's sockets and files are, from its command line.
  private static func machineFolder(_ emulator: Int32) -> String? {
    let words = FileManager.default.contents(atPath: "/proc/\(emulator)/cmdline")?.split(separator: 0) ?? []
    let file = words.map { String(decoding: $0, as: UTF8.self) }.first { $0.hasSuffix("/files") }
    return file.map { String($0.dropLast("/files".count)) }
  }
}
