// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import LegacyPT
import PageTable
import Reference

/// A difference as a developer reads it: what to run, what to paste, and the words side by side.
public struct DifferenceText {
  private let point: ComparePoint
  private let difference: Difference
  private let reference: ReferenceFormat
  private let base: UInt64

  /// - Throws: `SpecError`.
  public init(_ difference: Difference, _ point: ComparePoint, library: SpecificationLibrary) throws {
    self.difference = difference
    self.point = point
    reference = try library.format(point.configuration)
    base = CompareWorld.physicalBase(point.configuration, try FormatShape(point.configuration, reference))
  }

  /// All lines.
  public var lines: [String] {
    ["\(difference.check.rawValue): \(difference.message)"] + fields + again
  }

  /// How to see it again. The commands run the kit's own implementation, which some formats do not have.
  private var again: [String] {
    guard FormatList.all.contains(where: { $0.name == point.configuration.format }) else {
      return ["on '\(point.configuration)', after:"] + difference.operations.map { "  \($0)" }
    }
    return ["reproduce:", "  " + compareCommand] + imageCommands.map { "  " + $0 } + ["golden case:"]
      + goldenCase.map { "  " + $0 }
  }

  /// The command that shows the difference again.
  public var compareCommand: String {
    let operations = difference.operations.map(\.description).joined(separator: "; ")
    var words = ["ptkit compare", "'\(point.configuration)'"]
    if let source = point.left.source {
      words.append("--left '\(source)'")
    } else if case .legacy(let configuration) = point.left.kind {
      words.append("--left 'legacy\(Self.choice(configuration))'")
    }
    words.append("--right '\(Self.text(point.right, point.configuration))'")
    return (words + ["--operations '\(operations)'"]).joined(separator: " ")
  }

  /// For each side that has page tables, the command that prints its results and image.
  public var imageCommands: [String] {
    var commands = [imageCommand(point.left, difference.leftOperations)]
    if point.right.make != nil { commands.append(imageCommand(point.right, difference.rightOperations)) }
    return commands.compactMap { $0 }
  }

  private func imageCommand(_ side: ResolvedSide, _ operations: [Operation]) -> String? {
    guard side.library == nil, let configuration = side.configuration else { return nil }
    var words = ["ptkit image"]
    if case .legacy = side.kind { words.append("--impl legacy") }
    if base != SimulationOptions().physicalBase { words.append("--base \(Numbers.hex(base))") }
    words.append("'\(configuration)'")
    return (words + operations.map { "'\($0)'" }).joined(separator: " ")
  }

  /// The differing words, field by field.
  private var fields: [String] {
    guard let pair = difference.words else { return [] }
    let left = pair.left.map { reference.decode($0, level: pair.level) }
    let right = pair.right.map { reference.decode($0, level: pair.level) }
    var lines = [
      "level \(pair.level), IOVA \(Numbers.hex(pair.iova)): \(point.left.word) "
        + "\(Self.text(left)); \(point.right.word) \(Self.text(right))"
    ]
    guard let left, let right, left.entryName == right.entryName else {
      for (name, word) in [(point.left.word, left), (point.right.word, right)] {
        guard let word else { continue }
        lines += word.explanation.split(separator: "\n").map { "  \(name): \($0)" }
      }
      return lines
    }
    for (one, two) in zip(left.fields, right.fields) where one.value != two.value {
      let bits = one.high == one.low ? "\(one.high)" : "\(one.high):\(one.low)"
      lines.append(
        "  \(bits) \(one.name): \(Numbers.hex(one.value)) (\(one.meaning)) | "
          + "\(Numbers.hex(two.value)) (\(two.meaning))"
          + (one.section.isEmpty ? "" : " [\(one.section)]"))
    }
    return lines
  }

  private static func text(_ word: DecodedWord?) -> String {
    word.map { "\(Numbers.hex($0.word)) (\($0.entryName))" } ?? "nothing"
  }

  /// A case with the results and the image of the right side, or of the left one where the right is the reference.
  private var goldenCase: [String] {
    let side = point.right.make == nil ? point.left : point.right
    let operations = point.right.make == nil ? difference.leftOperations : difference.rightOperations
    guard let configuration = side.configuration, let table = try? side.make?(base, 256 << 20),
      let golden = try? GoldenCase(
        name: "compare-\(difference.check.rawValue)", running: operations, on: table)
    else { return ["none: the page table cannot be made"] }
    var section = GoldenSection()
    section.format = configuration.format
    section.pairs = configuration.schema.keys
      .filter { $0.name != "era" && configuration.text($0.name) != $0.defaultValue }
      .map { "\($0.name)=\(configuration.text($0.name))" }
    section.behaviour = .generic
    if case .legacy = side.kind {
      section.behaviour = .legacy
      section.era = configuration.text("era")
    }
    section.memoryBase = base
    return Array(GoldenWriter.lines(context: section).dropFirst()) + GoldenWriter.lines(golden)
  }

  /// A side as the command line names it.
  private static func text(_ side: ResolvedSide, _ configuration: Configuration) -> String {
    if let source = side.source { return source }
    switch side.kind {
    case .reference: return "reference"
    case .legacy(let own): return "legacy" + choice(own)
    case .generic(let own):
      let pairs = own.schema.keys.map(\.name).filter { own.text($0) != configuration.text($0) }
        .map { "\($0)=\(own.text($0))" }
      return pairs.isEmpty ? "generic" : "generic:\(pairs.joined(separator: ","))"
    }
  }

  /// The keys by which one legacy configuration is chosen among those of a format.
  private static func choice(_ configuration: Configuration) -> String {
    let pairs = ["use", "era"].filter { !configuration.text($0).isEmpty }
      .map { "\($0)=\(configuration.text($0))" }
    return pairs.isEmpty ? "" : ":\(pairs.joined(separator: ","))"
  }
}
