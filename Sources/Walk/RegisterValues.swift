// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A text that says what registers, expectations or devices there are, and is wrong.
public struct WalkInputError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  init(file: String, line: Int, _ text: String) { description = "\(file):\(line): \(text)" }
}

/// What the registers of an IOMMU held.
public struct RegisterValues: Hashable, Sendable {
  /// The IOMMU.
  public let kind: IOMMUKind
  private let values: [String: UInt64]

  /// - Parameter values: by the names of `kind.registers`.
  /// - Throws: `WalkInputError` for a value that is missing, that does not fit its register, or that has no register.
  public init(_ kind: IOMMUKind, _ values: [String: UInt64]) throws {
    self.kind = kind
    for name in values.keys.sorted() where !kind.registers.contains(where: { $0.name == name }) {
      throw WalkInputError("unknown register '\(name)'; \(Self.known(kind))")
    }
    var all = values
    for register in kind.registers {
      guard let value = values[register.name] ?? register.fallback else {
        throw WalkInputError(
          "\(kind.title): the register \(register.name) (offset \(Numbers.hex(register.offset))) is missing; "
            + Self.known(kind))
      }
      guard register.byteCount == 8 || value <= UInt64(UInt32.max) else {
        throw WalkInputError("the register \(register.name) has 32 bits, found \(Numbers.hex(value))")
      }
      all[register.name] = value
    }
    self.values = all
  }

  /// Reads the lines `NAME VALUE` or `OFFSET VALUE` of a file; `#` begins a comment. Values are hexadecimal with `0x`, or
  /// decimal.
  ///
  /// - Parameter file: the file's name, for messages.
  /// - Throws: `WalkInputError` with the file, the line and what was expected.
  public init(_ kind: IOMMUKind, text: String, file: String) throws {
    var values: [String: UInt64] = [:]
    for line in TextLine.lines(of: text, file: file) {
      guard line.words.count == 2 else {
        throw line.error("expected 'NAME VALUE' or 'OFFSET VALUE', found \(line.words.count) words")
      }
      let register = try Self.register(line.words[0], kind, line)
      guard let value = Numbers.parse(line.words[1]) else {
        throw line.error("expected a number such as 0x1000 for \(register.name), found '\(line.words[1])'")
      }
      guard register.byteCount == 8 || value <= UInt64(UInt32.max) else {
        throw line.error("\(register.name) has 32 bits, found \(Numbers.hex(value))")
      }
      guard values[register.name] == nil else { throw line.error("\(register.name) is given twice") }
      values[register.name] = value
    }
    do {
      try self.init(kind, values)
    } catch let error as WalkInputError {
      throw WalkInputError("\(file): \(error)")
    }
  }

  /// The value of a register of `kind.registers`.
  public subscript(_ name: String) -> UInt64 {
    guard let value = values[name] else {
      assertionFailure("\(kind) has no register \(name)")
      return 0
    }
    return value
  }

  /// The values as a file that can be read again.
  public var text: String {
    let lines = kind.registers.map { register in
      "\(register.name) \(Numbers.hex(self[register.name]))  # offset \(Numbers.hex(register.offset)): \(register.summary)"
    }
    return "# Registers of an \(kind.title)\n" + lines.joined(separator: "\n") + "\n"
  }

  private static func register(_ word: String, _ kind: IOMMUKind, _ line: TextLine) throws -> IOMMURegister {
    if let offset = Numbers.parse(word) {
      guard let register = kind.registers.first(where: { $0.offset == offset }) else {
        throw line.error("no register at offset \(Numbers.hex(offset)); \(known(kind))")
      }
      return register
    }
    guard let register = kind.registers.first(where: { $0.name == word.uppercased() }) else {
      throw line.error("unknown register '\(word)'; \(known(kind))")
    }
    return register
  }

  private static func known(_ kind: IOMMUKind) -> String {
    "expected are " + kind.registers.map { "\($0.name) (\(Numbers.hex($0.offset)))" }.joined(separator: ", ")
  }
}

/// A line with words of a text file.
struct TextLine {
  let file: String
  let number: Int
  let words: [String]

  /// The lines that have words, without comments.
  static func lines(of text: String, file: String) -> [TextLine] {
    text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated().compactMap {
      index, line in
      let body = line.prefix { $0 != "#" }
      let words = body.split(whereSeparator: { $0 == " " || $0 == "\t" }).map { String($0) }
      return words.isEmpty ? nil : TextLine(file: file, number: index + 1, words: words)
    }
  }

  func error(_ text: String) -> WalkInputError { WalkInputError(file: file, line: number, text) }
}
