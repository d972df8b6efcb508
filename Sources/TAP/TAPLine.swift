// SPDX-License-Identifier: GPL-2.0-only

/// What one line of a TAP or KTAP stream says, its indentation apart.
enum TAPLine: Hashable {
  /// `TAP version 13`, `KTAP version 1`
  case version(Int)
  /// `1..14`, and what follows its `#`
  case plan(Int, remark: String)
  /// `not ok 3 - name # SKIP why`
  case result(TAPResultLine)
  /// `Bail out! why`
  case bailOut(String)
  /// `# Subtest: name`
  case subtest(String)
  /// `# selftests: folder: program`, which kselftest's runner writes when it starts a program.
  case program(String)
  /// `t/map.t ..`, with which prove starts what a program has to say, and why the program was skipped, if it was.
  case proveFile(String, skipReason: String?)
  /// `# Totals: pass:1 fail:0 …`
  case tally(KTAPTally)
  /// Any other line with a `#`, and its text.
  case comment(String)
  /// A line that is none of TAP's.
  case other(String)

  /// Reads a line.
  ///
  /// - Returns: the line, and the column at which it starts. A comment sign before a line of TAP is indentation,
  ///   for so kselftest's runner nests the output of its programs.
  /// - Throws: what a version or a plan should be and is not.
  static func read(_ text: Substring, from start: Int = 0) throws(TAPLineError) -> (
    column: Int, line: TAPLine
  ) {
    let bare = text.drop { $0 == " " || $0 == "\t" }
    let column = start + text.utf8.count - bare.utf8.count
    guard column <= deepestColumn else { return (column, .other(String(bare))) }
    guard bare.first == "#" else { return (column, try readBare(bare)) }
    let content = bare.dropFirst().first == " " ? bare.dropFirst(2) : bare.dropFirst()
    let nested = try read(content, from: column + bare.utf8.count - content.utf8.count)
    return nested.line.isStructure ? nested : (column, readComment(content))
  }

  /// Nobody nests streams as deep as this; what is right of it is none of TAP's.
  private static let deepestColumn = 256

  /// Whether a comment sign before the line is no more than indentation.
  private var isStructure: Bool {
    switch self {
    case .version, .plan, .bailOut: true
    case .subtest, .program, .tally: true
    // Only numbers tell results from prose.
    case .result(let result): result.number != nil
    case .comment, .other, .proveFile: false
    }
  }

  private static func readBare(_ text: Substring) throws(TAPLineError) -> TAPLine {
    if let rest = text.afterWord("not ok") { return .result(TAPResultLine(rest, isOK: false)) }
    if let rest = text.afterWord("ok") { return .result(TAPResultLine(rest, isOK: true)) }
    if let rest = text.after("TAP version ") { return try readVersion(rest, known: 12...14) }
    if let rest = text.after("KTAP version ") { return try readVersion(rest, known: 1...1) }
    if let rest = text.after("Bail out!") { return .bailOut(String(rest.trimmed)) }
    if let rest = text.after("1.."), rest.first?.isWholeNumber == true { return try readPlan(rest) }
    return readProveFile(text) ?? .other(String(text))
  }

  private static func readProveFile(_ text: Substring) -> TAPLine? {
    let words = text.split(separator: " ", maxSplits: 3)
    guard words.count >= 2, words[1].count > 1, words[1].allSatisfy({ $0 == "." }) else { return nil }
    if words.count == 2 { return .proveFile(String(words[0]), skipReason: nil) }
    guard words[2] == "skipped:" else { return nil }
    return .proveFile(String(words[0]), skipReason: words.count > 3 ? String(words[3]) : "")
  }

  private static func readVersion(_ text: Substring, known: ClosedRange<Int>) throws(TAPLineError) -> TAPLine
  {
    guard text.first?.isWholeNumber == true else { return .other(String(text)) }
    guard let version = Int(text.trimmed), known.contains(version) else {
      throw TAPLineError("expected TAP version 12 to 14 or KTAP version 1, found version '\(text.trimmed)'")
    }
    return .version(version)
  }

  private static func readPlan(_ text: Substring) throws(TAPLineError) -> TAPLine {
    let digits = text.prefix { $0.isASCII && $0.isWholeNumber }
    let rest = text.dropFirst(digits.count).trimmed
    guard rest.isEmpty || rest.first == "#" else { return .other("1..\(text)") }
    guard let count = Int(digits) else {
      throw TAPLineError("expected a plan such as 1..14, found '1..\(text.trimmed)'")
    }
    return .plan(count, remark: String(rest.dropFirst().trimmed))
  }

  private static func readComment(_ text: Substring) -> TAPLine {
    if let name = text.after("Subtest:") { return .subtest(String(name.trimmed)) }
    if let name = text.after("selftests: ") { return .program("selftests: \(name.trimmed)") }
    if let tally = KTAPTally(text) { return .tally(tally) }
    return .comment(String(text))
  }
}

/// What is wrong with a line.
struct TAPLineError: Error {
  let message: String

  init(_ message: String) { self.message = message }
}

/// A result line.
struct TAPResultLine: Hashable {
  /// The number on the line, or nil where it has none.
  var number: Int?
  /// Whether it says `ok`.
  var isOK: Bool
  /// The name, without dash; may be empty.
  var name: String
  /// The directive, if there is one.
  var directive: KTAPDirective?
  /// What follows a `#` that is no directive; may be empty.
  var remark = ""

  /// Reads what follows `ok` or `not ok`.
  init(_ text: Substring, isOK: Bool) {
    self.isOK = isOK
    var rest = text.trimmed
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    let afterDigits = rest.dropFirst(digits.count)
    number = afterDigits.isEmpty || afterDigits.first == " " ? Int(digits) : nil
    if number != nil { rest = afterDigits.trimmed }
    if let bare = rest.afterWord("-") { rest = bare.trimmed }
    name = ""
    split(rest)
  }

  /// Splits at the first `#` that no backslash escapes; what follows is a directive or a remark.
  private mutating func split(_ text: Substring) {
    var index = text.startIndex
    while index < text.endIndex, text[index] != "#" {
      let next = text.index(after: index)
      if text[index] == "\\", next < text.endIndex, text[next] == "#" || text[next] == "\\" { index = next }
      name.append(text[index])
      index = text.index(after: index)
    }
    name = String(Substring(name).trimmed)
    // GLib's tests are paths, and what follows one of them is why it failed.
    if name.hasPrefix("/"), let dash = name.firstRange(of: " - ") {
      remark = String(name[dash.upperBound...])
      name = String(name[..<dash.lowerBound])
    }
    let behind = text[index...].dropFirst().trimmed
    let word = behind.prefix { $0.isLetter }
    guard let kind = KTAPDirective.Word(rawValue: word.uppercased()) else {
      if !behind.isEmpty { remark = String(behind) }
      return
    }
    var reason = behind.dropFirst(word.count).trimmed
    if name.isEmpty, word == kind.rawValue || kind == .error {
      // kselftest.h puts the name behind the directive. Perl's tests have no name then, and write it in small letters.
      name = String(reason.prefix { $0 != " " })
      reason = reason.dropFirst(name.count).trimmed
    }
    directive = KTAPDirective(kind, reason: String(reason))
  }
}

extension Substring {
  /// The text without blanks at its ends.
  var trimmed: Substring {
    let start = drop { $0 == " " || $0 == "\t" }
    return start.lastIndex { $0 != " " && $0 != "\t" }.map { start[...$0] } ?? ""
  }

  /// What follows `prefix`, or nil when the text does not start with it.
  func after(_ prefix: String) -> Substring? {
    hasPrefix(prefix) ? dropFirst(prefix.count) : nil
  }

  /// As `after`, where `word` is a whole word.
  fileprivate func afterWord(_ word: String) -> Substring? {
    after(word).flatMap { $0.isEmpty || $0.first == " " || $0.first == "\t" ? $0 : nil }
  }
}
