// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser

/// `ptkit golden`
struct Golden: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "golden",
    abstract: "Check golden vectors, or propose changes to them.",
    discussion: """
      Example: ptkit golden check --summary
      """,
    subcommands: [GoldenCheckCommand.self, GoldenProposeCommand.self])
}
