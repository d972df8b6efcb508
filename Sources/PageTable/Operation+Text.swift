// SPDX-License-Identifier: GPL-2.0-only

/// A text that does not follow the golden grammar.
public struct GrammarError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was expected and what was found.
  public let description: String

  public init(_ description: String) { self.description = description }
}

extension Operation: CustomStringConvertible {
  /// The operation's names in the grammar.
  public static let names = [
    "map", "maprange", "mappages", "unmap", "unmappages", "phys", "setdirty", "dirty", "allocbudget",
  ]

  /// The operation in the golden grammar, without result.
  public var description: String {
    switch self {
    case .map(let iova, let pa, let length, let protection):
      "map \(Numbers.hex(iova)) \(Numbers.hex(pa)) \(Numbers.hex(length)) \(protection.text)"
    case .mapRange(let iova, let pa, let length, let protection):
      "maprange \(Numbers.hex(iova)) \(Numbers.hex(pa)) \(Numbers.hex(length)) \(protection.text)"
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      "mappages \(Numbers.hex(iova)) \(Numbers.hex(pa)) \(Numbers.hex(pageSize)) \(count) \(protection.text)"
    case .unmap(let iova, let length):
      "unmap \(Numbers.hex(iova)) \(Numbers.hex(length))"
    case .unmapPages(let iova, let pageSize, let count):
      "unmappages \(Numbers.hex(iova)) \(Numbers.hex(pageSize)) \(count)"
    case .phys(let iova): "phys \(Numbers.hex(iova))"
    case .setDirty(let iova): "setdirty \(Numbers.hex(iova))"
    case .dirty(let iova, let length, let clear):
      "dirty \(Numbers.hex(iova)) \(Numbers.hex(length)) \(clear ? "clear" : "keep")"
    case .allocationBudget(let pages):
      "allocbudget \(pages.map(String.init) ?? "unlimited")"
    }
  }

  /// Reads one operation, without its result.
  ///
  /// - Throws: `GrammarError` that says what was expected.
  public init(text: some StringProtocol) throws {
    var words = Words(text)
    let name = try words.next("an operation")
    switch name {
    case "map", "maprange":
      let iova = try words.size("an IOVA")
      let pa = try words.size("an output address")
      let length = try words.size("a length")
      let protection = try words.protection()
      self =
        name == "map"
        ? .map(iova: iova, pa: pa, length: length, protection: protection)
        : .mapRange(iova: iova, pa: pa, length: length, protection: protection)
    case "mappages":
      self = .mapPages(
        iova: try words.size("an IOVA"), pa: try words.size("an output address"),
        pageSize: try words.size("a page size"), count: try words.size("a count"),
        protection: try words.protection())
    case "unmap":
      self = .unmap(iova: try words.size("an IOVA"), length: try words.size("a length"))
    case "unmappages":
      self = .unmapPages(
        iova: try words.size("an IOVA"), pageSize: try words.size("a page size"),
        count: try words.size("a count"))
    case "phys": self = .phys(iova: try words.size("an IOVA"))
    case "setdirty": self = .setDirty(iova: try words.size("an IOVA"))
    case "dirty":
      let iova = try words.size("an IOVA")
      let length = try words.size("a length")
      switch try words.next("'keep' or 'clear'") {
      case "keep": self = .dirty(iova: iova, length: length, clear: false)
      case "clear": self = .dirty(iova: iova, length: length, clear: true)
      case let other: throw GrammarError("expected 'keep' or 'clear', found '\(other)'")
      }
    case "allocbudget": self = .allocationBudget(pages: try words.budget())
    default:
      throw GrammarError(
        "expected an operation (\(Self.names.joined(separator: ", "))), found '\(name)'"
          + Nearest.hint(name, in: Self.names))
    }
    try words.end()
  }
}

extension OperationResult {
  /// The result in the golden grammar; empty for an operation without one.
  public var text: String {
    switch self {
    case .ok: "ok"
    case .okMapped(let bytes): "ok \(Numbers.hex(bytes))"
    case .failed(let errno): errno.name
    case .failedMapped(let errno, let bytes): "\(errno.name) \(Numbers.hex(bytes))"
    case .unmapped(let bytes): Numbers.hex(bytes)
    case .physical(let address): address.map(Numbers.hex) ?? "none"
    case .dirty(let ranges):
      ranges.isEmpty
        ? "none"
        : ranges.map { "\(Numbers.hex($0.iova))+\(Numbers.hex($0.length))" }.joined(separator: " ")
    case .none: ""
    }
  }

  /// Reads the result that `operation` may have.
  ///
  /// - Throws: `GrammarError` that says what was expected.
  public init(text: some StringProtocol, of operation: Operation) throws {
    var words = Words(text)
    switch operation {
    case .map, .setDirty:
      let word = try words.next("'ok' or an errno")
      self = word == "ok" ? .ok : .failed(try Self.errno(word))
    case .mapRange, .mapPages:
      let word = try words.next("'ok' or an errno")
      let bytes = try words.size("the bytes mapped")
      self = word == "ok" ? .okMapped(bytes) : .failedMapped(try Self.errno(word), bytes)
    case .unmap, .unmapPages: self = .unmapped(try words.size("the bytes unmapped"))
    case .phys:
      self = words.rest == ["none"] ? .physical(nil) : .physical(try words.size("an address or 'none'"))
      if self == .physical(nil) { words.skip() }
    case .dirty: self = try Self.dirtyRanges(&words)
    case .allocationBudget: throw GrammarError("'allocbudget' has no result")
    }
    try words.end()
  }

  private static func errno(_ word: String) throws -> LinuxErrno {
    guard let errno = LinuxErrno(name: word) else {
      throw GrammarError(
        "expected 'ok' or an errno (\(LinuxErrno.allCases.map(\.name).joined(separator: ", "))), found '\(word)'"
      )
    }
    return errno
  }

  private static func dirtyRanges(_ words: inout Words) throws -> OperationResult {
    if words.rest == ["none"] {
      words.skip()
      return .dirty([])
    }
    if words.rest.count == 1, let errno = LinuxErrno(name: words.rest[0]) {
      words.skip()
      return .failed(errno)
    }
    var ranges: [DirtyRange] = []
    repeat {
      let word = try words.next("IOVA+LEN")
      let parts = word.split(separator: "+", omittingEmptySubsequences: false)
      guard parts.count == 2, let iova = Numbers.parseSize(parts[0]), let length = Numbers.parseSize(parts[1])
      else { throw GrammarError("expected IOVA+LEN, 'none' or an errno, found '\(word)'") }
      ranges.append(DirtyRange(iova: iova, length: length))
    } while !words.rest.isEmpty
    return .dirty(ranges)
  }
}

extension OperationNote {
  /// The note in the golden grammar, without the `! `.
  public var text: String {
    switch self {
    case .sync(let first, let last, let released):
      "sync \(Numbers.hex(first))..\(Numbers.hex(last))" + (released == 0 ? "" : " free=\(released)")
    case .top(let level): "top level=\(level)"
    case .warn: "warn"
    }
  }

  /// Reads one note, without the `! `.
  ///
  /// - Throws: `GrammarError` that says what was expected.
  public init(text: some StringProtocol) throws {
    var words = Words(text)
    switch try words.next("a note (sync, top, warn)") {
    case "warn": self = .warn
    case "top":
      let word = try words.next("'level=N'")
      guard let level = Self.value(of: "level", in: word) else {
        throw GrammarError("expected 'level=N', found '\(word)'")
      }
      self = .top(level: level)
    case "sync":
      let range = try words.next("FIRST..LAST")
      guard let dots = range.firstRange(of: ".."), let first = Numbers.parse(range[..<dots.lowerBound]),
        let last = Numbers.parse(range[dots.upperBound...])
      else { throw GrammarError("expected FIRST..LAST, found '\(range)'") }
      var released = 0
      if let word = words.rest.first {
        guard let count = Self.value(of: "free", in: word) else {
          throw GrammarError("expected 'free=N', found '\(word)'")
        }
        released = count
        words.skip()
      }
      self = .sync(first: first, last: last, released: released)
    case let other: throw GrammarError("expected a note (sync, top, warn), found '\(other)'")
    }
    try words.end()
  }

  private static func value(of key: String, in word: String) -> Int? {
    guard word.hasPrefix("\(key)="), let number = Numbers.parse(word.dropFirst(key.count + 1)) else {
      return nil
    }
    return Int(exactly: number)
  }
}

/// The blank-separated words of a line, taken one by one with errors that say what was expected.
struct Words {
  private(set) var rest: ArraySlice<String>

  init(_ text: some StringProtocol) {
    rest = String(text).split(whereSeparator: { $0 == " " || $0 == "\t" }).map { String($0) }[...]
  }

  mutating func next(_ expectation: String) throws -> String {
    guard let word = rest.popFirst() else {
      throw GrammarError("expected \(expectation), found the end of the line")
    }
    return word
  }

  mutating func skip() { _ = rest.popFirst() }

  mutating func size(_ expectation: String) throws -> UInt64 {
    let word = try next(expectation)
    guard let number = Numbers.parseSize(word) else {
      throw GrammarError("expected \(expectation), found '\(word)'")
    }
    return number
  }

  mutating func protection() throws -> Protection {
    let word = try next("a protection")
    guard let protection = Protection(text: word) else {
      throw GrammarError(
        "expected a protection (r, w, rw, then any of ,cache ,noexec ,mmio ,priv; or none), found '\(word)'")
    }
    return protection
  }

  mutating func budget() throws -> Int? {
    let word = try next("a number of pages or 'unlimited'")
    if word == "unlimited" { return nil }
    guard let number = Numbers.parse(word), let pages = Int(exactly: number) else {
      throw GrammarError("expected a number of pages or 'unlimited', found '\(word)'")
    }
    return pages
  }

  func end() throws {
    if let word = rest.first { throw GrammarError("expected the end of the line, found '\(word)'") }
  }
}
