// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Where specifications come from. The conformance checks ask for them by format, so that they need not link the reader
/// of the YAML files.
public struct SpecificationLibrary: Sendable {
  /// The specification of a format; throws `SpecError` when there is none.
  public let specification: @Sendable (_ format: String) throws -> FormatSpec

  public init(specification: @escaping @Sendable (_ format: String) throws -> FormatSpec) {
    self.specification = specification
  }

  /// The reference of a configuration.
  ///
  /// - Throws: `SpecError` when the format is unknown or its specification does not suit the configuration.
  public func format(_ configuration: Configuration) throws -> ReferenceFormat {
    try ReferenceFormat(spec: specification(configuration.format), configuration: configuration)
  }
}
