// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A level as a walk needs it.
struct CompiledLevel: Sendable {
  var name: String
  /// The lowest IOVA bit that indexes the level, and how many bits do.
  var shift: Int
  var width: Int
  /// As the root: how many bits index it.
  var rootWidth: Int
  /// As the root: which IOVAs the walk accepts.
  var input: InputRule
  /// The level's entries in the format's list.
  var entries: Range<Int>
}

/// Which IOVAs a walk from some root accepts.
struct InputRule: Sendable {
  /// How many bits are translated, and what those above must hold.
  var width: Int
  var upper: Upper

  enum Upper: Sendable {
    case zeros
    case ones
    case sign
  }

  /// Whether the walk translates `iova`.
  @inline(__always)
  func accepts(_ iova: UInt64) -> Bool {
    guard width < 64 else { return true }
    switch upper {
    case .zeros: return iova &>> UInt64(width) == 0
    case .ones: return ~iova &>> UInt64(width) == 0
    case .sign:
      guard width > 0 else { return iova == 0 || iova == ~0 }
      let sign = Int64(bitPattern: iova) &>> Int64(width - 1)
      return sign == 0 || sign == -1
    }
  }
}

/// Evaluates a specification for one configuration.
struct FormatCompiler {
  let spec: FormatSpec
  let configuration: Configuration

  /// Page tables have at most this many levels; a bound for malformed specifications.
  static let maximumLevels = 8
  // 4096 pages of 4 KiB; the widest root of a real format has a sixteenth of that.
  private static let maximumRootBits = 21
  // The most values that an `each` variable may take.
  private static let maximumVariants = 64

  struct Result {
    var tables = EntryTables()
    var levels: [CompiledLevel] = []
    var rootLevel = 0
    var outputWidth = 0
    var absentMask: UInt64 = 0
    var absentValue: UInt64 = 0
    var refusals: [(encoder: FieldEncoder, why: String)] = []
    var rootSelect: (high: Int, low: Int)?
  }

  func compile() throws -> Result {
    let scope = try self.scope()
    var result = Result()
    result.outputWidth = try number(spec.outputWidth, scope)
    guard (1...64).contains(result.outputWidth) else {
      throw error(spec.outputWidth.line, "the output width is \(result.outputWidth), not 1 to 64 bits")
    }
    try compileAbsent(scope, into: &result)
    result.rootLevel = try number(spec.root.level, scope)
    let highest = max(result.rootLevel, try number(spec.root.highest, scope))
    result.levels = Array(try compileLevels(scope, rootLevel: result.rootLevel).prefix(max(0, highest &+ 1)))
    guard result.levels.indices.contains(result.rootLevel) else {
      throw error(
        spec.root.level.line,
        "the root is of level \(result.rootLevel); levels are 0 to \(result.levels.count - 1)")
    }
    if let select = spec.root.select {
      let high = try number(select.high, scope)
      let low = try number(select.low, scope)
      if high >= low {
        guard low >= 0, high <= 63, high - low < 8 else {
          throw error(select.high.line, "the root cannot be chosen by bits \(high):\(low)")
        }
        result.rootSelect = (high, low)
      }
    }
    try compileEntries(scope, into: &result)
    result.refusals = try spec.refusals.map { refusal in
      (
        try locating(refusal.when.line) { try FieldEncoder(refusal.when.expression, scope: scope) },
        refusal.why
      )
    }
    return result
  }

  private func error(_ line: Int, _ message: String) -> SpecError {
    SpecError(file: spec.file, line: line, message)
  }

  private func locating<T>(_ line: Int, _ body: () throws -> T) throws -> T {
    do {
      return try body()
    } catch let problem as SpecProblem {
      throw error(line, problem.message)
    }
  }

  private func number(_ value: SpecExpression, _ scope: ExpressionScope) throws -> Int {
    try locating(value.line) { try value.expression.evaluate(in: scope) }
  }

  /// The configuration's keys, then the definitions.
  private func scope() throws -> ExpressionScope {
    guard configuration.format == spec.format else {
      throw error(0, "describes '\(spec.format)', the configuration is of '\(configuration.format)'")
    }
    var scope = ExpressionScope()
    scope["ones"] = .number(-1)
    for key in configuration.schema.keys {
      switch key.kind {
      case .flags: scope[key.name] = .words(configuration.flags(key.name))
      case .number: scope[key.name] = .number(configuration.number(key.name))
      case .bitmap: scope[key.name] = .number(Int(truncatingIfNeeded: configuration.bitmap(key.name)))
      case .choice:
        // Words such as 4k are sizes; others are compared with `contains`.
        let text = configuration.text(key.name)
        scope[key.name] =
          Numbers.parseSize(text).map { .number(Int(truncatingIfNeeded: $0)) } ?? .words([text])
      }
    }
    for definition in spec.definitions {
      guard scope[definition.name] == nil else {
        throw error(definition.value.line, "'\(definition.name)' is already a name")
      }
      scope[definition.name] = .number(try number(definition.value, scope))
    }
    return scope
  }

  private func compileAbsent(_ scope: ExpressionScope, into result: inout Result) throws {
    let high = try number(spec.absent.bits.high, scope)
    let low = try number(spec.absent.bits.low, scope)
    guard low >= 0, high >= low, high < spec.wordBits else {
      throw error(spec.absent.bits.high.line, "bits \(high):\(low) do not tell whether a word is present")
    }
    result.absentMask = Bits.mask(high, low)
    let value = UInt64(bitPattern: Int64(try number(spec.absent.value, scope)))
    guard value & ~Bits.lowMask(high - low + 1) == 0 else {
      throw error(spec.absent.value.line, "the value \(value) does not fit bits \(high):\(low)")
    }
    result.absentValue = value &<< UInt64(low)
  }

  private func compileLevels(_ scope: ExpressionScope, rootLevel: Int) throws -> [CompiledLevel] {
    var levels: [CompiledLevel] = []
    for level in spec.levels where try number(level.when, scope) != 0 {
      guard level.level == levels.count, levels.count < Self.maximumLevels else {
        throw error(
          level.line, "expected level \(levels.count), found level \(level.level); levels ascend from 0")
      }
      let high = try number(level.index.high, scope)
      let low = try number(level.index.low, scope)
      let expectedLow = levels.last.map { $0.shift + $0.width } ?? low
      guard low >= 3, high >= low, high <= 63, high - low < 20, low == expectedLow else {
        throw error(level.index.high.line, "level \(level.level) cannot be indexed by bits \(high):\(low)")
      }
      let inner = scope.with("level", level.level).with("high", high)
      // A level that no configuration starts with may get an absurd width; it keeps its own.
      let wanted = try number(spec.root.indexHigh, inner)
      let fits = wanted - low < Self.maximumRootBits
      let rootHigh = fits ? wanted : high
      let rootWidth = max(0, rootHigh - low + 1)
      guard fits || level.level != rootLevel else {
        throw error(spec.root.indexHigh.line, "a root indexed by bits \(wanted):\(low) is too large")
      }
      levels.append(
        CompiledLevel(
          name: level.name, shift: low, width: high - low + 1, rootWidth: rootWidth,
          input: try inputRule(scope.with("top", rootHigh + 1).with("root_level", level.level)),
          entries: 0..<0))
    }
    guard !levels.isEmpty else { throw error(0, "no level holds for this configuration") }
    return levels
  }

  private func inputRule(_ scope: ExpressionScope) throws -> InputRule {
    let width = try number(spec.input.width, scope)
    guard (0...64).contains(width) else {
      throw error(spec.input.width.line, "IOVAs of \(width) bits")
    }
    let isSigned = try number(spec.input.signExtended, scope) != 0
    let isOnes = try number(spec.input.upperOnes, scope) != 0
    return InputRule(width: width, upper: isSigned ? .sign : isOnes ? .ones : .zeros)
  }

  private func compileEntries(_ scope: ExpressionScope, into result: inout Result) throws {
    let shifts = Dictionary(uniqueKeysWithValues: result.levels.enumerated().map { ($0, $1.shift) })
    let faults = Dictionary(
      spec.faults.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { first, _ in first })
    for key in FaultKey.allCases where faults[key.rawValue] == nil {
      throw error(0, "the fault '\(key.rawValue)' is not described")
    }
    for level in result.levels.indices {
      let start = result.tables.entries.count
      let inner = scope.with("level", level).with("shift", result.levels[level].shift)
        .with("width", result.levels[level].width)
      for entry in spec.entries {
        guard try number(entry.firstLevel, inner) <= level, try level <= number(entry.lastLevel, inner) else {
          continue
        }
        for variant in try variants(entry, inner) {
          guard try number(entry.when, variant) != 0 else { continue }
          try EntryCompiler(
            spec: spec, entry: entry, level: level, scope: variant, shifts: shifts, faults: faults
          ).compile(into: &result.tables)
        }
      }
      result.levels[level].entries = start..<result.tables.entries.count
    }
  }

  /// One scope for each value of the entry's variable.
  private func variants(_ entry: EntrySpec, _ scope: ExpressionScope) throws -> [ExpressionScope] {
    guard let each = entry.each else { return [scope] }
    guard scope[each.name] == nil else {
      throw error(entry.line, "'\(each.name)' is already a name")
    }
    let from = try number(each.from, scope)
    let through = try number(each.through, scope)
    guard abs(from) <= 1 << 20, abs(through) <= 1 << 20, abs(through - from) < Self.maximumVariants else {
      throw error(each.from.line, "'\(each.name)' takes more than \(Self.maximumVariants) values")
    }
    let values = Array(stride(from: from, through: through, by: through < from ? -1 : 1))
    return values.map { scope.with(each.name, $0) }
  }
}
