// SPDX-License-Identifier: GPL-2.0-only

/// A JSON text; objects keep the order of their members, so that the output is stable.
///
/// Addresses, sizes and words of tables are strings in hexadecimal, for many readers lose the low bits of large
/// numbers.
indirect enum JSON {
  case bool(Bool)
  case integer(Int)
  case string(String)
  case array([JSON])
  case object([(String, JSON)])

  /// The text, indented by two blanks per level.
  var text: String { text(indent: "") }

  private func text(indent: String) -> String {
    let inner = indent + "  "
    switch self {
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return String(value)
    case .string(let value): return Self.quote(value)
    case .array(let values):
      return Self.list("[", values.map { $0.text(indent: inner) }, "]", indent)
    case .object(let members):
      return Self.list("{", members.map { "\(Self.quote($0)): \($1.text(indent: inner))" }, "}", indent)
    }
  }

  private static func list(_ open: String, _ items: [String], _ close: String, _ indent: String) -> String {
    guard !items.isEmpty else { return open + close }
    return open + "\n" + items.map { "\(indent)  \($0)" }.joined(separator: ",\n") + "\n\(indent)\(close)"
  }

  private static func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
