// SPDX-License-Identifier: GPL-2.0-only

import Reference
import Yams

/// Reads a specification file.
struct SpecReader {
  private let root: SpecNode

  /// - Throws: `SpecError` when the text is not YAML.
  init(yaml: String, file: String) throws {
    let composed: Node?
    do {
      composed = try Yams.compose(yaml: yaml)
    } catch let error as YamlError {
      throw Self.located(error, file)
    }
    guard let composed else { throw SpecError(file: file, line: 0, "expected a format, found nothing") }
    root = SpecNode(node: composed, file: file)
  }

  private static func located(_ error: YamlError, _ file: String) -> SpecError {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      SpecError(file: file, line: mark.line, problem)
    case .duplicatedKeysInMapping(let keys, let context):
      SpecError(
        file: file, line: context.mark.line, "keys given twice: \(keys.sorted().joined(separator: ", "))")
    default:
      SpecError(file: file, line: 0, "\(error)")
    }
  }

  /// The whole specification.
  func format() throws -> FormatSpec {
    let map = try root.mapping(
      "a format",
      known: [
        "format", "title", "manual", "word", "let", "input", "root", "output", "levels", "absent", "entries",
        "refuse", "faults", "keys", "tests",
      ])
    let word = try map.required("word")
    let wordBits = try word.number("'word', the bits of a table word")
    guard wordBits == 32 || wordBits == 64 else {
      throw word.error("expected 32 or 64 bits, found \(wordBits)")
    }
    let output = try map.required("output").mapping("'output'", known: ["width", "section"])
    var format = FormatSpec(
      file: root.file, format: try map.required("format").text("the format's name"),
      title: try map.required("title").text("a title"), manual: try map.required("manual").text("the manual"),
      wordBits: wordBits, definitions: try definitions(map["let"]), input: try input(map.required("input")),
      root: try top(map.required("root")), outputWidth: try output.required("width").expression("'width'"),
      levels: try map.required("levels").list("'levels'").map(level),
      absent: try absent(map.required("absent")),
      entries: try map.required("entries").list("'entries'").map { try EntryReader(node: $0).entry() },
      refusals: try map["refuse"]?.list("'refuse'").map(refusal) ?? [],
      faults: try map.required("faults").pairs("'faults'").map { try fault($0.key, $0.value) })
    try KeyReader.read(keys: map["keys"], tests: map["tests"], into: &format)
    return format
  }

  private func definitions(_ node: SpecNode?) throws -> [DefinitionSpec] {
    try node?.pairs("'let'").map {
      DefinitionSpec(name: $0.key, value: try $0.value.expression("the value of '\($0.key)'"))
    } ?? []
  }

  private func input(_ node: SpecNode) throws -> InputSpec {
    let map = try node.mapping("'input'", known: ["width", "sign_extended", "upper_ones", "section"])
    return InputSpec(
      width: try map.required("width").expression("'width'"),
      signExtended: try map.expression("sign_extended", default: 0),
      upperOnes: try map.expression("upper_ones", default: 0), section: try map.text("section"))
  }

  private func top(_ node: SpecNode) throws -> RootSpec {
    let map = try node.mapping("'root'", known: ["level", "highest", "high", "select", "section"])
    let level = try map.required("level").expression("'level'")
    return RootSpec(
      level: level, highest: try map["highest"]?.expression("'highest'") ?? level,
      indexHigh: try map["high"]?.expression("'high'") ?? SpecExpression(.name("high"), line: node.line),
      select: try map["select"]?.bits("'select'"), section: try map.text("section"))
  }

  private func level(_ node: SpecNode) throws -> LevelSpec {
    let map = try node.mapping("a level", known: ["level", "name", "index", "when"])
    return LevelSpec(
      level: try map.required("level").number("'level'"), name: try map.required("name").text("'name'"),
      index: try map.required("index").bits("'index'"), when: try map.expression("when", default: 1),
      line: node.line)
  }

  private func absent(_ node: SpecNode) throws -> AbsentSpec {
    let map = try node.mapping("'absent'", known: ["bits", "value", "text", "section"])
    return AbsentSpec(
      bits: try map.required("bits").bits("'bits'"), value: try map.expression("value", default: 0),
      text: try map.text("text"), section: try map.text("section"))
  }

  private func refusal(_ node: SpecNode) throws -> RefusalSpec {
    let map = try node.mapping("a refusal", known: ["when", "why"])
    return RefusalSpec(
      when: try map.required("when").expression("'when'"), why: try map.required("why").text("'why'"))
  }

  private func fault(_ key: String, _ node: SpecNode) throws -> FaultSpec {
    let map = try node.mapping("the fault '\(key)'", known: ["name", "code", "write", "text", "section"])
    let name = try map.required("name").text("'name'")
    let code = try map.required("code").number("'code'")
    let write = try map["write"]?.mapping("'write' of the fault '\(key)'", known: ["name", "code"])
    return FaultSpec(
      key: key, name: name, code: code, writeName: try write?["name"]?.text("'name'") ?? name,
      writeCode: try write?["code"]?.number("'code'") ?? code, text: try map.required("text").text("'text'"),
      section: try map.text("section"), line: node.line)
  }
}
