// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

@Suite("usage of ptkit")
struct UsageTests {
  static let commands = [
    ["formats"], ["encode"], ["decode"], ["image"], ["golden"], ["golden", "check"], ["golden", "propose"],
    ["selftest"], ["stress"], ["bench"], ["tap"], ["modules"], ["restore"],
  ]

  @Test("every command has help with an example", arguments: commands)
  func help(command: [String]) throws {
    let run = try Run.ptkit(command + ["--help"])
    #expect(run.status == 0)
    #expect(run.output.contains("Example: ptkit \(command.joined(separator: " "))"))
    #expect(run.output.contains("USAGE: ptkit \(command.joined(separator: " "))"))
    #expect(run.errors == "")
  }

  @Test("the root command lists the commands and the exit statuses")
  func root() throws {
    let run = try Run.ptkit(["--help"])
    #expect(run.status == 0)
    for command in Self.commands.compactMap(\.first) { #expect(run.output.contains("  \(command) ")) }
    #expect(run.output.contains("65 bad input"))
    #expect(try Run.ptkit(["--version"]).status == 0)
  }

  @Test(
    "a mistyped command gets the nearest ones",
    arguments: [("imaeg", "image"), ("selftset", "selftest"), ("fromats", "formats")])
  func mistyped(word: String, meant: String) throws {
    let run = try Run.ptkit([word])
    #expect(run.status == 64)
    #expect(run.errors.contains("unknown command '\(word)', did you mean \(meant)?"))
    #expect(run.output == "")
  }

  @Test("a mistyped subcommand gets the nearest one")
  func mistypedSubcommand() throws {
    let run = try Run.ptkit(["golden", "chekc"])
    #expect(run.status == 64)
    #expect(run.errors.contains("did you mean check?"))
  }

  @Test("an unknown option is wrong usage")
  func unknownOption() throws {
    let run = try Run.ptkit(["formats", "--jsno"])
    #expect(run.status == 64)
    #expect(run.errors.contains("--jsno"))
    #expect(run.output == "")
  }

  @Test("a binary that was moved elsewhere still knows all formats")
  func moved() throws {
    let scratch = try Scratch()
    let copy = scratch.path("moved")
    try FileManager.default.copyItem(at: Places.binary, to: copy)
    let run = try Run.program(copy, "encode armv8 leaf --level 0 --pa 0x1000 --size 4K --prot rw".words)
    #expect(run.status == 0, "\(run.errors)")
    #expect(
      run.output
        == (try Run.ptkit("encode armv8 leaf --level 0 --pa 0x1000 --size 4K --prot rw".words)).output)
  }
}
