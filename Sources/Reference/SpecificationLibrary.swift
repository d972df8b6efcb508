// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Where specifications come from. The conformance checks ask for them by format, so that they need not link the reader
/// of the YAML files.
public struct SpecificationLibrary: Sendable {
  /// The specification of a format; throws `SpecError` when there is none.
  public let specification: @Sendable (_ format: String) throws -> FormatSpec
  /// The specifications that were added: of formats that the kit knows from nothing else.
  public let added: [FormatSpec]

  public init(specification: @escaping @Sendable (_ format: String) throws -> FormatSpec) {
    self.init(added: [], specification: specification)
  }

  private init(
    added: [FormatSpec], specification: @escaping @Sendable (_ format: String) throws -> FormatSpec
  ) {
    self.added = added
    self.specification = specification
  }

  /// This library and some more specifications, of formats that it does not have.
  public func adding(_ specs: [FormatSpec]) -> SpecificationLibrary {
    SpecificationLibrary(added: added + specs) { [specification] name in
      try specs.first { $0.format == name } ?? specification(name)
    }
  }

  /// Whether the specification of a format was added.
  public func hasAdded(_ format: String) -> Bool { added.contains { $0.format == format } }

  /// The reference of a configuration.
  ///
  /// - Throws: `SpecError` when the format is unknown or its specification does not suit the configuration.
  public func format(_ configuration: Configuration) throws -> ReferenceFormat {
    try ReferenceFormat(spec: specification(configuration.format), configuration: configuration)
  }
}
