// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import LibraryTarget
import PageTable

/// A Linux tree whose page-table code is built into libraries (Sources/KernelTree/README.md).
struct KernelTree {
  /// The tree.
  var path: String
  /// What is built, joined by commas; nil for all.
  var formats: String?
  /// More options of the build, separated by spaces.
  var options: String?
  /// More options of the libraries' processes.
  var processOptions: [String] = []

  /// Builds what has changed; a library each, also for those that could not be built.
  func parts(seed: UInt64, callLimit: Double) throws -> [LibraryPart] {
    if let error = LibraryError.ofThisBinary { throw InputError("\(error)") }
    let script = try file("cached")
    ErrorStream.put("building the page-table code of \(path)\n")
    var arguments = formats.map { ["--formats=\($0)"] } ?? []
    arguments += (options ?? "").split(separator: " ").map(String.init)
    let run = try CapturedRun("/bin/sh", [script] + arguments + [path])
    guard let out = run.output.split(separator: "\n").last.map(String.init), run.status < 2 else {
      let reason = run.errors.split(separator: "\n").first { $0.hasPrefix("ksrc: ") }?.dropFirst(6)
      throw InputError(
        "the page-table code of \(path) cannot be built: \(reason.map(String.init) ?? "see above")")
    }
    let preload = try? FileText.lines("\(out)/preload").first
    var parts = try pairs("\(out)/libraries").map { name, library -> LibraryPart in
      var library = Supervisor(path: library, preload: preload, seed: seed, callLimit: callLimit)
      library.options = processOptions
      library.target = command(for: name)
      return LibraryPart(library, prefix: prefix(name))
    }
    for (name, problem) in try pairs("\(out)/failures") {
      var part = LibraryPart(Supervisor(path: "", preload: nil, seed: seed), prefix: prefix(name))
      part.problem = problem
      parts.append(part)
    }
    return parts.sorted { $0.prefix < $1.prefix }
  }

  /// The failures of kernels' own code that are known.
  func findings() throws -> String { try file("findings") }

  /// The target and the options that name a library of the tree, also after its next change.
  private func command(for name: String) -> String {
    let more = options.map { " --build-options '\($0)'" } ?? ""
    return "ksrc:\(path) --formats \(name)\(more)"
  }

  /// Names of libraries as words of test names.
  private func prefix(_ name: String) -> String {
    "ksrc." + String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? $0 : "_" })
  }

  func pairs(_ path: String) throws -> [(String, String)] {
    try FileText.lines(path).compactMap { line in
      let words = line.split(separator: "\t", maxSplits: 1).map(String.init)
      return words.count == 2 ? (words[0], words[1]) : nil
    }
  }

  /// A file of Sources/KernelTree: in the working directory, or above the binary.
  func file(_ name: String) throws -> String {
    let inside = "Sources/KernelTree/\(name)"
    if access(inside, R_OK) == 0 { return inside }
    var folder = GoldenFiles.executablePath?[...] ?? ""
    while let slash = folder.lastIndex(of: "/") {
      folder = folder[..<slash]
      if access("\(folder)/\(inside)", R_OK) == 0 { return "\(folder)/\(inside)" }
    }
    throw InputError("\(inside) is neither in the working directory nor above the binary")
  }
}

/// Text files.
enum FileText {
  /// The lines of a file.
  static func lines(_ path: String, keepsEmpty: Bool = false) throws -> [String] {
    try bytes(path).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: !keepsEmpty).map {
      String(decoding: $0, as: UTF8.self)
    }
  }

  /// All of a file.
  static func whole(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

  private static func bytes(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "r") else {
      throw InputError("\(path): \(String(cString: strerror(errno)))")
    }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer.prefix(count) }
    return bytes
  }
}

/// A program that has run to its end; its standard error is shown then.
struct CapturedRun {
  private(set) var output = ""
  private(set) var errors = ""
  private(set) var status: Int32 = 0

  init(_ program: String, _ arguments: [String]) throws {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw InputError("no pipe: \(String(cString: strerror(errno)))") }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    guard let said = tmpfile() else { throw InputError("no file: \(String(cString: strerror(errno)))") }
    defer { fclose(said) }
    posix_spawn_file_actions_adddup2(&actions, fileno(said), 2)
    posix_spawn_file_actions_addclose(&actions, ends[0])
    var words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var process: pid_t = 0
    let result = posix_spawn(&process, program, &actions, nil, &words, environ)
    close(ends[1])
    guard result == 0 else { throw InputError("\(program): \(String(cString: strerror(result)))") }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = read(ends[0], &buffer, buffer.count), count > 0 { bytes += buffer.prefix(count) }
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    status = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + status & 0x7f
    output = String(decoding: bytes, as: UTF8.self)
    bytes = []
    lseek(fileno(said), 0, SEEK_SET)
    while case let count = read(fileno(said), &buffer, buffer.count), count > 0 {
      bytes += buffer.prefix(count)
    }
    errors = String(decoding: bytes, as: UTF8.self)
    ErrorStream.put(errors)
  }
}
