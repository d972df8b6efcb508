// SPDX-License-Identifier: GPL-2.0-only

import Machine
import Reference

/// What may be said about the tests that map and unmap.
public struct MapperTestOptions: Sendable {
  /// The ways into a page table to test.
  public var kinds: [MapperKind]
  /// Bytes of IOVA that iova_stress goes through.
  public var stressSpace: UInt64
  /// The most pages of empty tables that may stay after unmaps; nil where nothing is promised, as by Linux today. The bound test of
  /// iova_stress takes 64 then, and fails.
  public var emptyTableBound: Int?
  /// Makes the reference of a configuration, for example `vtdss:va=57,level=4`, with which entries are compared; nil skips that.
  public var reference: (@Sendable (_ configuration: String) throws -> ReferenceFormat)?

  public init(
    kinds: [MapperKind] = MapperKind.allCases, stressSpace: UInt64 = 1 << 40, emptyTableBound: Int? = nil,
    reference: (@Sendable (_ configuration: String) throws -> ReferenceFormat)? = nil
  ) {
    self.kinds = kinds
    self.stressSpace = stressSpace
    self.emptyTableBound = emptyTableBound
    self.reference = reference
  }
}

/// The tests that map and unmap on a running kernel: `kernel.MAPPER.THEME.CASE`.
public enum MapperTests {
  /// All of them.
  public static func all(_ options: MapperTestOptions = MapperTestOptions()) -> [KernelTest] {
    suites.filter { options.kinds.contains($0.kind) }.flatMap { tests($0, options) }
  }

  static let suites: [MapperSuite] = [.vfio, .iommufd, .mock, .module]

  static func tests(_ suite: MapperSuite, _ options: MapperTestOptions) -> [KernelTest] {
    var tests = SemanticsTests.all(suite) + ApertureTests.all(suite) + LeafTests.all(suite)
    if suite.kind == .iommufd || suite.kind == .mock { tests += IOMMUFDTests.all(suite) }
    // The mock's tables are no tables of an IOMMU, and its device none.
    guard suite.kind != .mock else { return tests }
    return tests + DMATests.all(suite) + AccountingTests.all(suite, options)
      + IOVAStressKernelTests.all(suite, options) + DebugfsTests.all(suite, options)
  }
}
