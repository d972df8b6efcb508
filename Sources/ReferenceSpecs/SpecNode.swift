// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Yams

/// A part of a specification file, with what is needed to say where it stands.
struct SpecNode {
  let node: Node
  let file: String

  var line: Int { node.mark?.line ?? 0 }

  func error(_ message: String) -> SpecError { SpecError(file: file, line: line, message) }

  /// What the node is, for messages.
  private var found: String {
    switch node {
    case .scalar(let scalar): "'\(scalar.string)'"
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .alias: "an alias"
    }
  }

  /// The text of a scalar.
  func text(_ what: String) throws -> String {
    guard case .scalar(let scalar) = node else { throw error("expected \(what), found \(found)") }
    return scalar.string
  }

  /// The elements of a list.
  func list(_ what: String) throws -> [SpecNode] {
    guard case .sequence(let sequence) = node else { throw error("expected \(what), a list, found \(found)") }
    return sequence.map { SpecNode(node: $0, file: file) }
  }

  /// The pairs of a mapping, in the file's order.
  func pairs(_ what: String) throws -> [(key: String, keyLine: Int, value: SpecNode)] {
    guard case .mapping(let mapping) = node else {
      throw error("expected \(what), a mapping, found \(found)")
    }
    return try mapping.map { key, value in
      let name = SpecNode(node: key, file: file)
      return (try name.text("a key"), name.line, SpecNode(node: value, file: file))
    }
  }

  /// The values of a mapping with the keys `known`.
  func mapping(_ what: String, known: [String]) throws -> SpecMapping {
    var values: [String: SpecNode] = [:]
    for pair in try pairs(what) {
      guard known.contains(pair.key) else {
        throw SpecError(
          file: file, line: pair.keyLine,
          "unknown key '\(pair.key)' in \(what)\(Nearest.hint(pair.key, in: known)); known are "
            + known.joined(separator: ", "))
      }
      values[pair.key] = pair.value
    }
    return SpecMapping(what: what, owner: self, values: values)
  }

  /// A whole number.
  func number(_ what: String) throws -> Int {
    let text = try text(what)
    guard let value = Numbers.parseSize(text), let exact = Int(exactly: value) else {
      throw error("expected \(what), a number, found '\(text)'")
    }
    return exact
  }

  /// An expression.
  func expression(_ what: String) throws -> SpecExpression {
    try expression(of: Substring(try text(what)))
  }

  private func expression(of text: Substring) throws -> SpecExpression {
    SpecExpression(try Expression(String(text), file: file, line: line), line: line)
  }

  /// `HIGH:LOW`, or one bit.
  func bits(_ what: String) throws -> SpecBits {
    let text = try text(what)
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count <= 2, let first = parts.first, let last = parts.last else {
      throw error("expected \(what) as HIGH:LOW or one bit, found '\(text)'")
    }
    return SpecBits(high: try expression(of: first), low: try expression(of: last))
  }

  /// `FROM..THROUGH`, or one value.
  func range(_ what: String) throws -> (from: SpecExpression, through: SpecExpression) {
    let text = try text(what)
    guard let dots = text.firstRange(of: "..") else {
      let value = try expression(of: Substring(text))
      return (value, value)
    }
    return (
      try expression(of: text[..<dots.lowerBound]), try expression(of: text[dots.upperBound...])
    )
  }

  /// One of the raw values of an enumeration.
  func choice<Choice: RawRepresentable & CaseIterable>(_ what: String) throws -> Choice
  where Choice.RawValue == String {
    let text = try text(what)
    guard let value = Choice(rawValue: text) else {
      let known = Choice.allCases.map(\.rawValue)
      throw error(
        "expected \(what), one of \(known.joined(separator: ", ")), found '\(text)'"
          + Nearest.hint(text, in: known))
    }
    return value
  }
}

/// A mapping whose keys have been checked.
struct SpecMapping {
  let what: String
  let owner: SpecNode
  fileprivate let values: [String: SpecNode]

  /// The value of a key that may be left out.
  subscript(key: String) -> SpecNode? { values[key] }

  /// The value of a key that must be there.
  func required(_ key: String) throws -> SpecNode {
    guard let value = values[key] else { throw owner.error("\(what) needs the key '\(key)'") }
    return value
  }

  /// The text of a key, empty when it is left out.
  func text(_ key: String) throws -> String { try values[key]?.text("'\(key)' of \(what)") ?? "" }

  /// The expression of a key, or a constant when it is left out.
  func expression(_ key: String, default value: Int) throws -> SpecExpression {
    try values[key]?.expression("'\(key)' of \(what)") ?? .constant(value, line: owner.line)
  }
}
