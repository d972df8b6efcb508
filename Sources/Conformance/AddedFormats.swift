// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Reference

/// What needs an implementation of a format that the kit knows from its specification only.
public struct NoImplementation: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ format: String) {
    description = "the kit has no implementation of \(format); name one with selftest --target"
  }
}

extension SpecificationLibrary {
  /// The formats of the kit, then those whose specifications were added.
  public var formats: [FormatEntry] {
    FormatList.all + added.map { FormatEntry(schema: $0.schema, testConfigurationTexts: $0.tests) }
  }

  /// The entry of a format.
  ///
  /// - Throws: `ConfigurationError` that lists the formats and the nearest names.
  public func entry(named name: String) throws -> FormatEntry {
    guard let entry = formats.first(where: { $0.name == name }) else {
      let names = formats.map(\.name)
      throw ConfigurationError(
        .einval,
        "unknown format '\(name)'\(Nearest.hint(name, in: names)); known formats are \(names.joined(separator: ", "))"
      )
    }
    return entry
  }

  /// Reads a configuration text `format:key=value,…` and checks that it is one that can be made.
  ///
  /// - Throws: `ConfigurationError`, or `SpecError` where the format's specification does not suit it.
  public func configuration(_ text: String) throws -> Configuration {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
    let entry = try entry(named: parts[0])
    guard hasAdded(entry.name) else { return try FormatList.configuration(text) }
    let configuration = try entry.configuration(parts.count > 1 ? parts[1] : "")
    _ = try format(configuration)
    return configuration
  }
}

extension FormatShape {
  /// The shape of any configuration: as the kit's own implementation has it, else as the reference does.
  package init(_ configuration: Configuration, _ reference: ReferenceFormat) throws {
    if FormatList.all.contains(where: { $0.name == configuration.format }) {
      self = try FormatShape(configuration)
    } else {
      self.init(reference)
    }
  }

  /// The shape of a format that only the reference knows.
  private init(_ reference: ReferenceFormat) {
    let root = reference.rootLevel
    let features = Features(words: reference.configuration.flags("features"))
    let isDynamic = features.contains(.dynamicTop)
    let top = isDynamic ? reference.levelCount - 1 : root
    let words = (
      root: reference.wordCount(level: root, isRoot: true),
      other: reference.wordCount(level: root, isRoot: false)
    )
    format = reference.spec.format
    geometry = Geometry(
      iovaBits: reference.inputWidth(rootLevel: top), outputBits: reference.outputWidth, topLevel: root,
      features: features, rootCount: reference.rootCount)
    tracksDirty = reference.tracksDirty
    maximumLevel = top
    tableAddressBits = reference.tableAddressBits
    minimumRootBytes = words.other * reference.wordBytes
    sizes = (0...top).flatMap(reference.leafSizes).reduce(0, |)
    hasWideTop = words.root > words.other
  }
}

extension ReferenceFormat {
  /// Whether a leaf that a device wrote to differs from one that it did not.
  fileprivate var tracksDirty: Bool {
    guard let level = (0..<levelCount).first(where: { !leafSizes(level: $0).isEmpty }),
      let size = leafSizes(level: level).first
    else { return false }
    func leaf(_ dirty: Bool) -> UInt64? {
      encodeLeaf(level: level, pa: 0, size: size, protection: [.read, .write], dirty: dirty)
    }
    return leaf(false) != leaf(true)
  }

  /// The width of the addresses that pointers to tables can hold, in bits.
  fileprivate var tableAddressBits: Int {
    guard levelCount > 1 else { return outputWidth }
    let bit = (0..<outputWidth).last { encodeTable(level: 1, pa: Bits.bit($0)) != nil }
    return bit.map { $0 + 1 } ?? outputWidth
  }
}
