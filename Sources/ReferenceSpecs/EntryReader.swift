// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// Reads one element of `entries`.
struct EntryReader {
  let node: SpecNode

  private static let flags = ["read", "write"] + Protection.namedFlags.map(\.name)

  func entry() throws -> EntrySpec {
    let map = try node.mapping(
      "an entry",
      known: [
        "name", "kind", "levels", "when", "each", "size", "offered", "words", "child", "fields", "protection",
        "dirty", "accessed", "checks", "section",
      ])
    let kind: EntrySpec.Kind = try map.required("kind").choice("'kind'")
    let levels = try map.required("levels").range("'levels'")
    let section = try map.text("section")
    let shift = SpecExpression(.name("shift"), line: node.line)
    let below = SpecExpression(.binary(.subtract, .name("level"), .number(1)), line: node.line)
    return EntrySpec(
      name: try map.required("name").text("'name'"), kind: kind, firstLevel: levels.from,
      lastLevel: levels.through, when: try map.expression("when", default: 1), each: try each(map["each"]),
      size: try map["size"]?.expression("'size'") ?? shift,
      offered: try map.expression("offered", default: 1),
      words: try map["words"]?.choice("'words'") ?? .identical,
      child: try map["child"]?.expression("'child'") ?? below,
      fields: try map.required("fields").list("'fields'").map { try field($0, section: section) },
      protection: try protection(map["protection"], kind),
      dirty: try map["dirty"]?.expression("'dirty'"), accessed: try map["accessed"]?.expression("'accessed'"),
      checks: try map["checks"]?.list("'checks'").map(check) ?? [], section: section, line: node.line)
  }

  private func each(_ node: SpecNode?) throws -> EntrySpec.Each? {
    guard let node else { return nil }
    let pairs = try node.pairs("'each'")
    guard let pair = pairs.first, pairs.count == 1 else {
      throw node.error("expected one variable in 'each', found \(pairs.count)")
    }
    let range = try pair.value.range("the values of '\(pair.key)'")
    return EntrySpec.Each(name: pair.key, from: range.from, through: range.through)
  }

  private func protection(_ node: SpecNode?, _ kind: EntrySpec.Kind) throws -> [ConditionSpec] {
    let map = try node?.mapping("'protection'", known: Self.flags)
    if kind == .leaf, map?["read"] == nil || map?["write"] == nil {
      throw (node ?? self.node).error("a leaf's 'protection' says when it grants read and write")
    }
    return try Self.flags.compactMap { flag in
      try map?[flag].map { ConditionSpec(name: flag, when: try $0.expression("'\(flag)'")) }
    }
  }

  private func check(_ node: SpecNode) throws -> CheckSpec {
    let map = try node.mapping("a check", known: ["when", "access", "fault", "why"])
    return CheckSpec(
      when: try map.required("when").expression("'when'"),
      access: try map["access"]?.choice("'access'") ?? .any,
      fault: try map.required("fault").text("'fault'"), why: try map.required("why").text("'why'"))
  }

  private func field(_ node: SpecNode, section: String) throws -> FieldSpec {
    let map = try node.mapping(
      "a field",
      known: [
        "bits", "name", "role", "when", "value", "address", "encode", "updated", "text", "values", "section",
      ])
    let role: FieldSpec.Role = try map["role"]?.choice("'role'") ?? .used
    for key in ["value", "address", "encode"] where role != .used && map[key] != nil {
      throw node.error("a field with the role \(role.rawValue) has no '\(key)'")
    }
    let own = try map.text("section")
    return FieldSpec(
      name: try map.required("name").text("'name'"), bits: try map.required("bits").bits("'bits'"),
      role: role,
      when: try map.expression("when", default: 1), fixed: try map["value"]?.expression("'value'"),
      address: try map["address"]?.expression("'address'"), encode: try map["encode"]?.expression("'encode'"),
      updated: try map.expression("updated", default: 0), text: try map.text("text"),
      meanings: try map["values"]?.pairs("'values'").map { pair in
        FieldSpec.Meaning(
          value: SpecExpression(
            try Expression(pair.key, file: node.file, line: pair.keyLine), line: pair.keyLine),
          text: try pair.value.text("the meaning of \(pair.key)"))
      } ?? [], section: own.isEmpty ? section : own, line: node.line)
  }
}
