// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable

/// Something to do with each format type.
public protocol FormatVisitor {
  mutating func visit<Format: PageTableFormat>(_ type: Format.Type) throws
}

/// Something to do with the format that a configuration names.
public protocol FormatFunction {
  associatedtype Output
  func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> Output
}

/// The formats that the kit knows.
public enum FormatList {
  /// Visits each format type. A new format is one line here; calls are specialised for it.
  @inlinable
  public static func forEach<Visitor: FormatVisitor>(_ visitor: inout Visitor) throws {
    try visitor.visit(AMDv1.self)
    try visitor.visit(AMDv1Mock.self)
    try visitor.visit(X86.self)
    try visitor.visit(VTDSecondStage.self)
    try visitor.visit(RISCV.self)
    try visitor.visit(Armv8<Arm4K>.self)
    try visitor.visit(Armv8<Arm16K>.self)
    try visitor.visit(Armv8<Arm64K>.self)
    try visitor.visit(ArmLPAE32.self)
    try visitor.visit(Armv7s.self)
    try visitor.visit(Mali.self)
    try visitor.visit(DART<DART4K, DARTVersion1>.self)
    try visitor.visit(DART<DART16K, DARTVersion1>.self)
    try visitor.visit(DART<DART4K, DARTVersion2>.self)
    try visitor.visit(DART<DART16K, DARTVersion2>.self)
  }

  /// The formats, with what is said of them in text.
  public static let all: [FormatEntry] = {
    struct Collector: FormatVisitor {
      var entries: [FormatEntry] = []

      mutating func visit<Format: PageTableFormat>(_ type: Format.Type) {
        guard !entries.contains(where: { $0.name == Format.schema.format }) else { return }
        entries.append(FormatEntry(schema: Format.schema, testConfigurationTexts: Format.testConfigurations))
      }
    }
    var collector = Collector()
    try? forEach(&collector)
    return collector.entries
  }()

  /// Makes the format of a configuration and calls `function` with it.
  ///
  /// - Throws: `ConfigurationError` when Linux refuses the configuration, and what `function` throws.
  @inlinable
  public static func apply<Function: FormatFunction>(
    _ function: Function, to configuration: Configuration
  ) throws -> Function.Output {
    var selector = FormatSelector(function: function, configuration: configuration)
    try forEach(&selector)
    guard let output = selector.output else {
      throw ConfigurationError(.einval, "no format '\(configuration.format)'")
    }
    return output
  }

  /// The entry of a format.
  ///
  /// - Throws: `ConfigurationError` that lists the formats and the nearest names.
  public static func entry(named name: String) throws -> FormatEntry {
    guard let entry = all.first(where: { $0.name == name }) else {
      let names = all.map(\.name)
      throw ConfigurationError(
        .einval,
        "unknown format '\(name)'\(Nearest.hint(name, in: names)); known formats are \(names.joined(separator: ", "))"
      )
    }
    return entry
  }

  /// Reads a configuration text `format:key=value,…` and checks that Linux accepts it.
  ///
  /// - Throws: `ConfigurationError`.
  public static func configuration(_ text: String) throws -> Configuration {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
    let entry = try entry(named: parts[0])
    let configuration = try entry.configuration(parts.count > 1 ? parts[1] : "")
    try apply(NoFunction(), to: configuration)
    return configuration
  }
}

/// A format's name, its keys, and its tests.
public struct FormatEntry: Sendable {
  /// The keys of its configuration text.
  public let schema: ConfigurationSchema
  let testConfigurationTexts: [String]

  /// The format's name.
  public var name: String { schema.format }

  /// The configurations that tests run over.
  public var testConfigurations: [Configuration] {
    testConfigurationTexts.compactMap { try? configuration($0) }
  }

  /// Reads the part of a configuration text behind the colon.
  ///
  /// - Throws: `ConfigurationError`.
  public func configuration(_ text: String) throws -> Configuration {
    let pairs = text.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
    return try schema.configuration(text.isEmpty ? [] : pairs)
  }
}

/// Finds the type of a configuration's format.
@usableFromInline
struct FormatSelector<Function: FormatFunction>: FormatVisitor {
  @usableFromInline let function: Function
  @usableFromInline let configuration: Configuration
  @usableFromInline var output: Function.Output?

  @inlinable
  init(function: Function, configuration: Configuration) {
    self.function = function
    self.configuration = configuration
    output = nil
  }

  @inlinable
  mutating func visit<Format: PageTableFormat>(_ type: Format.Type) throws {
    guard output == nil, Format.accepts(configuration) else { return }
    output = try function(try Format(configuration))
  }
}

/// Makes the format and nothing else, which is how a configuration is checked.
struct NoFunction: FormatFunction {
  func callAsFunction<Format: PageTableFormat>(_ format: Format) {}
}
