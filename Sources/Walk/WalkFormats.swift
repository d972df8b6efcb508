// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// The formats of tables that IOMMUs' structures name. Their configurations have the keys of the kit's formats, so that
/// their text serves `ptkit decode`.
enum WalkFormats {
  // Keys without default are always given, so that texts say them whatever the kit's formats take for default.
  private static func number(_ name: String, _ range: ClosedRange<Int>, _ value: Int? = nil)
    -> ConfigurationKey
  {
    ConfigurationKey(name, .number(range), default: value.map { String($0) } ?? "", "in bits")
  }

  private static func features(_ words: [String]) -> ConfigurationKey {
    ConfigurationKey("features", .flags(words), default: "none", "features of the page table")
  }

  private static let level = ConfigurationKey("level", .number(0...7), default: "", "level of the top table")

  private static let schemas: [String: ConfigurationSchema] = [
    "vtdss": ConfigurationSchema(
      format: "vtdss",
      keys: [
        number("va", 1...64), number("oa", 1...64, 52), level,
        features(["flush_range", "dma_incoherent", "force_coherence"]),
      ]),
    "x86_64": ConfigurationSchema(
      format: "x86_64",
      keys: [
        number("va", 1...64), number("oa", 1...64, 52), level,
        features(["flush_range", "sign_extend", "dma_incoherent", "encrypt_tables"]),
        number("cbit", 0...63, 0),
      ]),
    "amdv1": ConfigurationSchema(
      format: "amdv1",
      keys: [
        number("va", 1...64), number("oa", 1...64, 52), level,
        features(["flush_range", "dynamic_top", "force_coherence", "encrypt_tables"]),
        number("cbit", 0...63, 0),
      ]),
    "riscv64": ConfigurationSchema(
      format: "riscv64",
      keys: [
        number("va", 1...64), number("oa", 1...64, 56),
        features(["flush_range", "detailed_gather", "sign_extend", "svnapot_64k", "svpbmt"]),
      ]),
    "armv8": ConfigurationSchema(
      format: "armv8",
      keys: [
        ConfigurationKey("stage", .choice(["1", "2"]), default: "", "translation stage"),
        ConfigurationKey("granule", .choice(["4k", "16k", "64k"]), default: "", "size of a page"),
        number("ias", 16...52), number("oas", 32...52),
        ConfigurationKey("pgsizes", .bitmap, default: "0x0", "leaf sizes"),
        ConfigurationKey("coherent", .choice(["0", "1"]), default: "1", "whether the walker snoops"),
        ConfigurationKey("quirks", .flags(["ttbr1", "hd", "s2fwb"]), default: "none", "quirks"),
        ConfigurationKey("contig", .choice(["0", "1"]), default: "0", "contiguous leaves"),
      ]),
  ]

  /// The configuration of a format; nil when a value is out of range.
  static func configuration(_ format: String, _ pairs: [String]) -> Configuration? {
    guard let schema = schemas[format] else { return nil }
    return try? schema.configuration(pairs)
  }

  /// One configuration for each choice of `features` that software has, all with the same other keys.
  ///
  /// - Parameter optional: features that a table may have or not.
  static func configurations(
    _ format: String, _ pairs: [String], features: [String], optional: [String]
  ) -> [Configuration] {
    var choices: [[String]] = [[]]
    for word in optional { choices = choices.flatMap { [$0 + [word], $0] } }
    return choices.compactMap { chosen in
      let words = features + chosen
      return configuration(
        format, pairs + ["features=" + (words.isEmpty ? "none" : words.joined(separator: "+"))])
    }
  }
}
