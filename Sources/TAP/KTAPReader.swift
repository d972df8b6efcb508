// SPDX-License-Identifier: GPL-2.0-only

/// An input that is no TAP.
public struct KTAPError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name of the input, as a reader of the message knows it.
  public let file: String
  /// The number of the line, from 1; nil where it is the input as a whole.
  public let line: Int?
  /// What is wrong, and what was expected.
  public let message: String

  public var description: String { "\(file)\(line.map { ":\($0)" } ?? ""): \(message)" }
}

/// What a file of TAP or KTAP says: its streams, one after the other.
public struct KTAPDocument: Hashable, Sendable {
  /// The name of the input.
  public let file: String
  /// The streams; at least one.
  public let streams: [KTAPStream]

  /// Whether all of it is whole and nothing failed.
  public var isSuccess: Bool { streams.allSatisfy(\.isSuccess) }
}

/// Reads TAP 12 to 14 and KTAP, flat and nested in all ways that Linux's tests use: by indentation of any width, with version
/// lines, plans and `# Subtest` lines inside or without, and by kselftest's comment signs. It takes logs as they are: of dmesg,
/// of a console, with lines of others in between.
///
/// What is missing or contradicts itself is part of the result: a suite without its result line, a plan that is not fulfilled,
/// numbers and totals that are wrong.
public struct KTAPReader {
  private let file: String
  private var finished: [KTAPStream] = []
  /// The streams that lines can still be added to, each at a higher column than the one before.
  private var open: [KTAPStream] = []
  /// Names that belong to the next streams that start at their columns or right of these, each right of the one before.
  private var pending: [(column: Int, name: String)] = []
  private var remarks = KTAPRemarks()
  private var line = 0

  private init(file: String) { self.file = file }

  /// Reads a text.
  ///
  /// - Parameter file: what errors call it.
  /// - Throws: where there is no TAP in it, or none that can be read.
  public static func read(_ bytes: [UInt8], file: String) throws(KTAPError) -> KTAPDocument {
    var reader = KTAPReader(file: file)
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      reader.line += 1
      try reader.read(KTAPLog.clean(line))
    }
    reader.finishAll()
    if reader.finished.isEmpty {
      throw KTAPError(
        file: file, line: nil,
        message: "no TAP in \(reader.line) lines; expected a version line, a plan or results")
    }
    return KTAPDocument(file: file, streams: reader.finished)
  }

  /// As above, of a text.
  public static func read(_ text: String, file: String = "text") throws(KTAPError) -> KTAPDocument {
    try read(Array(text.utf8), file: file)
  }

  // MARK: Lines

  private mutating func read(_ clean: KTAPLog.Line) throws(KTAPError) {
    let text = versionBehindNoise(clean.text)
    if remarks.takeBlock(text, column: open.last?.column) { return attachBlock() }
    let found: (column: Int, line: TAPLine)
    do { found = try TAPLine.read(text) } catch {
      throw KTAPError(file: file, line: line, message: error.message)
    }
    if !clean.isUTF8, found.line.isWritten {
      throw KTAPError(file: file, line: line, message: "expected UTF-8, found other bytes in '\(text)'")
    }
    read(found.line, at: found.column)
    if !clean.interruption.isEmpty {
      if found.line.isWritten { addProblem("line \(line): a line of the kernel runs into this one") }
      remarks.add(log: clean.interruption)
    }
  }

  private mutating func read(_ found: TAPLine, at column: Int) {
    switch found {
    case .version(let version): startStream(at: column) { $0.version = version }
    case .plan(let plan, let remark): readPlan(plan, remark, at: column)
    case .result(let result): readResult(result, at: column)
    case .bailOut(let reason):
      enter(column)
      edit { $0.bailOut = reason }
    case .subtest(let name):
      pending.removeAll { $0.column >= column }
      pending.append((column, name))
    case .proveFile(let name, let reason): startProveFile(name, reason)
    case .program(let name): startProgram(name, at: column)
    case .tally(let tally): check(tally, at: column)
    case .comment(let text):
      if remarks.isAboutLastFailure(text) { return attach(comments: [text]) }
      remarks.add(comment: text)
    case .other(let text):
      // Prove says so of each program that failed; it matters where nothing else shows it.
      if text.hasPrefix("Dubious, test returned "), open.first?.isSuccess == true {
        addProblem("line \(line): \(text)")
      }
      if !text.isEmpty { remarks.add(log: text) }
    }
  }

  /// Firmware ends its output without a new line: the version line that starts it all may stand behind that.
  private func versionBehindNoise(_ text: String) -> Substring {
    guard open.isEmpty, !text.hasPrefix("#"), let last = text.last, last.isWholeNumber else {
      return text[...]
    }
    let words = text.split(separator: " ")
    guard words.count > 3, words[words.count - 2] == "version" else { return text[...] }
    let kind = words[words.count - 3]
    guard kind.hasSuffix("TAP") else { return text[...] }
    return "\(kind.hasSuffix("KTAP") ? "KTAP" : "TAP") version \(words[words.count - 1])"[...]
  }

  private mutating func readPlan(_ plan: Int, _ remark: String, at column: Int) {
    enter(column)
    if open.count == 1, open[0].plan != nil { startStream(at: column) { _ in } }
    let line = line
    edit {
      if $0.plan != nil { return $0.problems.append("line \(line): a second plan, of \(plan)") }
      $0.plan = plan
      $0.planRemark = remark
      if $0.results.count > plan {
        $0.problems.append(
          "line \(line): the plan announces \(plan) results, and there are \($0.results.count)")
      }
    }
  }

  private mutating func readResult(_ found: TAPResultLine, at column: Int) {
    // An indented line without number and with no stream that it could belong to is prose.
    if found.number == nil, column > 0, !open.contains(where: { $0.column == column }) {
      return remarks.add(log: "\(found.isOK ? "ok" : "not ok") \(found.name)")
    }
    // Behind the results, prove says so once more.
    if found.number == nil, found.name.isEmpty, let last = open.last, last.results.count == last.plan {
      return
    }
    let children = enter(column, result: found)
    pending.removeAll { $0.column >= column }
    var result = KTAPResult(
      number: found.number, isOK: found.isOK, name: found.name, directive: found.directive,
      children: children,
      line: line)
    if !found.remark.isEmpty { remarks.add(comment: found.remark) }
    remarks.move(to: &result)
    edit { $0.append(result) }
  }

  // MARK: Streams

  /// Changes the innermost stream.
  private mutating func edit(_ change: (inout KTAPStream) -> Void) {
    guard !open.isEmpty else { return }
    change(&open[open.count - 1])
  }

  private mutating func addProblem(_ problem: String) {
    if open.isEmpty { enter(0) }
    edit { $0.problems.append(problem) }
  }

  /// Makes the stream at a column the innermost one; starts it where there is none.
  ///
  /// - Returns: with a result that is to be added, the stream right of it, which the result sums up. Without, that one
  ///   ends without a result.
  @discardableResult
  private mutating func enter(_ column: Int, result: TAPResultLine? = nil) -> KTAPStream? {
    let deeper = fold(downTo: column)
    if open.last?.column != column {
      let name = takeName(leftOf: column) ?? takeName(at: column, before: result)
      open.append(KTAPStream(column: column, line: line, name: name))
    } else if let last = open.last, last.name == nil, last.plan == nil, last.results.isEmpty {
      let name = takeName(at: column, before: result)
      edit { $0.name = name }
    }
    guard let deeper else { return nil }
    if result != nil { return deeper.isEmpty ? nil : deeper }
    abandon(deeper)
    return nil
  }

  /// The name that stands before a stream, in the lines of the one that it is in.
  private mutating func takeName(leftOf column: Int) -> String? {
    guard let index = pending.lastIndex(where: { $0.column < column }) else { return nil }
    return pending.remove(at: index).name
  }

  /// The name that stands among a stream's own lines; one that a result has is the result's.
  private mutating func takeName(at column: Int, before result: TAPResultLine? = nil) -> String? {
    guard let index = pending.lastIndex(where: { $0.column == column }), pending[index].name != result?.name
    else {
      return nil
    }
    return pending.remove(at: index).name
  }

  /// Takes the streams right of a column away and makes them one: each that is without result becomes a failure of the one that
  /// it is in.
  private mutating func fold(downTo column: Int) -> KTAPStream? {
    var folded: KTAPStream?
    while let last = open.last, last.column > column {
      open.removeLast()
      guard let inner = folded else {
        folded = last
        if last.name == nil { folded?.name = takeName(at: last.column) }
        continue
      }
      var outer = last
      if outer.isEmpty {
        folded?.name = outer.name ?? inner.name
      } else {
        outer.append(unfinished(inner, number: outer.nextNumber))
        folded = outer
      }
    }
    return folded
  }

  /// The result that a stream should have had.
  private mutating func unfinished(_ stream: KTAPStream, number: Int) -> KTAPResult {
    var result = KTAPResult(
      number: number, isOK: false, name: stream.name ?? "", directive: KTAPDirective(.error),
      children: stream.isEmpty ? nil : stream, line: line)
    remarks.move(to: &result)
    let place = "which starts at line \(stream.line)"
    result.comments.append(
      "there is no result of '\(stream.name ?? "a stream")', \(place), up to line \(line)")
    return result
  }

  /// Adds a stream without result to the innermost one.
  private mutating func abandon(_ stream: KTAPStream) {
    let result = unfinished(stream, number: open.last?.nextNumber ?? 1)
    edit { $0.append(result) }
  }

  /// Starts a stream where another of its column may have ended.
  private mutating func startStream(at column: Int, _ change: (inout KTAPStream) -> Void) {
    if let first = open.first, column < first.column { finishAll() }
    enter(column)
    if let last = open.last, last.version != nil || last.plan != nil || !last.results.isEmpty {
      if open.count == 1 {
        finishAll()
      } else {
        open.removeLast()
        abandon(last)
      }
      enter(column)
    }
    edit(change)
  }

  private mutating func startProgram(_ name: String, at column: Int) {
    enter(column)
    open.append(KTAPStream(column: column + 2, line: line, name: name))
  }

  private mutating func startProveFile(_ name: String, _ skipReason: String?) {
    finishAll()
    open.append(KTAPStream(column: 0, line: line, name: name))
    guard let skipReason else { return }
    edit {
      $0.plan = 0
      $0.planRemark = skipReason
    }
  }

  /// Ends the outermost stream, and all in it.
  private mutating func finishAll() {
    guard let first = open.first else { return }
    let deeper = fold(downTo: first.column)
    if open[0].name == nil, open[0].results.isEmpty { open[0].name = takeName(at: first.column) }
    if let deeper { abandon(deeper) }
    pending = []
    var root = open.removeFirst()
    if root.plan == nil, root.results.isEmpty, root.bailOut == nil {
      root.problems.append("line \(root.line): there is neither a plan nor a result")
    }
    if root.column > 0, root.name != nil {
      // It is a suite's, and the line that sums it up is missing.
      var outer = KTAPStream(column: 0, line: root.line)
      outer.append(unfinished(root, number: 1))
      root = outer
    }
    finished.append(root)
    remarks = KTAPRemarks()
  }

  // MARK: Remarks

  private mutating func check(_ tally: KTAPTally, at column: Int) {
    let index =
      tally.isKUnits
      ? open.firstIndex { $0.column > column } : open.firstIndex { $0.column == column }
    guard let index else { return }
    let stream = open[index]
    let outcomes = tally.countsLeaves ? stream.leafOutcomes : stream.results.map(\.outcome)
    if let contradiction = tally.contradiction(outcomes) {
      open[index].problems.append("line \(line): \(contradiction)")
    }
  }

  /// Adds comments to the result before.
  private mutating func attach(comments: [String]) {
    edit {
      guard !$0.results.isEmpty else { return }
      $0.results[$0.results.count - 1].comments += comments
    }
  }

  private mutating func attachBlock() {
    if let block = remarks.finishedBlock() { attach(comments: block) }
  }
}

extension KTAPStream {
  /// The number of the next result.
  fileprivate var nextNumber: Int { (results.last.flatMap(\.number) ?? results.count) &+ 1 }
}

extension TAPLine {
  /// Whether a test wrote it, and it cannot be noise.
  fileprivate var isWritten: Bool {
    switch self {
    case .version, .plan, .result, .bailOut, .subtest, .program, .tally: true
    case .comment, .other, .proveFile: false
    }
  }
}
