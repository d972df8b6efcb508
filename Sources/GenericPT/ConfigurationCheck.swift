// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ConfigurationKey {
  /// The words of the `features` key that the generic algorithms know.
  static let genericFeatures = [
    "dynamic_top", "flush_range", "flush_range_no_gaps", "detailed_gather", "dma_incoherent", "sign_extend",
  ]

  static func iovaBits(default bits: Int) -> ConfigurationKey {
    ConfigurationKey("va", .number(1...64), default: String(bits), "widest IOVA, in bits")
  }

  static func outputBits(default bits: Int) -> ConfigurationKey {
    ConfigurationKey("oa", .number(1...64), default: String(bits), "widest output address, in bits")
  }

  static func topLevel(default level: Int, _ summary: String) -> ConfigurationKey {
    ConfigurationKey("level", .number(0...7), default: String(level), summary, slugPrefix: "l")
  }

  static func features(_ words: [String], default value: String) -> ConfigurationKey {
    ConfigurationKey("features", .flags(words), default: value, "features of the page table", slugPrefix: "")
  }

  static let encryptionBit = ConfigurationKey(
    "cbit", .number(0...63), default: "0", "the memory-encryption bit, with encrypt_tables; 0 for none")
}

/// Refusals of configurations, with the errno that Linux returns for them.
struct ConfigurationCheck {
  private let configuration: Configuration

  init(_ configuration: Configuration) { self.configuration = configuration }

  /// Refuses the configuration unless `condition` holds.
  func require(_ condition: Bool, _ errno: LinuxErrno, _ expectation: @autoclosure () -> String) throws {
    guard !condition else { return }
    throw ConfigurationError(errno, "\(configuration): refused with \(errno.name): \(expectation())")
  }

  /// Refuses addresses that are wider than the format's.
  func widths(iova: Int, output: Int) throws {
    try require(configuration.number("va") <= iova, .einval, "va is at most \(iova)")
    try require(configuration.number("oa") <= output, .einval, "oa is at most \(output)")
  }

  /// Refuses features that the format cannot have, and, as the Linux build does, those that it does not know and
  /// those left out that it forces.
  func features(known: [String], forced: [String], impossible: [String]) throws {
    let words = configuration.flags("features")
    let wrong = words.intersection(impossible).sorted().joined(separator: ", ")
    try require(wrong.isEmpty, .eopnotsupp, "the format cannot have \(wrong)")
    guard !configuration.permissive else { return }
    let unknown = words.subtracting(known).sorted().joined(separator: ", ")
    try require(
      unknown.isEmpty, .eopnotsupp,
      "Linux builds the format without \(unknown); it knows "
        + (known.isEmpty ? "no feature" : known.joined(separator: ", ")) + " (build=permissive allows more)")
    let missing = forced.filter { !words.contains($0) }.joined(separator: ", ")
    try require(
      missing.isEmpty, .eopnotsupp,
      "Linux builds the format with \(missing) forced on (build=permissive does not)")
  }

  /// Refuses an IOVA that a top table of `level` cannot span, `itemLog2` being log2 of the bytes of one entry of it.
  func topSpans(_ iovaBits: Int, level: Int, itemLog2: Int, indexBits: Int) throws {
    try require(
      iovaBits <= itemLog2 + indexBits, .eopnotsupp, "va is too wide for a top table of level \(level)")
    try require(iovaBits >= itemLog2, .einval, "va is too narrow for a top table of level \(level)")
  }

  /// The mask of the C-bit, 0 unless tables are encrypted.
  func encryptionBit(_ words: Set<String>) throws -> UInt64 {
    let position = configuration.number("cbit")
    guard position != 0 else { return 0 }
    try require((32...51).contains(position), .einval, "cbit is 0 or 32 to 51")
    return words.contains("encrypt_tables") ? Bits.bit(position) : 0
  }
}
