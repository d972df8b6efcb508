// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import ReferenceSpecs
import TAP

/// `ptkit golden propose`
struct GoldenProposeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "propose",
    abstract: "Write what a golden file would say if the generic implementation were right.",
    discussion: """
      The proposal goes to FILE.new, for a person to compare; the golden file itself is never written. Exits \
      with status 1 when there is something to propose.

      Example: ptkit golden propose Golden/amdv1/cases.golden
      """)

  @Argument(help: "A golden file.")
  var file: String

  func run() throws {
    guard let proposal = try GoldenProposal.write(path: file, environment: .kit(.embedded)) else {
      print("\(file): nothing to propose")
      return
    }
    print("\(file): proposal in \(proposal)")
    throw ExitStatus.failure
  }
}
