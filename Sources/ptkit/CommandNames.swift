// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import PageTable

/// Names of commands, which the argument parser checks without suggesting others.
enum CommandNames {
  /// Follows the words of a command line that name commands.
  ///
  /// - Throws: `UsageError` with the nearest names at a word that names none.
  static func check(_ arguments: [String], of root: any ParsableCommand.Type) throws {
    var command = root
    for word in arguments {
      let commands = command.configuration.subcommands
      guard !commands.isEmpty, !word.hasPrefix("-") else { return }
      if word == "help" { continue }
      guard let next = commands.first(where: { name($0) == word }) else {
        let names = commands.filter { $0.configuration.shouldDisplay }.map(name)
        throw UsageError(
          "unknown command '\(word)'\(Nearest.hint(word, in: names)); commands are "
            + "\(names.joined(separator: ", "))")
      }
      command = next
    }
  }

  private static func name(_ command: any ParsableCommand.Type) -> String {
    command.configuration.commandName ?? String(describing: command).lowercased()
  }
}
