// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// A part of docs/faults.md that the tests write.
struct FaultPage {
  static let path = #filePath.replacing("Tests/FaultTests/FaultPage.swift", with: "docs/faults.md")

  /// The part's name in its comments.
  let name: String
  let lines: [String]

  init(_ name: String, lines: [String]) {
    self.name = name
    self.lines = lines
  }

  /// The table of faults.
  init(_ rows: [FaultRow]) {
    name = "table"
    let checks = FaultCheck.allCases
    let counts = checks.map { check in rows.filter { $0.mark(check) == "**yes**" }.count }
    let caught = rows.filter(\.isCaught).count
    lines =
      [
        "\(rows.count) faults, \(caught) caught: "
          + zip(checks, counts).map { "\($0.rawValue) \($1)" }.joined(separator: ", ") + ".", "",
        "| fault | configuration | what goes wrong | Linux | "
          + checks.map(\.rawValue).joined(separator: " | ") + " |",
        "|---|---|---|---|" + checks.map { _ in "---|" }.joined(),
      ]
      + rows.map { row in
        let fault = row.fault
        let place = "`\(fault.configuration)`\(fault.code.text)"
        return "| \(fault.name) | \(place) | \(fault.sentence) | \(fault.history) | "
          + checks.map(row.mark).joined(separator: " | ") + " |"
      }
  }

  /// What differs from the page, in both; the page is written anew where that is asked for.
  ///
  /// - Throws: `PageError`.
  func settle() throws -> String? {
    let text = try Self.text()
    guard let from = text.firstIndex(of: "<!-- \(name): written by FaultTableTests -->"),
      let to = text.firstIndex(of: "<!-- end of \(name) -->"), from < to
    else { throw PageError(description: "\(Self.path) has no \(name)") }
    if getenv("PTKIT_REWRITE_FAULTS") != nil {
      try Self.write(text[...from] + lines + text[to...])
      return nil
    }
    let old = Array(text[(from + 1)..<to])
    for (own, old) in zip(lines, old) where own != old { return "run: \(own)\npage: \(old)" }
    return lines.count == old.count ? nil : "\(lines.count) lines, not \(old.count)"
  }

  private static func write(_ lines: some Sequence<String>) throws {
    guard let file = fopen(path, "w") else { throw PageError(description: "\(path): cannot write") }
    defer { fclose(file) }
    fputs(lines.joined(separator: "\n") + "\n", file)
  }

  private static func text() throws -> [String] {
    guard let file = fopen(path, "r") else { throw PageError(description: "\(path): cannot read") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&buffer, 1, buffer.count, file)
      if count == 0 { break }
      bytes += buffer[..<count]
    }
    var lines = String(decoding: bytes, as: UTF8.self).split(
      separator: "\n", omittingEmptySubsequences: false
    )
    .map { String($0) }
    if lines.last == "" { lines.removeLast() }
    return lines
  }
}

extension Code {
  fileprivate var text: String {
    switch self {
    case .generic: ""
    case .driver(nil): ", the driver"
    case .driver(.some(let era)): ", the driver in Linux \(era)"
    }
  }
}

struct PageError: Error, CustomStringConvertible {
  let description: String
}
