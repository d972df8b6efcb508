// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// The tests that map and unmap on a running kernel: `kernel.MAPPER.THEME.CASE`.
public enum MapperTests {
  /// All of them, those of the given kinds.
  public static func all(kinds: [MapperKind] = MapperKind.allCases) -> [KernelTest] {
    suites.filter { kinds.contains($0.kind) }.flatMap(tests)
  }

  static let suites: [MapperSuite] = [.vfio, .module]

  static func tests(_ suite: MapperSuite) -> [KernelTest] {
    SemanticsTests.all(suite) + ApertureTests.all(suite) + LeafTests.all(suite)
      + (suite.openDevice == nil ? [] : DMATests.all(suite))
  }
}
