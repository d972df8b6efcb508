// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// How a failure can be seen again.
enum Reproducer {
  /// The command line that runs operations on a page table made with `options`. Of a library, its supervisor adds the
  /// target.
  static func lines(_ configuration: Configuration, _ operations: [Operation], _ options: TargetOptions)
    -> [String]
  {
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
