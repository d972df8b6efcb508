// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Kernel
import Machine
import TAP

/// `ptkit modules`
struct ModulesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "modules",
    abstract: "Show the modules that tests of the running kernel use.",
    discussion: """
      A module is built in, loaded, available (in a file below /lib/modules) or missing. With --load, those that are available \
      are inserted with what they need, which shows whether they can be, and are removed again.

      Example: ptkit modules
      Example: sudo ptkit modules --load
      """)

  @Flag(help: "Insert what is available, and remove it again.")
  var load = false

  @Option(
    help: "With --load: where changes are written down before they are made, as in ptkit selftest.",
    completion: .file())
  var journal: String?

  func run() throws {
    let machine = LocalMachine()
    let path = journal ?? JournalPlace.standard
    let file = try explained { load ? try path.map { try JournalFile(new: $0) } : nil }
    let interruption = Interruption()
    defer { interruption.end() }
    let changes = Journal(machine: machine, file: file)
    let modules = Modules(source: try ModuleSources.local(machine), journal: changes)
    print(Self.line("MODULE", "STATE", "WANTED FOR"))
    var isFailed = false
    for (module, state) in try modules.table() {
      print(Self.line(module.name, state.word, "\(module.purpose) (\(module.option))"))
      guard load, case .available = state, interruption.isQuiet else { continue }
      do {
        let inserted = try modules.load(module.name)
        print(inserted.isEmpty ? "  inserted before" : "  inserted \(inserted.joined(separator: ", "))")
      } catch {
        isFailed = true
        print("  \(error)")
      }
    }
    let problems = changes.undoAll()
    for problem in problems { ErrorStream.put("\(problem)\n") }
    if isFailed || !problems.isEmpty { throw ExitStatus.failure }
  }

  private static func line(_ name: String, _ state: String, _ purpose: String) -> String {
    pad(name, 25) + pad(state, 11) + purpose
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }
}
