// SPDX-License-Identifier: GPL-2.0-only

/// One virtual machine that the lab can boot.
public struct LabRow: Hashable, Sendable {
  /// How tests map memory in it.
  public enum Mapper: String, Hashable, Sendable, CaseIterable {
    /// By VFIO in the guest.
    case vfio
    /// By the kit's own kernel module (lab/module).
    case module
  }

  /// Tests that are not run.
  public struct Skip: Hashable, Sendable {
    public var names: String
    public var reason: String
  }

  /// One word of a test's name.
  public var name: String
  /// One line for a reader.
  public var about = ""
  /// Debian's name of the architecture: amd64, arm64 or riscv64.
  public var architecture = ""
  /// The kernel's version, for example 7.2.
  public var kernel = ""
  /// QEMU's version, for example 11.1.
  public var emulator = ""
  /// The emulator's program.
  public var program = ""
  /// Options of QEMU, those of the architecture first.
  public var options: [String] = []
  /// Words of the kernel's command line.
  public var words: [String] = []
  /// The kind of IOMMU, as `ptkit walk --iommu` names it.
  public var iommu = ""
  /// How the text of the tables' format begins, for example `armv8:stage=2`: what the row is there for.
  public var tables = ""
  public var mapper = Mapper.vfio
  /// The PCI device whose page table is tested, for example 0000:00:04.0.
  public var device = ""
  /// A program of the lab's folder that makes an archive which the kernel reads before the others; empty for none.
  public var firmware = ""
  /// Tests that the machine cannot pass, by the beginnings of their names, and why.
  public var skips: [Skip] = []
  /// Whether it runs where no rows are named.
  public var isDefault = false
}

/// A line of a file of rows that cannot be used.
public struct LabRowError: Error, Hashable, Sendable, CustomStringConvertible {
  public let file: String
  /// From 1.
  public let line: Int
  public let message: String

  public var description: String { "\(file):\(line): \(message)" }
}
