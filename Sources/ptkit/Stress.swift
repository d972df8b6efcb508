// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import GenericPT
import PageTable
import Selftests

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// `ptkit stress`
struct Stress: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stress",
    abstract: "Map and unmap one page every 2 MiB of IOVA space, and show how table memory grows.",
    discussion: """
      As the tool iova_stress does on a machine with an IOMMU, here on the simulator. The result line says \
      how much table memory is left behind; with -v, a line for each TiB. Where the format has less address \
      space, all of that is used.

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
    var session = IOVAStressSession(try FormatList.configuration(config), space: UInt64(tebibytes) << 40)
    session.reclaim = reclaim
    session.secondDMASize = secondMebibytes == 0 ? nil : UInt64(secondMebibytes) << 20
    session.isVerbose = verbose
    let results = try session.run { line in
      print(line)
      // The run may take long, and standard output may be a pipe.
      fflush(nil)
    }
    if verbose, let last = results.last {
      let peak = results.map(\.peakPages).max() ?? last.peakPages
      print("table pages: \(last.pagesAfter) left, \(peak) at most")
    }
  }
}
