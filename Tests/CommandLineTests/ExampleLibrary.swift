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

  /// The start of its unmap.
  static let start = "uint64_t unmapped = 0, last = iova + length - 1;"

  /// Runs a statement at the start of each unmap of 2 MiB.
  static func unmapping(_ statement: String) -> ExampleLibrary {
    ExampleLibrary(changes: [(start, "\(start) if (length == 0x200000) { \(statement) }")])
  }

  /// Runs a statement when the library is loaded.
  static func loading(_ statement: String) -> ExampleLibrary {
    ExampleLibrary(rest: "__attribute__((constructor)) static void load(void) { \(statement) }\n")
  }

  /// Builds the example with texts in the place of others, and returns the path of the library.
  static func build(_ changes: [(old: String, new: String)] = [], in scratch: Scratch) throws -> String {
    try ExampleLibrary(changes: changes).build(in: scratch)
  }

  /// Compiles it, and returns the path of the library.
  func build(in scratch: Scratch) throws -> String {
    let more = "#define _GNU_SOURCE\n#include <fcntl.h>\n#include <signal.h>\n#include <unistd.h>\n"
    return try Self.compile(more + text() + rest, flags: flags, in: scratch)
  }

  /// The example with its changes, each of which it must have a place for.
  func text() throws -> String {
    let example = Places.repository.appendingPathComponent("Sources/Example/sv.c")
    var text = try String(contentsOf: example, encoding: .utf8)
    for (old, new) in changes {
      let place = try #require(text.range(of: old), "the example has no '\(old)'")
      text.replaceSubrange(place, with: new)
    }
    return text
  }

  /// Compiles a text in C, and returns the path of the library.
  static func compile(_ text: String, flags: [String] = [], in scratch: Scratch) throws -> String {
    let source = try scratch.write(text, to: "sv.c")
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
    let run = try Run.ptkit(
      ["selftest", "--target", "lib:\(library)", "--call-limit", "2"] + options + names)
    #expect(run.streamDefects == [])
    return run
  }
}
