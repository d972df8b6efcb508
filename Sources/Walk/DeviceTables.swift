// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// What an IOMMU does with the DMA of a device.
public enum TranslationMode: Hashable, Sendable, CustomStringConvertible {
  /// It walks the tables.
  case translated
  /// It lets all DMA through untranslated.
  case passThrough
  /// It refuses all DMA.
  case blocked
  /// It translates in a way that is not walked here, or that its structures do not allow: why.
  case notWalked(String)

  public var description: String {
    switch self {
    case .translated: "translated"
    case .passThrough: "pass-through"
    case .blocked: "blocked"
    case .notWalked(let why): "not walked (\(why))"
    }
  }
}

/// The translation of one device, or of one address space of it, as the IOMMU's structures say.
public struct DeviceTables: Sendable {
  /// The requester ID, stream ID or device ID: bus, device and function of a PCI device in 16 bits.
  public var id: UInt32
  /// The PASID, substream ID or process ID; nil for requests without one.
  public var process: UInt32?
  public var mode: TranslationMode
  /// Which tables: `second stage`, `host tables`, `stage 1`, ….
  public var stage: String
  /// The domain's name and number, for example `DID 2`.
  public var domain: String
  /// Where a walk starts; nil unless translated.
  public var root: TableRoot?
  /// The formats that the structures allow; they differ in what only software chooses. The first is the likeliest.
  public var formats: [Configuration]
  /// The structures that say all this, from the first one.
  public var structures: [Structure]
  /// What the structures above the root grant.
  public var rights: PathRights
  /// What else a reader should know.
  public var notes: [String]

  public init(
    id: UInt32, process: UInt32? = nil, mode: TranslationMode, stage: String = "", domain: String = "",
    root: TableRoot? = nil, formats: [Configuration] = [], structures: [Structure] = [],
    rights: PathRights = .all,
    notes: [String] = []
  ) {
    self.id = id
    self.process = process
    self.mode = mode
    self.stage = stage
    self.domain = domain
    self.root = root
    self.formats = formats
    self.structures = structures
    self.rights = rights
    self.notes = notes
  }

  /// The device in text: `00:04.0`, or `0x12345` where an ID has more than 16 bits; with its process, if any.
  public var name: String { Self.name(id) + (process.map { ".pasid\($0)" } ?? "") }

  /// A device ID in text.
  public static func name(_ id: UInt32) -> String {
    guard id <= 0xffff else { return Numbers.hex(UInt64(id)) }
    func hex(_ value: UInt32) -> String { (value < 16 ? "0" : "") + String(value, radix: 16) }
    return "\(hex(id >> 8)):\(hex((id >> 3) & 0x1f)).\(id & 7)"
  }

  /// Reads a device ID: `00:04.0`, `0000:00:04.0` or a number; nil for anything else.
  public static func id(_ text: String) -> UInt32? {
    if let number = Numbers.parse(text) { return UInt32(exactly: number) }
    var parts = text.split(separator: ":", omittingEmptySubsequences: false)
    if parts.count == 3, let segment = UInt32(parts[0], radix: 16), segment == 0 { parts.removeFirst() }
    guard parts.count == 2, let bus = UInt32(parts[0], radix: 16), bus <= 0xff else { return nil }
    let slot = parts[1].split(separator: ".", omittingEmptySubsequences: false)
    guard slot.count == 2, let device = UInt32(slot[0], radix: 16), device <= 0x1f,
      let function = UInt32(slot[1], radix: 16), function <= 7
    else { return nil }
    return bus << 8 | device << 3 | function
  }
}

/// What an IOMMU's registers and structures say of all devices.
public struct IOMMUState: Sendable {
  public var kind: IOMMUKind
  /// What the registers say, a line each.
  public var facts: [String] = []
  /// The devices that have structures of their own, by ID and process.
  public var devices: [DeviceTables] = []
  /// How many more entries of the device tables say what: they are too many and too alike to list.
  public var others: [(text: String, count: Int)] = []
  /// What is wrong with registers and structures.
  public var findings: [Finding] = []

  /// The translations of a device, by process.
  public func tables(of id: UInt32) -> [DeviceTables] { devices.filter { $0.id == id } }
}
