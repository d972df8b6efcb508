// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Glibc
import Kernel
import Machine
import TAP

/// `ptkit restore`
struct RestoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Put back what a killed run of tests of the running kernel has changed.",
    discussion: """
      A run writes down each change before it makes it, in /run/ptkit/journal or the file of --journal. It undoes all of them \
      however it ends, unless it is killed by SIGKILL or crashes; then the journal is left. Modules are removed, devices get \
      their drivers back, counts of huge pages their values, and what was mounted is taken off. What is as it was already is \
      left alone.

      Example: ptkit restore
      Example: ptkit restore /tmp/run.journal
      """)

  @Argument(help: "The journal; that of the default place when left out.", completion: .file())
  var file: String?

  func run() throws {
    guard let path = file ?? JournalPlace.standard else {
      throw UsageError(
        "there is no default journal for this user, for XDG_RUNTIME_DIR is not set: name the file")
    }
    if file == nil, access(path, F_OK) != 0 {
      print("there is no journal \(path): nothing is to be put back")
      return
    }
    let interruption = Interruption()
    defer { interruption.end() }
    let report = try explained { try JournalRestore.run(path: path, on: LocalMachine()) }
    if report.isFromAnotherBoot {
      print("the machine was started anew since \(path) was written: nothing is to be put back")
    }
    for text in report.restored { print("put back: \(text)") }
    for text in report.problems { ErrorStream.put("\(text)\n") }
    if !report.problems.isEmpty {
      ErrorStream.put("\(path) stays; 'ptkit restore \(path)' tries again\n")
      throw ExitStatus.failure
    }
    if report.restored.isEmpty, !report.isFromAnotherBoot { print("nothing was left to be put back") }
  }
}
