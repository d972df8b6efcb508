// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// Reads the configuration of a format that only its specification describes: `keys` and `tests`.
enum KeyReader {
  /// - Throws: `SpecError` for what does not hold together.
  static func read(keys: SpecNode?, tests: SpecNode?, into format: inout FormatSpec) throws {
    format.keys = try keys?.pairs("'keys'").map { try key($0.key, $0.value) } ?? []
    for test in try tests?.list("'tests'") ?? [] {
      let text = try test.text("a configuration, key=value,…")
      do {
        _ = try ReferenceFormat(spec: format, configuration: format.schema.configuration(pairs(text)))
      } catch let error as ConfigurationError {
        throw test.error(error.description)
      }
      format.tests.append(text)
    }
  }

  static func pairs(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }

  private static func key(_ name: String, _ node: SpecNode) throws -> ConfigurationKey {
    let what = "the key '\(name)'"
    let map = try node.mapping(what, known: ["number", "choice", "flags", "default", "text"])
    let kind = try kind(map, what)
    let isWord = if case .number = kind { false } else { true }
    let key = ConfigurationKey(
      name, kind, default: try map.required("default").text("'default' of \(what)"), try map.text("text"),
      slugPrefix: isWord ? "" : nil)
    do {
      let schema = ConfigurationSchema(format: what, keys: [key])
      _ = try schema.configuration(["\(name)=\(key.defaultValue)"])
    } catch let error as ConfigurationError {
      throw node.error(error.description)
    }
    return key
  }

  private static func kind(_ map: SpecMapping, _ what: String) throws -> ConfigurationKey.Kind {
    switch (map["number"], map["choice"], map["flags"]) {
    case (let node?, nil, nil):
      let text = try node.text("'number' of \(what), FROM..THROUGH")
      let ends = text.split(separator: "..").map { Numbers.parse($0).flatMap { Int(exactly: $0) } }
      guard ends.count == 2, let first = ends[0], let last = ends[1], first <= last else {
        throw node.error("expected 'number' of \(what) as FROM..THROUGH, found '\(text)'")
      }
      return .number(first...last)
    case (nil, let node?, nil): return .choice(try words(node, "'choice' of \(what)"))
    case (nil, nil, let node?): return .flags(try words(node, "'flags' of \(what)"))
    default: throw map.owner.error("\(what) needs one of 'number', 'choice' and 'flags'")
    }
  }

  private static func words(_ node: SpecNode, _ what: String) throws -> [String] {
    try node.list(what).map { try $0.text("a word of \(what)") }
  }
}
