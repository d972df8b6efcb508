// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Collects the entries of a format for one configuration.
struct EntryTables {
  var entries: [CompiledEntry] = []
  var details: [EntryDetail] = []
  var moves: [AddressMove] = []
  var clauses: [WordClause] = []
  var checks: [CompiledCheck] = []
}

/// Resolves one kind of entry at one level (and one value of its `each` variable).
struct EntryCompiler {
  let spec: FormatSpec
  let entry: EntrySpec
  let level: Int
  let scope: ExpressionScope
  let shifts: [Int: Int]
  let faults: [String: Int]

  /// Adds the entry to `tables`.
  func compile(into tables: inout EntryTables) throws {
    var fields: [ResolvedField] = []
    var claimed: UInt64 = 0
    for field in entry.fields {
      guard let resolved = try resolve(field, claimed: claimed) else { continue }
      claimed |= resolved.mask
      fields.append(resolved)
    }
    let missing = Bits.lowMask(spec.wordBits) & ~claimed
    guard missing == 0 else {
      throw error(
        entry.line, "'\(entry.name)' does not describe \(Self.ranges(missing)) at level \(level)")
    }
    var compiled = CompiledEntry()
    compiled.isTable = entry.kind == .table
    try place(fields, in: &compiled, tables: &tables)
    try entry.kind == .table ? shapeTable(&compiled) : shapeLeaf(&compiled, fields: fields)
    try compileConditions(&compiled, fields: fields, tables: &tables)
    let addresses = fields.compactMap { field -> UInt64? in
      guard let low = field.addressLow else { return nil }
      return AddressMove(mask: field.mask, left: low - field.low).address(in: ~0)
    }
    tables.entries.append(compiled)
    tables.details.append(
      EntryDetail(
        spec: entry, level: level, offered: try number(entry.offered) != 0, fields: fields,
        addressMask: addresses.reduce(0, |)))
  }

  func error(_ line: Int, _ message: String) -> SpecError {
    SpecError(file: spec.file, line: line, message)
  }

  func number(_ value: SpecExpression) throws -> Int {
    do {
      return try value.expression.evaluate(in: scope)
    } catch let problem as SpecProblem {
      throw error(value.line, problem.message)
    }
  }

  /// The field's bits at this level, or nil when it has none.
  private func resolve(_ field: FieldSpec, claimed: UInt64) throws -> ResolvedField? {
    guard try number(field.when) != 0 else { return nil }
    let high = try number(field.bits.high)
    let low = try number(field.bits.low)
    if high < low { return nil }
    guard low >= 0, high < spec.wordBits else {
      throw error(field.line, "'\(field.name)' takes bits \(high):\(low) of a word of \(spec.wordBits) bits")
    }
    var mask = Bits.mask(high, low)
    if mask & claimed != 0 {
      // An address, or what is below it, surrounds an encryption bit; anything else is a mistake.
      guard field.address != nil || field.role == .res0 else {
        throw error(
          field.line, "'\(field.name)' takes \(Self.ranges(mask & claimed)), which a field before it has")
      }
      mask &= ~claimed
      if mask == 0 { return nil }
    }
    let encoder = try field.encode.map { try self.encoder($0, field: field, width: high - low + 1) }
    let addressLow = try field.address.map(number)
    if let addressLow, !(0...63).contains(addressLow) || addressLow + high - low > 63 {
      throw error(field.line, "'\(field.name)' holds address bits from \(addressLow), beyond bit 63")
    }
    return ResolvedField(
      spec: field, mask: mask, low: low, high: high, addressLow: addressLow, encoder: encoder,
      meanings: try field.meanings.map {
        (UInt64(bitPattern: Int64(try number($0.value))), $0.text)
      })
  }

  private func encoder(_ value: SpecExpression, field: FieldSpec, width: Int) throws -> FieldEncoder {
    do {
      let encoder = try FieldEncoder(value.expression, scope: scope)
      guard encoder.allValues.allSatisfy({ $0 & ~Bits.lowMask(width) == 0 }) else {
        throw SpecProblem("'\(field.name)' encodes a value that does not fit its \(width) bits")
      }
      return encoder
    } catch let problem as SpecProblem {
      throw error(value.line, problem.message)
    }
  }

  /// Enters fixed and reserved bits and addresses.
  private func place(
    _ fields: [ResolvedField], in compiled: inout CompiledEntry, tables: inout EntryTables
  ) throws {
    compiled.firstMove = tables.moves.count
    for field in fields {
      if let fixed = field.spec.fixed {
        let value = try number(fixed)
        // -1 stands for all ones.
        let bits =
          UInt64(bitPattern: Int64(value)) & (value == -1 ? Bits.lowMask(field.high - field.low + 1) : ~0)
        guard bits & ~Bits.lowMask(field.high - field.low + 1) == 0 else {
          throw error(fixed.line, "'\(field.spec.name)' has the value \(value), which does not fit its bits")
        }
        compiled.fixedMask |= field.mask
        compiled.fixedValue |= (bits &<< UInt64(field.low)) & field.mask
      }
      if field.spec.role == .reserved { compiled.reserved |= field.mask }
      if let addressLow = field.addressLow {
        tables.moves.append(AddressMove(mask: field.mask, left: addressLow - field.low))
        compiled.addressBits |= field.mask
      }
    }
    compiled.moveCount = tables.moves.count - compiled.firstMove
  }

  private func shapeTable(_ compiled: inout CompiledEntry) throws {
    compiled.child = try number(entry.child)
    guard let shift = shifts[level], shifts[compiled.child] != nil, compiled.child < level else {
      throw error(
        entry.child.line,
        "'\(entry.name)' at level \(level) leads to level \(compiled.child), not a lower one")
    }
    // What the levels in between would have been indexed with.
    if compiled.child < level - 1, let low = shifts[compiled.child + 1], low < shift {
      compiled.skipped = Bits.mask(shift - 1, low)
    }
  }

  private func shapeLeaf(_ compiled: inout CompiledEntry, fields: [ResolvedField]) throws {
    let shift = shifts[level] ?? 0
    let size = try number(entry.size)
    let width = try number(SpecExpression(.name("width"), line: entry.line))
    guard size >= shift, size <= 63, size - shift <= width else {
      throw error(
        entry.size.line, "'\(entry.name)' at level \(level) has 2^\(size) bytes; its words cover 2^\(shift)")
    }
    compiled.sizeLog2 = size
    compiled.countLog2 = size - shift
    compiled.consecutive = entry.words == .consecutive
    let updated = try fields.filter { try number($0.spec.updated) != 0 }.reduce(0) { $0 | $1.mask }
    compiled.agreement = Bits.lowMask(spec.wordBits) & ~updated
    if compiled.consecutive { compiled.agreement &= ~compiled.addressBits }
  }

  /// `bits 5:3 and 11` for a mask.
  static func ranges(_ mask: UInt64) -> String {
    var parts: [String] = []
    var bit = 63
    while bit >= 0 {
      guard mask & Bits.bit(bit) != 0 else {
        bit -= 1
        continue
      }
      var low = bit
      while low > 0, mask & Bits.bit(low - 1) != 0 { low -= 1 }
      parts.append(low == bit ? "\(bit)" : "\(bit):\(low)")
      bit = low - 1
    }
    return "bit\(parts.count == 1 && mask.nonzeroBitCount == 1 ? "" : "s") " + parts.joined(separator: ", ")
  }
}

extension EntryCompiler {
  /// Compiles protection, dirty, accessed and the checks.
  fileprivate func compileConditions(
    _ compiled: inout CompiledEntry, fields: [ResolvedField], tables: inout EntryTables
  ) throws {
    let names = Dictionary(
      fields.map { ($0.spec.name, WordTestCompiler.FieldBits(mask: $0.mask, low: $0.low)) },
      uniquingKeysWith: { first, _ in first })
    // A field that this level does not have reads as 0.
    var scope = self.scope
    for field in entry.fields where names[field.name] == nil && scope[field.name] == nil {
      scope[field.name] = .number(0)
    }
    let compiler = WordTestCompiler(scope: scope, fields: names)
    func test(_ condition: SpecExpression, _ tables: inout EntryTables) throws -> WordTest {
      do {
        let clauses = try compiler.clauses(condition.expression)
        let start = tables.clauses.count
        tables.clauses += clauses
        return WordTest(start: Int32(start), count: Int32(clauses.count))
      } catch let problem as SpecProblem {
        throw error(condition.line, problem.message)
      }
    }
    let isTable = entry.kind == .table
    func named(_ name: String, _ fallback: Bool, _ tables: inout EntryTables) throws -> WordTest {
      let given = entry.protection.first { $0.name == name }?.when
      return try test(given ?? .constant(fallback ? 1 : 0, line: entry.line), &tables)
    }
    compiled.read = try named("read", isTable, &tables)
    compiled.write = try named("write", isTable, &tables)
    compiled.cache = try named("cache", false, &tables)
    compiled.noexec = try named("noexec", false, &tables)
    compiled.mmio = try named("mmio", false, &tables)
    compiled.priv = try named("priv", false, &tables)
    compiled.dirty = try entry.dirty.map { try test($0, &tables) } ?? .never
    compiled.accessed = try entry.accessed.map { try test($0, &tables) } ?? .never
    compiled.firstCheck = tables.checks.count
    for check in entry.checks {
      guard let fault = faults[check.fault] else {
        throw error(
          check.when.line,
          "unknown fault '\(check.fault)'\(Nearest.hint(check.fault, in: Array(faults.keys)))")
      }
      tables.checks.append(
        CompiledCheck(
          test: try test(check.when, &tables), onRead: check.access != .write,
          onWrite: check.access != .read, fault: fault, why: check.why))
    }
    compiled.checkCount = tables.checks.count - compiled.firstCheck
  }
}
