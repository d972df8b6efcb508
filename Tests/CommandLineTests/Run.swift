// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// One finished run of a program, as its user sees it.
struct Run {
  var status: Int32
  var output: String
  var errors: String

  /// The lines of standard output, without a last empty one.
  var lines: [String] {
    var lines = output.components(separatedBy: "\n")
    if lines.last == "" { lines.removeLast() }
    return lines
  }

  /// Runs `ptkit` with an environment that shows neither golden files nor kselftest, but for what `environment` says.
  static func ptkit(
    _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil
  ) throws -> Run {
    try program(Places.binary, arguments, environment: environment, folder: folder)
  }

  /// Runs any program.
  static func program(
    _ program: URL, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil
  ) throws -> Run {
    let scratch = try Scratch()
    let output = scratch.path("output")
    let errors = scratch.path("errors")
    for file in [output, errors] { try Data().write(to: file) }
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    var variables = ProcessInfo.processInfo.environment
    for name in ["PTKIT", "PTKIT_GOLDEN", "kselftest_timeout"] { variables[name] = nil }
    process.environment = variables.merging(environment) { $1 }
    process.currentDirectoryURL = folder ?? scratch.folder
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try appending(to: output)
    process.standardError = try appending(to: errors)
    try process.run()
    process.waitUntilExit()
    // A signal is no status; none of the programs may end by one.
    try #require(process.terminationReason == .exit, "\(program.lastPathComponent) \(arguments) died")
    return Run(
      status: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
      errors: try String(contentsOf: errors, encoding: .utf8))
  }
}

extension Run {
  /// A file to add to: programs that open /dev/stdout once more, as kselftest's runner does, would overwrite what is there.
  private static func appending(to file: URL) throws -> FileHandle {
    let descriptor = open(file.path, O_WRONLY | O_APPEND | O_CLOEXEC)
    try #require(descriptor >= 0)
    return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }
}

/// Where things are.
enum Places {
  /// The program under test: the release build, which is many times faster, where it is at least as new as its sources; else
  /// the one beside the tests.
  static let binary: URL = {
    let release = repository.appendingPathComponent(".build/release/ptkit")
    guard let built = modified(release) else { return besideTests }
    let sources = repository.appendingPathComponent("Sources")
    let files = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
    while let file = files?.nextObject() as? URL {
      // What only the C compiler of libraries reads is no part of the program.
      guard file.pathExtension == "swift" || file.pathExtension == "yaml" else { continue }
      if let date = modified(file), date > built { return besideTests }
    }
    return release
  }()

  private static let besideTests: URL = {
    // Whatever program runs the tests, their bundle is mapped into it.
    let maps = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8)) ?? ""
    let bundle = maps.split(separator: "\n").lazy
      .compactMap { $0.firstIndex(of: "/").map($0.suffix(from:)) }
      .first { $0.hasSuffix(".xctest") }
    return URL(fileURLWithPath: bundle.map { String($0) } ?? ".build/debug/ptkitPackageTests.xctest")
      .deletingLastPathComponent().appendingPathComponent("ptkit")
  }()

  private static func modified(_ file: URL) -> Date? {
    (try? FileManager.default.attributesOfItem(atPath: file.path))?[.modificationDate] as? Date
  }

  /// The root of the repository.
  static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// What the scripts of the kit fetch and build: $PTKIT_CACHE, or where caches of the user are.
  static let cache: URL = {
    let variables = ProcessInfo.processInfo.environment.filter { !$0.value.isEmpty }
    let caches = variables["XDG_CACHE_HOME"] ?? "\(variables["HOME"] ?? "/tmp")/.cache"
    return URL(fileURLWithPath: variables["PTKIT_CACHE"] ?? "\(caches)/ptkit")
  }()

  static var golden: URL { repository.appendingPathComponent("Golden") }
  static var selftests: URL { repository.appendingPathComponent("selftests") }
}

/// A folder that goes away with the value.
final class Scratch {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("ptkit-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func path(_ name: String) -> URL { folder.appendingPathComponent(name) }

  /// Writes a file and returns its path.
  func write(_ text: String, to name: String) throws -> String {
    let file = path(name)
    try text.write(to: file, atomically: false, encoding: .utf8)
    return file.path
  }
}
