// SPDX-License-Identifier: GPL-2.0-only

import TAP

/// Names of test results: words of `[A-Za-z0-9_-]` joined by dots, no two of which become equal when
/// dots become underscores.
struct GoldenNames {
  private var taken: Set<String> = []

  /// `name`, or a name near it that is not taken yet: with the file's folder before its stem, then with
  /// a number.
  mutating func unique(_ name: String, path: String) -> String {
    if take(name) { return name }
    var base = name
    let words = name.split(separator: ".", maxSplits: 2)
    if let folder = Self.folder(path), words.count > 1 {
      base = ([words[0], "\(TAPName.word(folder))-\(words[1])"] + words.dropFirst(2)).joined(separator: ".")
      if take(base) { return base }
    }
    var number = 2
    while !take("\(base)-\(number)") { number += 1 }
    return "\(base)-\(number)"
  }

  private mutating func take(_ name: String) -> Bool {
    taken.insert(TAPName.identity(name)).inserted
  }

  /// A path's last component without the suffix after its last dot.
  static func stem(_ path: String) -> String {
    let name = path.split(separator: "/").last ?? "golden"
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return String(name) }
    return String(name[..<dot])
  }

  /// The name of the folder that a path leads through last.
  private static func folder(_ path: String) -> String? {
    path.split(separator: "/").filter { $0 != "." && $0 != ".." }.dropLast().last.map(String.init)
  }
}
