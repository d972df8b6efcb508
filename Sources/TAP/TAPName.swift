// SPDX-License-Identifier: GPL-2.0-only

/// Names of test results: words of letters, digits, `_` and `-`, joined by dots. All consumers of TAP, and
/// the paths of KCIDB, take them as they are.
public enum TAPName {
  /// Whether `name` is such a name.
  public static func isValid(_ name: some StringProtocol) -> Bool {
    name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty && $0.unicodeScalars.allSatisfy(isWordScalar)
    }
  }

  /// What some consumers make of a name: dots become underscores, and what is equal then is one test.
  public static func identity(_ name: some StringProtocol) -> String {
    String(name.map { $0 == "." ? "_" : $0 })
  }

  /// One word of a name, from any text: what is not allowed becomes `-`, and nothing becomes `-`.
  public static func word(_ text: some StringProtocol) -> String {
    let scalars = text.unicodeScalars.map { isWordScalar($0) ? Character($0) : "-" }
    return scalars.isEmpty ? "-" : String(scalars)
  }

  private static func isWordScalar(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "_", "-": true
    default: false
    }
  }
}
