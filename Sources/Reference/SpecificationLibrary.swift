// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

/// Where specifications come from. The conformance checks ask for them by format, so that they need not link the reader
/// of the YAML files.
public struct SpecificationLibrary: Sendable {
  /// The specification of a format; throws `SpecError` when there is none.
  public let specification: @Sendable (_ format: String) throws -> FormatSpec
  /// The specifications that were added: of formats that the kit knows from nothing else.
  public let added: [FormatSpec]
  private let known = References()

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
    if let reference = known[configuration] { return reference }
    let reference = try ReferenceFormat(
      spec: specification(configuration.format), configuration: configuration)
    known[configuration] = reference
    return reference
  }
}

/// The references of configurations asked for before: golden files ask for the same ones thousands of times.
private final class References: Sendable {
  private let all = Mutex<[Configuration: ReferenceFormat]>([:])
  /// Random configurations are without end.
  private static let most = 256

  subscript(configuration: Configuration) -> ReferenceFormat? {
    get { all.withLock { $0[configuration] } }
    set {
      all.withLock { all in
        if all.count >= Self.most { all = [:] }
        all[configuration] = newValue
      }
    }
  }
}
