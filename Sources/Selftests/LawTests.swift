// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// The laws of every page table, for formats that the kit has no specification of: each page that is mapped translates to
/// its own output address, what is not mapped does not translate, a busy range is refused and stays, an unmap removes what
/// it reports, a map that fails for lack of memory leaves nothing behind, and all tables are released in the end. No walk,
/// no words.
enum LawTests {
  /// - Parameter text: a configuration of the target's own, `format:key=value,…`.
  static func test(_ text: String) -> Selftest {
    let configuration = configuration(text)
    let words = configuration.schema.keys.map { "\($0.name)-\($0.defaultValue)" }
    let name = (["semantics", configuration.format] + words + ["laws"]).map(word).joined(separator: ".")
    return Selftest(name: name, .semantics, configuration: text) { context in
      var laws = try Laws(configuration, context)
      try laws.run()
      return .pass
    }
  }

  /// The configuration of a text; its keys are known to the target only.
  private static func configuration(_ text: String) -> Configuration {
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    let keys = (parts.count > 1 ? parts[1] : "").split(separator: ",").compactMap {
      pair -> ConfigurationKey? in
      let words = pair.split(separator: "=", maxSplits: 1).map(String.init)
      guard words.count == 2 else { return nil }
      return ConfigurationKey(words[0], .choice([words[1]]), default: words[1], "of the target")
    }
    return ConfigurationSchema(format: parts.first ?? "", keys: keys).standard
  }

  private static func word(_ text: String) -> String {
    String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") ? $0 : "-" })
  }
}
