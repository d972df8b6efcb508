// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser

/// The command `ptkit`.
@main
struct PTKit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ptkit",
    abstract: "Conformance kit and regression suite for IOMMU page tables.",
    discussion: """
      A configuration is text, format:key=value,… with defaults for what is left out, for example \
      armv8:stage=2,granule=16k,ias=40,oas=44; 'ptkit formats' lists all. Sizes and addresses are written \
      4096, 0x1000, 4K, 2M or 1G.

      Exit status: 0 pass, 1 failure, 64 wrong usage, 65 bad input, 4 all tests skipped under kselftest's \
      runner.

      Example: ptkit encode amdv1 leaf --level 0 --pa 0x123456000 --size 4K --prot rw
      """,
    version: "0.1.0",
    subcommands: [
      Formats.self, Encode.self, Decode.self, Image.self, Golden.self, SelftestCommand.self,
      CompareCommand.self, Stress.self,
      Bench.self, WalkCommand.self, TapCommand.self, LabCommand.self, ModulesCommand.self,
      RestoreCommand.self,
      LibraryProcessCommand.self,
    ])

  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    do {
      try CommandNames.check(arguments, of: PTKit.self)
      var command = try parseAsRoot(arguments)
      try command.run()
    } catch {
      Failure.end(with: error, arguments: arguments)
    }
  }
}
