// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import TAP

/// A file of rows: stanzas of an architecture or of a row, of lines with a key and a value.
public struct LabRows: Hashable, Sendable {
  public private(set) var rows: [LabRow] = []

  /// What all machines of an architecture have in common.
  private struct Architecture: Hashable {
    var program = ""
    var options: [String] = []
    var words: [String] = []
  }

  /// Where the lines of a stanza go.
  private enum Stanza {
    case none
    case architecture(String)
    case row(Int)
  }

  private static let keys = [
    "about", "machine", "kernel", "qemu", "options", "words", "iommu", "tables", "mapper", "device",
    "firmware",
    "skips",
  ]

  /// Reads the text of a file.
  public init(_ text: String, file: String) throws(LabRowError) {
    var architectures: [String: Architecture] = [:]
    var starts: [Int] = []
    var stanza = Stanza.none
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
      guard let key = words.first, !key.hasPrefix("#") else { continue }
      let values = Array(words.dropFirst())
      func fail(_ message: String) -> LabRowError {
        LabRowError(file: file, line: index + 1, message: message)
      }
      guard let value = values.first else { throw fail("expected a value after '\(key)'") }
      switch (key, stanza) {
      case ("architecture", _):
        guard values.count == 1, architectures[value] == nil else {
          throw fail("expected one new name of an architecture")
        }
        architectures[value] = Architecture()
        stanza = .architecture(value)
      case ("row", _):
        rows.append(try Self.newRow(values, among: rows, fail))
        starts.append(index + 1)
        stanza = .row(rows.count - 1)
      case ("program", .architecture(let name)): architectures[name]?.program = value
      case ("options", .architecture(let name)): architectures[name]?.options += values
      case ("words", .architecture(let name)): architectures[name]?.words += values
      case (_, .row(let row)):
        try Self.set(&rows[row], key, values, fail)
      default:
        throw fail("unknown key '\(key)'; here are known: architecture, row, program, options, words")
      }
    }
    for index in rows.indices {
      let row = rows[index]
      guard let common = architectures[row.architecture] else {
        throw LabRowError(
          file: file, line: starts[index],
          message: row.architecture.isEmpty
            ? "row \(row.name) has no machine"
            : "row \(row.name): there is no architecture '\(row.architecture)'")
      }
      if let missing = row.missing {
        throw LabRowError(file: file, line: starts[index], message: "row \(row.name) has no \(missing)")
      }
      rows[index].program = common.program
      rows[index].options = common.options + row.options
      rows[index].words = common.words + row.words
    }
  }

  private static func newRow(_ values: [String], among rows: [LabRow], _ fail: (String) -> LabRowError)
    throws(LabRowError) -> LabRow
  {
    guard let name = values.first, TAPName.isValid(name), !name.contains(".") else {
      throw fail("expected a name of letters, digits, '_' and '-', found '\(values.first ?? "")'")
    }
    guard !rows.contains(where: { $0.name == name }) else { throw fail("there already is a row '\(name)'") }
    var row = LabRow(name: name)
    for word in values.dropFirst() {
      guard word == "default" else {
        throw fail("expected 'default' or nothing after the name, found '\(word)'")
      }
      row.isDefault = true
    }
    return row
  }

  private static func set(
    _ row: inout LabRow, _ key: String, _ values: [String], _ fail: (String) -> LabRowError
  ) throws(LabRowError) {
    let value = values.first ?? ""
    switch key {
    case "about": row.about = values.joined(separator: " ")
    case "machine": row.architecture = value
    case "kernel": row.kernel = value
    case "qemu": row.emulator = value
    case "options": row.options += values
    case "words": row.words += values
    case "iommu":
      guard ["intel", "amd", "smmuv3", "riscv"].contains(value) else {
        throw fail("expected a kind of IOMMU, intel, amd, smmuv3 or riscv, found '\(value)'")
      }
      row.iommu = value
    case "mapper":
      guard let mapper = LabRow.Mapper(rawValue: value) else {
        throw fail("expected a mapper, vfio or module, found '\(value)'")
      }
      row.mapper = mapper
    case "tables": row.tables = value
    case "device": row.device = value
    case "firmware": row.firmware = value
    case "skips":
      guard values.count > 1 else { throw fail("expected skips NAMES REASON") }
      row.skips.append(LabRow.Skip(names: value, reason: values.dropFirst().joined(separator: " ")))
    default:
      throw fail(
        "unknown key '\(key)'\(Nearest.hint(key, in: keys)); a row has \(keys.joined(separator: ", "))")
    }
  }

  /// The rows of names, or those that run by default where there are none. `all` means all.
  ///
  /// - Returns: the rows, and the names that no row has.
  public func selection(_ names: [String]) -> (rows: [LabRow], unknown: [String]) {
    if names.isEmpty { return (rows.filter(\.isDefault), []) }
    let unknown = names.filter { name in name != "all" && !rows.contains { $0.name == name } }
    return (rows.filter { names.contains("all") || names.contains($0.name) }, unknown)
  }
}

extension LabRow {
  /// A key that every row must have and that this one has not.
  fileprivate var missing: String? {
    let values = [
      ("kernel", kernel), ("qemu", emulator), ("iommu", iommu), ("tables", tables), ("device", device),
    ]
    return values.first { $0.1.isEmpty }?.0
  }
}
