// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// The kernel's own entries, where Intel's driver prints them (CONFIG_INTEL_IOMMU_DEBUGFS): each is compared with the reference.
enum DebugfsTests {
  static func all(_ suite: MapperSuite, _ options: MapperTestOptions) -> [KernelTest] {
    [
      suite.contextTest("debugfs.entries") { context in
        guard let reference = options.reference else {
          return .skip(.kernel, detail: "there is no reference to compare with")
        }
        return try entries(suite, context, DebugfsComparison(reference: reference))
      }
    ]
  }

  private static func entries(
    _ suite: MapperSuite, _ context: KernelContext, _ comparison: DebugfsComparison
  ) throws -> KernelOutcome {
    let device = try suite.device(context)
    let machine = context.machine
    try context.mountDebugfs()
    guard let path = DebugfsTranslations.paths(of: device).first(where: machine.isThere) else {
      throw KernelSkip(
        .file,
        "there is no \(DebugfsTranslations.paths(of: device)[0]): CONFIG_INTEL_IOMMU_DEBUGFS is off, "
          + "debugfs is not mounted, or the IOMMU is not Intel's")
    }
    var outcome = KernelOutcome.pass(details: [])
    HeldMappings.reserveLargePages(context)
    let mapper = try suite.open(context)
    defer { mapper.close() }
    try HeldMappings.hold(with: mapper, scattered: 256) { mappings in
      let printed = try DebugfsTranslations(machine.text(of: path), device: device)
      guard printed.isThere else { throw KernelFailure("\(path) says nothing of \(device)") }
      let stage = try? machine.text(of: "/sys/kernel/debug/iommu/intel/dmar_translation_struct")
      let isFirst = stage.flatMap { DebugfsStage.isFirst($0, device: device) }
      let found = try comparison.differences(printed.lines, mappings, isFirstStage: isFirst)
      let text = "\(printed.lines.count) leaves compared, as \(found.configuration)"
      outcome =
        found.count == 0
        ? .pass(details: [text]) : .fail(details: [text, "\(found.count) differences"] + found.texts)
    } empty: { _ in
      let printed = try DebugfsTranslations(machine.text(of: path), device: device)
      if let line = printed.lines.first {
        outcome = .fail(details: ["IOVA \(Numbers.hex(line.iova)) is in the tables after all was unmapped"])
      }
    }
    return outcome
  }
}
