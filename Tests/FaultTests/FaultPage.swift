// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// The table in docs/faults.md.
struct FaultPage {
  static let path = #filePath.replacing("Tests/FaultTests/FaultPage.swift", with: "docs/faults.md")
  private static let start = "<!-- table: written by FaultTableTests -->"
  private static let end = "<!-- end of table -->"

  let lines: [String]

  init(_ rows: [FaultRow]) {
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

  private init(lines: [String]) { self.lines = lines }

  /// The table as the page has it.
  static func read() throws -> FaultPage {
    let text = try Self.text()
    guard let from = text.firstIndex(of: start), let to = text.firstIndex(of: end), from < to else {
      throw PageError(description: "\(path) has no table")
    }
    return FaultPage(lines: Array(text[(from + 1)..<to]))
  }

  /// The first line that differs, in both.
  func difference(from other: FaultPage) -> String? {
    for (own, old) in zip(lines, other.lines) where own != old { return "run: \(own)\npage: \(old)" }
    return lines.count == other.lines.count ? nil : "\(lines.count) lines, not \(other.lines.count)"
  }

  /// Puts the table into the page.
  func write() throws {
    let text = try Self.text()
    guard let from = text.firstIndex(of: Self.start), let to = text.firstIndex(of: Self.end) else {
      throw PageError(description: "\(Self.path) has no table")
    }
    let page = (text[...from] + lines + text[to...]).joined(separator: "\n") + "\n"
    guard let file = fopen(Self.path, "w") else { throw PageError(description: "\(Self.path): cannot write") }
    defer { fclose(file) }
    fputs(page, file)
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
