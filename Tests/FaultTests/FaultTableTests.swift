// SPDX-License-Identifier: GPL-2.0-only

import Testing

/// Which check saw which fault.
struct FaultRow: Sendable {
  let fault: SeededFault
  /// What each check that applies found; nil for nothing.
  let findings: [FaultCheck: String?]

  /// `yes` for a check that saw it, `no` for one that did not, `–` for one that is not for such code.
  func mark(_ check: FaultCheck) -> String {
    guard let finding = findings[check] else { return "–" }
    return finding == nil ? "no" : "**yes**"
  }

  var isCaught: Bool { findings.values.contains { $0 != nil } }

  static func run(_ fault: SeededFault) throws -> FaultRow {
    let implementation = try Implementation(fault)
    var findings: [FaultCheck: String?] = [:]
    for check in FaultCheck.allCases where check.applies(to: fault.code) {
      findings[check] = .some(try check.finding(implementation))
    }
    return FaultRow(fault: fault, findings: findings)
  }
}

@Suite("seeded faults")
struct FaultTableTests {
  @Test("each is caught, by the checks that docs/faults.md names")
  func table() async throws {
    let rows = try await withThrowingTaskGroup(of: (Int, FaultRow).self) { group in
      for (index, fault) in SeededFault.all.enumerated() {
        group.addTask { (index, try FaultRow.run(fault)) }
      }
      return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
    for row in rows { #expect(row.isCaught, "\(row.fault.name) survives") }
    #expect(try FaultPage(rows).settle() == nil, "run with PTKIT_REWRITE_FAULTS=1 if that is right")
    // The other part of the page is written after this one.
    let example = FaultPage("example", lines: try Comparisons.example("amdv2-dirty-tables"))
    #expect(try example.settle() == nil, "run with PTKIT_REWRITE_FAULTS=1 if that is right")
  }

  @Test("sound implementations are not caught", arguments: Self.sound)
  func healthy(configuration: String, code: Code) throws {
    let implementation = try Implementation(configuration, code, fault: nil)
    for check in FaultCheck.allCases where check.applies(to: code) {
      let found = try check.finding(implementation)
      #expect(found == nil, "\(check.rawValue)")
    }
  }

  /// Where faults are planted.
  private static let sound: [(String, Code)] = {
    var seen: Set<String> = []
    return SeededFault.all.filter { seen.insert("\($0.configuration) \($0.code)").inserted }
      .map { ($0.configuration, $0.code) }
  }()

  @Test("there are many, with names of their own")
  func list() {
    #expect(SeededFault.all.count >= 45)
    #expect(Set(SeededFault.all.map(\.name)).count == SeededFault.all.count)
    #expect(SeededFault.all.filter { !$0.history.isEmpty }.count >= 20)
  }
}
