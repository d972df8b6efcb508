// SPDX-License-Identifier: GPL-2.0-only

/// Reads flat TAP streams, versions 12 to 14 and what kselftest makes of them. Lines that are none of TAP's do no harm.
public struct TAPReader {
  private var stream = TAPStream()
  private var comments: [String] = []
  private var numbers: Set<Int> = []

  /// What the text of a stream says.
  public static func read(_ text: some StringProtocol) -> TAPStream {
    var reader = TAPReader()
    // "\r\n" is one character, and a new line as "\n" is.
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .enumerated()
    {
      reader.read(line: Substring(line), number: index + 1)
    }
    return reader.finish()
  }

  private static let directives: Set<String> = ["SKIP", "TODO", "XFAIL", "XPASS", "TIMEOUT", "ERROR"]

  private mutating func read(line: Substring, number: Int) {
    if line.isEmpty { return }
    if line.first == "#" {
      comments.append(String(line.dropFirst().first == " " ? line.dropFirst(2) : line.dropFirst()))
    } else if let rest = line.after("Bail out!") {
      stream.bailOut = String(rest.trimmed)
    } else if let rest = line.after("TAP version ") ?? line.after("KTAP version ") {
      if stream.version == nil { stream.version = Int(rest.trimmed) }
    } else if let rest = line.after("1..") {
      readPlan(rest, line: number)
    } else if let rest = line.afterWord("not ok") {
      readResult(rest, isOK: false, line: number)
    } else if let rest = line.afterWord("ok") {
      readResult(rest, isOK: true, line: number)
    } else {
      stream.noiseLines += 1
    }
  }

  private mutating func readPlan(_ text: Substring, line: Int) {
    guard let count = Int(text.prefix { $0 != "#" }.trimmed), count >= 0 else {
      stream.noiseLines += 1
      return
    }
    if stream.plan != nil {
      stream.problems.append("line \(line): a second plan")
    } else {
      stream.plan = count
    }
  }

  private mutating func readResult(_ text: Substring, isOK: Bool, line: Int) {
    var rest = text.trimmed
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    let afterDigits = rest.dropFirst(digits.count)
    let number = afterDigits.isEmpty || afterDigits.first == " " ? Int(digits) : nil
    if number != nil { rest = afterDigits.trimmed }
    if let bare = rest.afterWord("-") { rest = bare.trimmed }
    var (name, directive) = Self.splitDirective(rest)
    if name.isEmpty, var misplaced = directive {
      // kselftest.h puts the name behind the directive.
      let words = misplaced.reason.split(separator: " ", maxSplits: 1)
      name = words.first.map(String.init) ?? ""
      misplaced.reason = words.dropFirst().first.map(String.init) ?? ""
      directive = misplaced
    }
    check(number: number, line: line)
    stream.results.append(
      TAPStream.Result(
        number: number, isOK: isOK, name: name, directive: directive, diagnostics: comments, line: line))
    comments = []
  }

  /// Splits at the first `#` that no backslash escapes; what follows counts only when it is a directive.
  private static func splitDirective(_ text: Substring) -> (name: String, directive: TAPStream.Directive?) {
    var name = ""
    var index = text.startIndex
    while index < text.endIndex, text[index] != "#" {
      let next = text.index(after: index)
      if text[index] == "\\", next < text.endIndex, text[next] == "#" || text[next] == "\\" { index = next }
      name.append(text[index])
      index = text.index(after: index)
    }
    let behind = text[index...].dropFirst().trimmed
    let word = behind.prefix { $0.isLetter }.uppercased()
    let directive =
      directives.contains(word)
      ? TAPStream.Directive(word: word, reason: String(behind.dropFirst(word.count).trimmed)) : nil
    return (String(Substring(name).trimmed), directive)
  }

  private mutating func check(number: Int?, line: Int) {
    let expected = stream.results.count + 1
    guard let number else {
      stream.problems.append("line \(line): a result without number")
      return
    }
    if !numbers.insert(number).inserted {
      stream.problems.append("line \(line): a second result \(number)")
    } else if number != expected {
      stream.problems.append("line \(line): result \(number) where \(expected) was due")
    }
  }

  private mutating func finish() -> TAPStream {
    stream.closingComments = comments
    if let plan = stream.plan {
      if plan != stream.results.count {
        stream.problems.append("the plan announces \(plan) results, and there are \(stream.results.count)")
      }
    } else {
      stream.problems.append("there is no plan")
    }
    return stream
  }
}

extension Substring {
  fileprivate var trimmed: Substring {
    let start = drop { $0 == " " || $0 == "\t" }
    return start.lastIndex { $0 != " " && $0 != "\t" }.map { start[...$0] } ?? ""
  }

  /// What follows `prefix`, or nil when the text does not start with it.
  fileprivate func after(_ prefix: String) -> Substring? {
    hasPrefix(prefix) ? dropFirst(prefix.count) : nil
  }

  /// As `after`, where `word` is a whole word.
  fileprivate func afterWord(_ word: String) -> Substring? {
    after(word).flatMap { $0.isEmpty || $0.first == " " || $0.first == "\t" ? $0 : nil }
  }
}
