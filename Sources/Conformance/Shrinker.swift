// SPDX-License-Identifier: GPL-2.0-only

/// Takes away what a failure does not need (delta debugging).
package enum Shrinker {
  /// The smallest part of `items` found that still fails.
  ///
  /// - Parameters:
  ///   - limit: how many parts are tried at most.
  ///   - fails: whether a part fails; `items` does.
  package static func minimize<Item>(_ items: [Item], limit: Int, fails: ([Item]) -> Bool) -> [Item] {
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
