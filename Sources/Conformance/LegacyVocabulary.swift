// SPDX-License-Identifier: GPL-2.0-only

import LegacyPT
import PageTable

/// The same page table in two vocabularies: the generic implementation's configurations, and those of the drivers' own
/// code before it.
///
/// Arm, Mali, v7s and DART have the same keys in both. AMD, VT-d and RISC-V drivers know levels and capabilities
/// where the generic code knows widths and features.
public enum LegacyVocabulary {
  /// The legacy configurations that a generic configuration stands for, the newest era first.
  ///
  /// - Throws: `ConfigurationError` that says why there is none.
  public static func legacy(of configuration: Configuration) throws -> [Configuration] {
    let schema = try LegacyList.schema(configuration.format)
    let variants = try pairs(of: configuration, in: schema)
    let eras = eras(of: configuration.format)
    return try variants.flatMap { pairs in
      try (eras.isEmpty ? [[]] : eras.map { ["era=\($0)"] }).map { era in
        try schema.configuration(pairs + era, permissive: configuration.permissive)
      }
    }
  }

  /// The generic configuration of a legacy one; nil where the generic code has no such thing.
  public static func generic(of configuration: Configuration) -> Configuration? {
    guard let entry = try? FormatList.entry(named: configuration.format),
      let pairs = genericPairs(of: configuration, in: entry.schema)
    else { return nil }
    return try? entry.schema.configuration(pairs, permissive: true)
  }

  /// Reads a configuration text in the words of legacy code, or in those of the generic implementation, which stand for
  /// the newest era.
  ///
  /// - Throws: `ConfigurationError`.
  public static func configuration(_ text: String) throws -> Configuration {
    do {
      return try LegacyList.configuration(text)
    } catch {
      guard let generic = try? FormatList.configuration(text), let first = try legacy(of: generic).first
      else { throw error }
      return first
    }
  }

  /// The Linux versions whose code of a format is modelled, the newest first; none for a format without such code.
  public static func eras(of format: String) -> [String] {
    guard let key = (try? LegacyList.schema(format))?.keys.first(where: { $0.name == "era" }),
      case .choice(let words) = key.kind
    else { return [] }
    return [key.defaultValue] + words.filter { $0 != key.defaultValue }
  }

  // MARK: From generic

  private static func pairs(
    of configuration: Configuration, in schema: ConfigurationSchema
  ) throws -> [[String]] {
    let found: [[String]]?
    switch configuration.format {
    case "amdv1": found = amdv1(configuration).map { [$0] }
    case "x86_64": found = x86(configuration)
    case "vtdss": found = vtdss(configuration).map { [$0] }
    case "riscv64": found = riscv(configuration).map { [$0] }
    default: found = [commonKeys(of: configuration, in: schema)]
    }
    guard let found, !found.isEmpty else {
      throw ConfigurationError(.einval, "no driver's own code makes page tables as \(configuration)")
    }
    return found
  }

  /// The keys that differ from their defaults and that `schema` has, too.
  private static func commonKeys(of configuration: Configuration, in schema: ConfigurationSchema) -> [String]
  {
    schema.keys.map(\.name).filter { $0 != "era" }.compactMap { name in
      let value = configuration.text(name)
      return value.isEmpty ? nil : "\(name)=\(value)"
    }
  }

  /// The encryption bit, where the features say that it is used.
  private static func encryptionBit(_ configuration: Configuration) -> [String] {
    configuration.flags("features").contains("encrypt_tables") && configuration.number("cbit") > 0
      ? ["cbit=\(configuration.number("cbit"))"] : []
  }

  private static func coherence(_ configuration: Configuration) -> [String] {
    configuration.flags("features").contains("dma_incoherent") ? ["coherent=0"] : []
  }

  /// The driver's tables grow, and force coherence.
  private static func amdv1(_ configuration: Configuration) -> [String]? {
    let features = configuration.flags("features")
    guard configuration.number("va") == 64, configuration.number("oa") == 52,
      features.isSuperset(of: ["dynamic_top", "force_coherence"]),
      features.isDisjoint(with: ["dma_incoherent", "sign_extend"])
    else { return nil }
    return ["levels=\(configuration.number("level") + 1)"] + encryptionBit(configuration)
  }

  /// AMD's v2 tables snoop always; VT-d's first stage knows no encryption.
  private static func x86(_ configuration: Configuration) -> [[String]]? {
    let levels = configuration.number("level") + 1
    let features = configuration.flags("features")
    guard (4...5).contains(levels), configuration.number("va") == 12 + 9 * levels,
      configuration.number("oa") == 52, features.contains("sign_extend")
    else { return nil }
    let encryption = encryptionBit(configuration)
    var drivers: [[String]] = []
    if !features.contains("dma_incoherent") {
      drivers.append(["use=amdv2", "levels=\(levels)"] + encryption)
    }
    if encryption.isEmpty {
      drivers.append(["use=vtdfs", "levels=\(levels)"] + coherence(configuration))
    }
    return drivers
  }

  private static func vtdss(_ configuration: Configuration) -> [String]? {
    let levels = configuration.number("level") + 1
    let features = configuration.flags("features")
    guard configuration.number("va") == 12 + 9 * levels, configuration.number("oa") == 52,
      !features.contains("force_writeable")
    else { return nil }
    let snoop = features.contains("force_coherence") ? ["snoop=1"] : []
    return ["levels=\(levels)"] + snoop + coherence(configuration)
  }

  private static func riscv(_ configuration: Configuration) -> [String]? {
    let features = configuration.flags("features")
    guard configuration.number("oa") == 56, features.isDisjoint(with: ["dma_incoherent", "svpbmt"]),
      [39, 48, 57].contains(configuration.number("va"))
    else { return nil }
    return ["levels=\((configuration.number("va") - 12) / 9)"]
  }

  // MARK: To generic

  private static func genericPairs(
    of configuration: Configuration, in schema: ConfigurationSchema
  ) -> [String]? {
    let levels = configuration.number("levels")
    let width = 12 + 9 * levels
    let cbit = configuration.number("cbit")
    let encryption = cbit > 0 ? "+encrypt_tables" : ""
    let cbitPair = cbit > 0 ? ["cbit=\(cbit)"] : []
    let incoherent = configuration.text("coherent") == "0" ? "+dma_incoherent" : ""
    switch configuration.format {
    case "amdv1":
      guard configuration.bitmap("pgsizes") == 0 else { return nil }
      return ["level=\(levels - 1)", "features=dynamic_top+flush_range+force_coherence\(encryption)"]
        + cbitPair
    case "x86_64":
      let isAMD = configuration.text("use") == "amdv2"
      guard configuration.bitmap("pgsizes") == 0, isAMD || hasAllSizes(configuration, width) else {
        return nil
      }
      let features = "features=flush_range+sign_extend\(isAMD ? encryption : incoherent)"
      return ["va=\(width)", "level=\(levels - 1)", features] + (isAMD ? cbitPair : [])
    case "vtdss":
      guard hasAllSizes(configuration, width) else { return nil }
      let snoop = configuration.text("snoop") == "1" ? "+force_coherence" : ""
      return ["va=\(width)", "level=\(levels - 1)", "features=flush_range\(incoherent)\(snoop)"]
    case "riscv64":
      // Where the hardware marks leaves dirty itself, the driver leaves them clean; the generic code never does.
      guard configuration.number("amo_hwad") == 0 else { return nil }
      return ["va=\(width)"]
    default:
      return commonKeys(of: configuration, in: schema)
    }
  }

  /// The generic configurations have neither fewer leaf sizes nor a narrower IOVA than the tables hold.
  private static func hasAllSizes(_ configuration: Configuration, _ width: Int) -> Bool {
    let limit = configuration.number("ias")
    return configuration.number("superpages") == 2 && (limit == 0 || limit >= width)
  }
}
