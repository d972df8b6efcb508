// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import GenericPT
import PageTable
import TAP

/// `ptkit stress`
struct Stress: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stress",
    abstract: "Map and unmap one page every 2 MiB of IOVA space, and show how table memory grows.",
    discussion: """
      As the tool iova_stress does on a machine with an IOMMU, here on the simulator. The result line says \
      how much table memory is left behind; with -v, a line for each TiB.

      Example: ptkit stress -s 45 --reclaim never
      Example: ptkit stress -s 16 -S 2 -v --format x86_64 --reclaim bounded:64
      """)

  @Option(
    name: [.customShort("s"), .customLong("space")], help: "The IOVA space, in TiB.",
    transform: Arguments.count)
  var tebibytes = 45

  @Option(
    name: [.customShort("S"), .customLong("second")],
    help: "Run a second time with mappings of this size, in MiB; 0 for no second run.",
    transform: Arguments.count)
  var secondMebibytes = 0

  @Flag(name: [.customShort("v"), .long], help: "Print the state at each TiB, and table pages at the end.")
  var verbose = false

  @Option(name: .customLong("format"), help: ArgumentText.configuration)
  var config = "amdv1"

  @Option(help: ArgumentText.reclaim, transform: Arguments.reclaim)
  var reclaim = Reclaim.never

  func validate() throws {
    guard (1...(1 << 23)).contains(tebibytes) else { throw ValidationError("-s takes 1 to 8388608 TiB") }
    guard (0...(1 << 20)).contains(secondMebibytes) else {
      throw ValidationError("-S takes 0 to 1048576 MiB")
    }
  }

  func run() throws {
    let request = StressRequest(
      tebibytes: tebibytes, secondSize: UInt64(secondMebibytes) << 20, isVerbose: verbose, reclaim: reclaim)
    let isComplete: Bool
    do {
      isComplete = try FormatList.apply(request, to: FormatList.configuration(config))
    } catch let error as StressError {
      throw InputError("\(config): \(error)")
    }
    if !isComplete { throw ExitStatus.failure }
  }
}
