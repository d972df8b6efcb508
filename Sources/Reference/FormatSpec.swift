// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// An expression and the line of the specification it stands in.
public struct SpecExpression: Hashable, Sendable {
  public var expression: Expression
  public var line: Int

  public init(_ expression: Expression, line: Int) {
    self.expression = expression
    self.line = line
  }

  /// The number `value`, where the specification leaves the default.
  public static func constant(_ value: Int, line: Int = 0) -> SpecExpression {
    SpecExpression(.number(value), line: line)
  }
}

/// A range of bits, both ends inclusive; empty when `high` is less than `low`.
public struct SpecBits: Hashable, Sendable {
  public var high: SpecExpression
  public var low: SpecExpression

  public init(high: SpecExpression, low: SpecExpression) {
    self.high = high
    self.low = low
  }
}

/// A page-table format as data: what one specification file says.
///
/// Expressions see the configuration's keys and the definitions; `LevelSpec` to `EntrySpec`
/// say what else each of them sees.
public struct FormatSpec: Hashable, Sendable {
  /// The file it was read from, for messages.
  public var file: String
  /// The format's name, as Linux names it.
  public var format: String
  /// A line that says what the format is.
  public var title: String
  /// The manual, its revision and the sections used.
  public var manual: String
  /// Bits of a table word: 32 or 64.
  public var wordBits: Int
  /// Names for values, in order; later ones may use earlier ones.
  public var definitions: [DefinitionSpec]
  public var input: InputSpec
  public var root: RootSpec
  /// The width of output addresses in bits; a higher address raises the fault `address_size`.
  public var outputWidth: SpecExpression
  public var levels: [LevelSpec]
  /// Words in which these bits hold this value are not present.
  public var absent: AbsentSpec
  /// Kinds of entries; the first whose fixed bits match a word describes it.
  public var entries: [EntrySpec]
  /// Protections that the format refuses to encode.
  public var refusals: [RefusalSpec]
  /// Faults by key; `FaultKey` lists those that every format has.
  public var faults: [FaultSpec]
  /// The keys of configurations, for a format that only its specification describes.
  public var keys: [ConfigurationKey] = []
  /// The configurations that tests run over, `key=value,…` each, for such a format.
  public var tests: [String] = []

  /// The keys as a schema.
  public var schema: ConfigurationSchema { ConfigurationSchema(format: format, keys: keys) }

  public init(
    file: String, format: String, title: String, manual: String, wordBits: Int,
    definitions: [DefinitionSpec], input: InputSpec, root: RootSpec, outputWidth: SpecExpression,
    levels: [LevelSpec], absent: AbsentSpec, entries: [EntrySpec], refusals: [RefusalSpec],
    faults: [FaultSpec]
  ) {
    self.file = file
    self.format = format
    self.title = title
    self.manual = manual
    self.wordBits = wordBits
    self.definitions = definitions
    self.input = input
    self.root = root
    self.outputWidth = outputWidth
    self.levels = levels
    self.absent = absent
    self.entries = entries
    self.refusals = refusals
    self.faults = faults
  }
}

/// A named value.
public struct DefinitionSpec: Hashable, Sendable {
  public var name: String
  public var value: SpecExpression

  public init(name: String, value: SpecExpression) {
    self.name = name
    self.value = value
  }
}

/// Which IOVAs a walk accepts. Expressions also see `top`, one more than the highest index bit
/// of the root, and `root_level`.
public struct InputSpec: Hashable, Sendable {
  /// Bits that are translated.
  public var width: SpecExpression
  /// Whether the bits above must equal the highest translated one.
  public var signExtended: SpecExpression
  /// Whether the bits above must all be 1; else, and not sign-extended, they must be 0.
  public var upperOnes: SpecExpression
  /// The manual's section.
  public var section: String

  public init(
    width: SpecExpression, signExtended: SpecExpression, upperOnes: SpecExpression, section: String
  ) {
    self.width = width
    self.signExtended = signExtended
    self.upperOnes = upperOnes
    self.section = section
  }
}

/// The top of a walk. `indexHigh` sees `level`, the root's level, and `high`, the highest index bit
/// that its level has by itself.
public struct RootSpec: Hashable, Sendable {
  /// The level that a page table of this configuration starts with.
  public var level: SpecExpression
  /// The highest level that a root can come to have: above `level` where the top grows. Sees no `level`
  /// but the configuration's. The levels above do not exist for the configuration.
  public var highest: SpecExpression
  /// The highest index bit of the root: less than `high` for a short root, more for
  /// concatenated tables.
  public var indexHigh: SpecExpression
  /// The IOVA bits that choose among several roots; empty where there is one.
  public var select: SpecBits?
  public var section: String

  public init(
    level: SpecExpression, highest: SpecExpression, indexHigh: SpecExpression, select: SpecBits?,
    section: String
  ) {
    self.level = level
    self.highest = highest
    self.indexHigh = indexHigh
    self.select = select
    self.section = section
  }
}

/// One level of tables; 0 is the last.
public struct LevelSpec: Hashable, Sendable {
  public var level: Int
  /// The manual's name of its entries or tables.
  public var name: String
  /// The IOVA bits that index its tables.
  public var index: SpecBits
  public var when: SpecExpression
  public var line: Int

  public init(level: Int, name: String, index: SpecBits, when: SpecExpression, line: Int) {
    self.level = level
    self.name = name
    self.index = index
    self.when = when
    self.line = line
  }
}

/// How a word that is not present is told.
public struct AbsentSpec: Hashable, Sendable {
  public var bits: SpecBits
  public var value: SpecExpression
  public var text: String
  public var section: String

  public init(bits: SpecBits, value: SpecExpression, text: String, section: String) {
    self.bits = bits
    self.value = value
    self.text = text
    self.section = section
  }
}

/// Protections that the format cannot encode. The condition sees the protection flags.
public struct RefusalSpec: Hashable, Sendable {
  public var when: SpecExpression
  public var why: String

  public init(when: SpecExpression, why: String) {
    self.when = when
    self.why = why
  }
}

/// A fault as the manual names it.
public struct FaultSpec: Hashable, Sendable {
  /// What the interpreter and `checks` call it.
  public var key: String
  /// The name and code when a read raises it.
  public var name: String
  public var code: Int
  /// The name and code when a write raises it.
  public var writeName: String
  public var writeCode: Int
  /// What it means.
  public var text: String
  public var section: String
  public var line: Int

  public init(
    key: String, name: String, code: Int, writeName: String, writeCode: Int, text: String,
    section: String, line: Int
  ) {
    self.key = key
    self.name = name
    self.code = code
    self.writeName = writeName
    self.writeCode = writeCode
    self.text = text
    self.section = section
    self.line = line
  }
}

/// The faults that every specification describes.
public enum FaultKey: String, Hashable, Sendable, CaseIterable {
  /// The IOVA is not one that the table translates.
  case input
  /// A word that is not present.
  case absent
  /// A present word that is none of the format's entries at its level.
  case malformed
  /// A reserved bit is set.
  case reserved
  /// An output or table address beyond the output width.
  case addressSize = "address_size"
  /// The access is not permitted.
  case permission
  /// The words of one leaf disagree.
  case disagreement
  /// The table is not in memory.
  case memory

  /// The position among all keys.
  var ordinal: Int {
    switch self {
    case .input: 0
    case .absent: 1
    case .malformed: 2
    case .reserved: 3
    case .addressSize: 4
    case .permission: 5
    case .disagreement: 6
    case .memory: 7
    }
  }
}
