// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

extension LibraryProcess {
  /// Checks the golden vectors that standard input names, a line each, after the library and the files.
  public static func golden(_ specifications: SpecificationLibrary) throws {
    var path = ""
    var divergences = Divergences()
    var plan = GoldenPlan()
    var wanted: Set<String> = []
    while let line = readLine() {
      let fields = Fields.read(line.utf8)
      guard fields.count == 2 else { continue }
      switch fields[0] {
      case "library": path = fields[1]
      case "divergences": divergences = try Divergences(contentsOf: fields[1])
      case "file": plan.add(path: fields[1], environment: .kit(specifications))
      default: wanted.insert(fields[1])
      }
    }
    guard let calls = takeCalls(), let library = load(path, calls) else { return }
    let target = LibraryFactory(name: "lib:\(path)", library, calls: calls, specifications)
    let checker = GoldenChecker(
      environment: target.golden(.kit(specifications)), divergences: divergences)
    for var group in plan.groups {
      group.items = group.items.filter { wanted.contains($0.name) }
      guard !group.items.isEmpty else { continue }
      _ = checker.check(group) { report in
        Fields.write(report.fields, to: stream)
        Fields.write(["start"], to: stream)
      }
    }
    Fields.write(["finished"], to: stream)
  }
}
