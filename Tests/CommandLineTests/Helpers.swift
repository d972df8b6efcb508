// SPDX-License-Identifier: GPL-2.0-only

import Foundation

extension String {
  /// The arguments that a shell would make of a text without quotes.
  var words: [String] { split(separator: " ").map(String.init) }
}

extension Run {
  /// Standard output, read as JSON.
  func json() throws -> Any { try JSONSerialization.jsonObject(with: Data(output.utf8)) }

  /// What is wrong with standard output as the TAP stream that all consumers read; empty for nothing.
  var streamDefects: [String] {
    var defects: [String] = []
    guard lines.count >= 2, lines[0] == "TAP version 13" else { return ["no version line first"] }
    guard let plan = lines.first(where: { $0.hasPrefix("1..") }),
      let count = Int(plan.dropFirst(3).prefix { $0.isNumber })
    else { return ["no plan"] }
    let results = points
    if results.count != count { defects.append("\(results.count) results, planned \(count)") }
    for (position, point) in results.enumerated() where point.number != position + 1 {
      defects.append("number \(point.number) in place \(position + 1)")
    }
    let names = results.map { $0.name.replacingOccurrences(of: ".", with: "_") }
    if Set(names).count != names.count { defects.append("a name occurs twice") }
    for point in results where !Self.isName(point.name) { defects.append("the name '\(point.name)'") }
    for line in lines where !Self.isLegal(line) { defects.append("the line '\(line)'") }
    if count > 0, lines.last?.hasPrefix("# Totals: pass:") != true { defects.append("no totals last") }
    return defects
  }

  /// The results of the stream.
  var points: [(isOK: Bool, number: Int, name: String, directive: String)] {
    lines.compactMap { line in
      guard line.hasPrefix("ok ") || line.hasPrefix("not ok ") else { return nil }
      let isOK = line.hasPrefix("ok ")
      let rest = line.dropFirst(isOK ? 3 : 7).split(separator: " ", maxSplits: 2).map(String.init)
      guard rest.count >= 2, let number = Int(rest[0]) else { return (isOK, 0, line, "") }
      return (isOK, number, rest[1], rest.count > 2 ? rest[2] : "")
    }
  }

  private static func isName(_ name: String) -> Bool {
    name.components(separatedBy: ".").allSatisfy { word in
      !word.isEmpty
        && word.unicodeScalars.allSatisfy { scalar in
          ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
            || scalar == "_" || scalar == "-"
        }
    }
  }

  private static func isLegal(_ line: String) -> Bool {
    line.hasPrefix("#") || line.hasPrefix("ok ") || line.hasPrefix("not ok ") || line.hasPrefix("1..")
      || line == "TAP version 13"
  }
}
