// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A driver's own code, as far as its behaviour differs from others'.
enum LegacyBehaviour: Hashable, Sendable {
  case amdv1
  case amdv2
  case vtd
  /// io-pgtable-arm: armv8, arm_lpae32, mali.
  case arm(splits: Bool)
  /// io-pgtable-arm-v7s.
  case armv7s(splits: Bool)
  case dart
  case riscv

  /// That of a configuration in the words of legacy code.
  init(_ configuration: Configuration) {
    let splits = configuration.text("era") == "6.12"
    switch configuration.format {
    case "amdv1": self = .amdv1
    case "x86_64": self = configuration.text("use") == "vtdfs" ? .vtd : .amdv2
    case "vtdss": self = .vtd
    case "riscv64": self = .riscv
    case "armv7s": self = .armv7s(splits: splits)
    case "dart": self = .dart
    default: self = .arm(splits: splits)
    }
  }

  /// Whether a leaf in the way of a map is refused with EEXIST.
  var refusesLeaves: Bool {
    switch self {
    case .arm, .armv7s, .dart: true
    case .amdv1, .amdv2, .vtd, .riscv: false
    }
  }

  var isARM: Bool {
    switch self {
    case .arm, .armv7s: true
    default: false
    }
  }

  /// Whether the driver tracks what devices write.
  var tracksDirty: Bool { self == .amdv1 }
}
