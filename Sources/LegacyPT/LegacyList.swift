// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Something to do with each family.
public protocol LegacyVisitor {
  mutating func visit<Family: LegacyFamily>(_ family: Family.Type) throws
}

/// The families that the kit knows.
public enum LegacyList {
  /// Visits each family. A new family is one line here; calls are specialised for it, as they are for the formats of
  /// the generic code, so that the two can be timed side by side.
  @inlinable
  public static func forEach<Visitor: LegacyVisitor>(_ visitor: inout Visitor) throws {
    try visitor.visit(AMDv1.self)
    try visitor.visit(AMDv2.self)
    try visitor.visit(DART.self)
    try visitor.visit(VTDFamily.self)
    try visitor.visit(RISCVFamily.self)
    try visitor.visit(ARMLPAE.self)
    try visitor.visit(ARMv7s.self)
  }

  /// The schemas of all formats that have legacy code; one for each format.
  public static let schemas: [ConfigurationSchema] = collected.schemas

  /// The configurations that tests run over.
  public static var testConfigurations: [Configuration] {
    collected.tests.compactMap { try? configuration($0) }
  }

  private static let collected: (schemas: [ConfigurationSchema], tests: [String]) = {
    struct Collector: LegacyVisitor {
      var schemas: [ConfigurationSchema] = []
      var tests: [String] = []

      mutating func visit<Family: LegacyFamily>(_ family: Family.Type) {
        for schema in family.schemas where !schemas.contains(where: { $0.format == schema.format }) {
          schemas.append(schema)
        }
        tests += family.testConfigurations
      }
    }
    var collector = Collector()
    try? forEach(&collector)
    return (collector.schemas, collector.tests)
  }()

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
  @inlinable
  public static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output {
    var selector = LegacySelector(function: function, configuration: configuration, memory: memory)
    try forEach(&selector)
    guard let output = selector.output else {
      throw ConfigurationError(.einval, "no legacy code for '\(configuration.format)'")
    }
    return output
  }
}

/// Finds the family of a configuration.
@usableFromInline
struct LegacySelector<Function: LegacyFunction, Memory: TableMemory>: LegacyVisitor {
  @usableFromInline let function: Function
  @usableFromInline let configuration: Configuration
  @usableFromInline let memory: Memory
  @usableFromInline var output: Function.Output?

  @inlinable
  init(function: Function, configuration: Configuration, memory: Memory) {
    self.function = function
    self.configuration = configuration
    self.memory = memory
    output = nil
  }

  @inlinable
  mutating func visit<Family: LegacyFamily>(_ family: Family.Type) throws {
    guard output == nil, family.accepts(configuration) else { return }
    output = try family.apply(function, to: configuration, memory: memory)
  }
}
