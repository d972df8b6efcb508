// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import PageTable
import Reference
import ReferenceSpecs

/// `ptkit decode`
struct Decode: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Explain a word of a table: each field, its meaning and the manual's section.",
    discussion: """
      Reserved bits that are set are named, and what a walk would object to, in lines that begin with '!'.

      Example: ptkit decode amdv1 --level 0 0x7000000123456001
      Example: ptkit decode --json x86_64 --level 1 0x40000083
      """)

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var formats: AddedFormatOptions

  @Argument(help: ArgumentText.configuration)
  var config: String

  @Option(help: ArgumentText.level, transform: Arguments.count)
  var level: Int

  @Argument(help: "The word, for example 0x7000000123456001.", transform: Arguments.word)
  var value: UInt64

  func run() throws {
    let library = try formats.library()
    let format = try library.format(library.configuration(config))
    guard (0..<format.levelCount).contains(level) else {
      throw InputError("\(config): no level \(level); levels are 0 to \(format.levelCount - 1)")
    }
    if format.wordBytes == 4, value > UInt64(UInt32.max) {
      throw InputError("\(config): words have 32 bits, found \(Numbers.hex(value))")
    }
    let word = format.decode(value, level: level)
    print(json ? word.json.text : word.explanation)
  }
}

extension DecodedWord {
  /// The word for programs.
  fileprivate var json: JSON {
    .object([
      ("word", .string(Numbers.hex(word))),
      ("level", .integer(level)),
      ("levelName", .string(levelName)),
      ("entry", .string(entryName)),
      ("kind", .object(kind.jsonMembers)),
      ("fields", .array(fields.map(\.json))),
      ("reservedSet", .array(reservedSet.map(JSON.string))),
      ("problems", .array(problems.map(JSON.string))),
    ])
  }
}

extension EntryKind {
  fileprivate var jsonMembers: [(String, JSON)] {
    switch self {
    case .empty: [("name", .string("empty"))]
    case .malformed: [("name", .string("malformed"))]
    case .table(let child, let level):
      [("name", .string("table")), ("child", .string(Numbers.hex(child))), ("childLevel", .integer(level))]
    case .leaf(let leaf):
      [
        ("name", .string("leaf")), ("pa", .string(Numbers.hex(leaf.pa))),
        ("size", .string(Numbers.hex(leaf.size))), ("words", .integer(leaf.wordCount)),
        ("protection", .string(leaf.protection.text)), ("dirty", .bool(leaf.dirty)),
        ("accessed", .bool(leaf.accessed)),
      ]
    }
  }
}

extension DecodedField {
  fileprivate var json: JSON {
    .object([
      ("name", .string(name)),
      ("high", .integer(high)),
      ("low", .integer(low)),
      ("value", .string(Numbers.hex(value))),
      ("meaning", .string(meaning)),
      ("section", .string(section)),
      ("wrong", .bool(isWrong)),
    ])
  }
}
