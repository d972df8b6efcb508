// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// Where the page-table code of a kernel tree is for the tests.
enum KernelSources {
  /// $PTKIT_KSRC, or what Sources/KernelTree/fetch has fetched; nil where there is neither.
  static let tree: URL? = {
    let environment = ProcessInfo.processInfo.environment
    if let path = environment["PTKIT_KSRC"], !path.isEmpty { return URL(fileURLWithPath: path) }
    return ["7.3", "7.2"].map { Places.cache.appendingPathComponent("linux-source-\($0)") }
      .first { FileManager.default.fileExists(atPath: $0.appendingPathComponent("Makefile").path) }
  }()

  /// The same where it is Linux 7.3, whose code the mistakes and the tests that see them are for.
  static let linux73 = tree.flatMap { (try? version($0)) == "7.3" ? $0 : nil }

  static let isThere: Comment = "there is no kernel tree: set PTKIT_KSRC, or run Sources/KernelTree/fetch 7.3"

  /// The tree's version, `7.3`.
  static func version(_ tree: URL) throws -> String {
    let lines = try String(contentsOf: tree.appendingPathComponent("Makefile"), encoding: .utf8)
      .split(separator: "\n").prefix(20)
    return ["VERSION", "PATCHLEVEL"].compactMap { key in
      lines.first { $0.hasPrefix("\(key) =") }?.split(separator: "=").last?.trimmingCharacters(
        in: .whitespaces)
    }.joined(separator: ".")
  }

  /// Makes a copy of the tree's page-table code, with a mistake of Tests/KernelFaults in it; `none` for none.
  static func copy(of tree: URL, with fault: String, in scratch: Scratch) throws -> URL {
    let copy = scratch.path("tree")
    let plant = Places.repository.appendingPathComponent("Tests/KernelFaults/plant")
    let run = try Run.program(plant, [fault, tree.path, copy.path])
    try #require(run.status == 0, "\(run.errors)")
    return copy
  }

  /// Runs tests on a tree's code, in two lanes at most.
  static func selftest(_ tree: URL, formats: String, options: String?, _ names: [String], _ scratch: Scratch)
    throws -> Run
  {
    try Run.program(
      Places.binary,
      ["selftest", "--jobs", "1", "--call-limit", "3", "--target", "ksrc:\(tree.path)", "--formats", formats]
        + ["--build-options=--cflags=-O1 \(options ?? "")"] + names,
      environment: ["PTKIT_CACHE": scratch.path("cache").path, "KSRC_JOBS": "1"])
  }
}

/// A one-line mistake for the code of a kernel tree: a paragraph of Tests/KernelFaults/faults.
struct KernelFault: Sendable {
  var values: [String: String]

  var name: String { values["fault"] ?? "" }
  var formats: String { values["build"] ?? "" }
  var options: String? { values["options"] }

  static func all() throws -> [KernelFault] {
    let file = Places.repository.appendingPathComponent("Tests/KernelFaults/faults")
    return try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n\n").compactMap { text in
      let pairs = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
        let words = line.split(separator: " ", maxSplits: 1).map(String.init)
        return (words[0], words.count > 1 ? words[1] : "")
      }
      let values = Dictionary(pairs) { first, _ in first }
      return values["fault"] == nil ? nil : KernelFault(values: values)
    }
  }

  /// The tests that fail on a tree with the mistake.
  ///
  /// - Parameters:
  ///   - names: the tests to run.
  ///   - themes: the themes to run instead, as far as the code has them.
  func failures(_ tree: URL, names: [String] = [], themes: [String] = []) throws -> [String] {
    let scratch = try Scratch()
    let copy = try KernelSources.copy(of: tree, with: name, in: scratch)
    var names = names
    if !themes.isEmpty {
      let list = try KernelSources.selftest(
        copy, formats: formats, options: options, ["--list"], scratch)
      let known = Set(list.lines.map { Self.withoutLibrary($0).prefix { $0 != "." } }.map(String.init))
      names += themes.filter(known.contains)
    }
    let run = try KernelSources.selftest(copy, formats: formats, options: options, names, scratch)
    #expect(run.streamDefects == [], "\(name)")
    #expect(
      run.points.first { $0.name.hasSuffix(".load") }?.isOK == true, "\(name): \(run.output.prefix(2000))")
    return run.points.filter { !$0.isOK }.map { Self.withoutLibrary($0.name) }
  }

  /// A test's name without `ksrc.LIBRARY.`
  static func withoutLibrary(_ name: String) -> String {
    name.split(separator: ".").dropFirst(2).joined(separator: ".")
  }

  /// A pattern for this test, and for none whose name begins so.
  static func exactly(_ name: String) -> String { name.dropLast() + "?" }
}

/// A row of docs/kernel-faults.md.
struct KernelFaultRow: Sendable {
  var fault: KernelFault
  /// Of each theme that sees the fault, the first test that fails.
  var tests: [String]

  var line: String {
    let file = fault.values["file"] ?? ""
    let place = fault.values["in"].map { "`\(file)`, `\($0)`" } ?? "`\(file)`"
    let caught = tests.isEmpty ? "nothing" : tests.map { "`\($0)`" }.joined(separator: " ")
    return
      "| \(fault.name) | \(place) | \(fault.values["what"] ?? "") | \(fault.values["linux"] ?? "") | \(caught) |"
  }

  /// The first of each theme.
  static func firsts(_ failures: [String]) -> [String] {
    var themes: Set<Substring> = []
    return failures.filter { themes.insert($0.prefix { $0 != "." }).inserted }
  }
}
