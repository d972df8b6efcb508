// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// The example of an implementation in C, with something wrong in it.
struct ExampleLibrary {
  /// Texts of the example and what stands in their place.
  var changes: [(old: String, new: String)] = []
  /// C that is appended.
  var rest = ""
  /// More arguments of the compiler.
  var flags: [String] = []

  /// Runs a statement at the start of each unmap of 2 MiB.
  static func unmapping(_ statement: String) -> ExampleLibrary {
    let start = "uint64_t unmapped = 0, last = iova + length - 1;"
    return ExampleLibrary(changes: [(start, "\(start) if (length == 0x200000) { \(statement) }")])
  }

  /// Runs a statement when the library is loaded.
  static func loading(_ statement: String) -> ExampleLibrary {
    ExampleLibrary(rest: "__attribute__((constructor)) static void load(void) { \(statement) }\n")
  }

  /// Compiles it, and returns the path of the library.
  func build(in scratch: Scratch) throws -> String {
    let example = Places.repository.appendingPathComponent("Sources/Example/sv.c")
    var text = try String(contentsOf: example, encoding: .utf8)
    for (old, new) in changes {
      let place = try #require(text.range(of: old), "the example has no '\(old)'")
      text.replaceSubrange(place, with: new)
    }
    let more = "#define _GNU_SOURCE\n#include <fcntl.h>\n#include <signal.h>\n#include <unistd.h>\n"
    let source = try scratch.write(more + text + rest, to: "sv.c")
    let library = scratch.path("sv.so").path
    let run = try Run.program(
      URL(fileURLWithPath: "/usr/bin/env"),
      [
        "cc", "-shared", "-fPIC", "-O0", "-w",
        "-I\(Places.repository.appendingPathComponent("include").path)",
      ]
        + flags + ["-o", library, source])
    try #require(run.status == 0, "\(run.errors)")
    return library
  }

  /// Runs tests on a library; calls may take 2 seconds.
  static func selftest(_ library: String, _ names: [String], _ options: [String] = []) throws -> Run {
    let run = try Run.program(
      Places.fastBinary, ["selftest", "--target", "lib:\(library)", "--call-limit", "2"] + options + names)
    #expect(run.streamDefects == [])
    return run
  }
}

extension Places {
  /// The release build of the program, where it is at least as new as its sources, else the one beside the tests.
  static let fastBinary: URL = {
    let release = repository.appendingPathComponent(".build/release/ptkit")
    guard let built = modified(release) else { return binary }
    let sources = repository.appendingPathComponent("Sources")
    let files = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
    while let file = files?.nextObject() as? URL {
      // What only the C compiler reads is no part of the program.
      guard file.pathExtension == "swift" || file.pathExtension == "yaml" else { continue }
      if let date = modified(file), date > built { return binary }
    }
    return release
  }()

  private static func modified(_ file: URL) -> Date? {
    (try? FileManager.default.attributesOfItem(atPath: file.path))?[.modificationDate] as? Date
  }
}
