// SPDX-License-Identifier: GPL-2.0-only

/// Suggestions for mistyped names.
public enum Nearest {
  /// The up to `limit` candidates that are closest to `name` by edit distance, best first;
  /// candidates further away than half of the name's length (at least 2) are left out.
  public static func matches(_ name: String, in candidates: [String], limit: Int = 3) -> [String] {
    let reach = max(2, name.count / 2)
    return
      candidates
      .map { (candidate: $0, distance: distance(name, $0)) }
      .filter { $0.distance <= reach || $0.candidate.hasPrefix(name) }
      .sorted { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) }
      .prefix(limit)
      .map(\.candidate)
  }

  /// ", did you mean …?" for an error message, or the empty string when nothing is near.
  public static func hint(_ name: String, in candidates: [String]) -> String {
    let near = matches(name, in: candidates)
    return near.isEmpty ? "" : ", did you mean \(near.joined(separator: " or "))?"
  }

  /// The number of single-character insertions, deletions and replacements between two names.
  static func distance(_ left: String, _ right: String) -> Int {
    let target = Array(right)
    var row = Array(0...target.count)
    for (i, character) in left.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for j in target.indices {
        let replaced = diagonal + (target[j] == character ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
      }
    }
    return row[target.count]
  }
}
