// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// The families that the kit knows.
public enum LegacyList {
  /// A new family is one line here.
  public static let families: [any LegacyFamily.Type] = []

  /// The schemas of all formats that have legacy code; one for each format.
  public static let schemas: [ConfigurationSchema] = {
    var schemas: [ConfigurationSchema] = []
    for schema in families.flatMap({ $0.schemas })
    where !schemas.contains(where: { $0.format == schema.format }) {
      schemas.append(schema)
    }
    return schemas
  }()

  /// The configurations that tests run over.
  public static var testConfigurations: [Configuration] {
    families.flatMap { $0.testConfigurations }.compactMap { try? configuration($0) }
  }

  /// Reads a configuration text `format:key=value,…` in the words of legacy code.
  ///
  /// - Throws: `ConfigurationError`.
  public static func configuration(_ text: String) throws -> Configuration {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
    let pairs = parts.count > 1 ? parts[1].split(separator: ",").map { String($0) } : []
    return try schema(parts[0]).configuration(pairs)
  }

  /// The schema of a format.
  ///
  /// - Throws: `ConfigurationError` that lists the formats.
  public static func schema(_ format: String) throws -> ConfigurationSchema {
    guard let schema = schemas.first(where: { $0.format == format }) else {
      let names = schemas.map(\.format)
      throw ConfigurationError(
        .einval,
        "no legacy code for '\(format)'\(Nearest.hint(format, in: names)); there is for \(names.joined(separator: ", "))"
      )
    }
    return schema
  }

  /// Makes an empty page table of a configuration and calls `function` with it.
  ///
  /// - Throws: `ConfigurationError` with the errno of Linux's refusal, `LinuxErrno.enomem`, and what `function` throws.
  public static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output {
    guard let family = families.first(where: { $0.accepts(configuration) }) else {
      throw ConfigurationError(.einval, "no legacy code for '\(configuration.format)'")
    }
    return try family.apply(function, to: configuration, memory: memory)
  }
}
