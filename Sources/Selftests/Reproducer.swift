// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// How a failure can be seen again.
enum Reproducer {
  /// Operations that are shown where no command could run them.
  private static let lineLimit = 8

  /// The command line that runs operations on a page table made with `options`; for a format that the kit has no
  /// implementation of, the operations.
  static func lines(_ configuration: Configuration, _ operations: [Operation], _ options: TargetOptions)
    -> [String]
  {
    guard FormatList.all.contains(where: { $0.name == configuration.format }) else {
      let left = operations.count - lineLimit
      return ["on '\(configuration)', \(options.text), after:"] + (left > 0 ? ["  \(left) operations"] : [])
        + operations.suffix(lineLimit).map { "  \($0)" }
    }
    var words = ["ptkit image", "'\(configuration)'"]
    if options.physicalBase != TargetOptions.imageBase {
      words.append("--base \(Numbers.hex(options.physicalBase))")
    }
    switch options.reclaim {
    case .never: break
    case .bounded(let count): words.append("--reclaim bounded:\(count)")
    case .eager: words.append("--reclaim eager")
    }
    return [(words + operations.map { "'\($0)'" }).joined(separator: " ")]
  }
}
