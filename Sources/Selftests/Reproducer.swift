// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// How a failure can be seen again.
enum Reproducer {
  /// The command line that runs operations on a page table made with `options`.
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

/// Takes away what a failure does not need (delta debugging).
enum Shrinker {
  /// The smallest part of `items` found that still fails.
  ///
  /// - Parameters:
  ///   - limit: how many parts are tried at most.
  ///   - fails: whether a part fails; `items` does.
  static func minimize<Item>(_ items: [Item], limit: Int, fails: ([Item]) -> Bool) -> [Item] {
    var items = items
    var tries = 0
    var chunk = max(1, items.count / 2)
    while true {
      var removed = false
      var start = 0
      while start < items.count, tries < limit {
        let part = Array(items[..<start] + items[min(start + chunk, items.count)...])
        tries += 1
        if !part.isEmpty, fails(part) {
          items = part
          removed = true
        } else {
          start += chunk
        }
      }
      if tries >= limit || chunk == 1 && !removed { return items }
      if chunk > 1 { chunk = max(1, chunk / 2) }
    }
  }
}
