// SPDX-License-Identifier: GPL-2.0-only

/// A register of an IOMMU.
public struct IOMMURegister: Hashable, Sendable {
  /// The manual's name.
  public let name: String
  /// Where it is, in bytes from the start of the IOMMU's registers.
  public let offset: UInt64
  /// Its width in bytes, 4 or 8.
  public let byteCount: Int
  /// What a walk takes from it.
  public let summary: String
  /// What it holds where nobody has read it; nil for a register that no walk can do without.
  public let fallback: UInt64?

  init(_ name: String, _ offset: UInt64, _ byteCount: Int, _ summary: String, fallback: UInt64? = nil) {
    self.name = name
    self.offset = offset
    self.byteCount = byteCount
    self.summary = summary
    self.fallback = fallback
  }
}

/// The IOMMUs whose tables can be walked.
public enum IOMMUKind: String, Hashable, Sendable, CaseIterable {
  case intel
  case amd
  case smmuv3
  case riscv

  /// The name in text.
  public var title: String {
    switch self {
    case .intel: "Intel VT-d"
    case .amd: "AMD IOMMU"
    case .smmuv3: "Arm SMMUv3"
    case .riscv: "RISC-V IOMMU"
    }
  }

  /// The registers that a walk needs, by offset.
  public var registers: [IOMMURegister] {
    switch self {
    case .intel: Self.intelRegisters
    case .amd: Self.amdRegisters
    case .smmuv3: Self.smmuRegisters
    case .riscv: Self.riscvRegisters
    }
  }

  /// The physical address at which QEMU's usual machine has the registers: q35 (hw/i386/intel_iommu.c,
  /// amd_iommu.h), virt of Arm with iommu=smmuv3 (hw/arm/virt.c), virt of RISC-V with iommu-sys=on (hw/riscv/virt.c).
  public var qemuBase: UInt64 {
    switch self {
    case .intel: 0xfed9_0000
    case .amd: 0xfed8_0000
    case .smmuv3: 0x0905_0000
    case .riscv: 0x0301_0000
    }
  }

  // D51397, section 11.4.
  private static let intelRegisters = [
    IOMMURegister("CAP", 0x08, 8, "widths and leaf sizes"),
    IOMMURegister("ECAP", 0x10, 8, "coherence of walks, scalable mode"),
    IOMMURegister("GSTS", 0x1c, 4, "whether translation is enabled"),
    IOMMURegister("RTADDR", 0x20, 8, "root table and mode"),
  ]

  // 48882, section 3.4 (MMIO registers).
  private static let amdRegisters = [
    IOMMURegister("DEV_TABLE_BASE", 0x0000, 8, "device table and its size"),
    IOMMURegister("CONTROL", 0x0018, 8, "whether translation is enabled"),
    IOMMURegister("EXT_FEATURE", 0x0030, 8, "levels of tables, guest tables"),
  ]

  // IHI 0070, chapter 6.
  private static let smmuRegisters = [
    IOMMURegister("IDR0", 0x00, 4, "stages, formats, coherence of walks"),
    IOMMURegister("IDR1", 0x04, 4, "width of stream IDs"),
    IOMMURegister("IDR5", 0x14, 4, "granules, width of output addresses"),
    IOMMURegister("CR0", 0x20, 4, "whether the SMMU is enabled"),
    IOMMURegister("GBPA", 0x44, 4, "what a disabled SMMU does", fallback: 0),
    IOMMURegister("STRTAB_BASE", 0x80, 8, "stream table"),
    IOMMURegister("STRTAB_BASE_CFG", 0x88, 4, "form and size of the stream table"),
  ]

  // RISC-V IOMMU Architecture Specification, register map.
  private static let riscvRegisters = [
    IOMMURegister("CAPABILITIES", 0x00, 8, "formats of structures and tables"),
    IOMMURegister("FCTL", 0x08, 4, "endianness, GXL"),
    IOMMURegister("DDTP", 0x10, 8, "device directory table and its levels"),
  ]
}
