// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A mapping that should be in a device's tables.
public struct ExpectedMapping: Hashable, Sendable {
  /// The first IOVA and output address, and the length, in bytes.
  public var iova: UInt64
  public var physical: UInt64
  public var length: UInt64
  public var read: Bool
  public var write: Bool
  /// The other flags of the mapping; nil where they are not known: then all mappings must have the same.
  public var flags: Protection?

  public init(
    iova: UInt64, physical: UInt64, length: UInt64, read: Bool = true, write: Bool = true,
    flags: Protection? = nil
  ) {
    self.iova = iova
    self.physical = physical
    self.length = length
    self.read = read
    self.write = write
    self.flags = flags?.subtracting([.read, .write])
  }

  var last: UInt64 { iova &+ (length &- 1) }

  var access: Protection { Protection(read ? [.read] : []).union(write ? [.write] : []) }
}

/// A region in which the kernel may have mappings of its own, for example of MSI windows or firmware's memory.
public struct AllowedRegion: Hashable, Sendable {
  /// The first IOVA and the length, in bytes.
  public var iova: UInt64
  public var length: UInt64
  /// Whether what is mapped must be mapped to the same address.
  public var isIdentity: Bool

  public init(iova: UInt64, length: UInt64, isIdentity: Bool = false) {
    self.iova = iova
    self.length = length
    self.isIdentity = isIdentity
  }

  /// All addresses: what is mapped is taken as it is.
  public static let everywhere = AllowedRegion(iova: 0, length: .max)

  func contains(_ leaf: ScannedLeaf) -> Bool {
    if self == .everywhere { return true }
    return length > 0 && leaf.iova >= iova && leaf.last <= iova &+ (length &- 1) && leaf.last >= leaf.iova
  }
}

/// What the tables of some devices should hold.
public struct Expectations: Hashable, Sendable {
  /// By device ID; what stands before any `device` line has the key nil and concerns every device.
  public var mappings: [UInt32?: [ExpectedMapping]] = [:]
  public var allowed: [UInt32?: [AllowedRegion]] = [:]

  public init() {}

  /// The mappings and the regions of a device.
  public func of(_ id: UInt32) -> (mappings: [ExpectedMapping], allowed: [AllowedRegion]) {
    ((mappings[nil] ?? []) + (mappings[id] ?? []), (allowed[nil] ?? []) + (allowed[id] ?? []))
  }

  /// Reads lines of these forms; `#` begins a comment:
  ///
  ///     device 00:04.0                     the lines below concern this device
  ///     map IOVA PHYSICAL LENGTH rw[,cache][,noexec][,mmio][,priv]
  ///     allow IOVA LENGTH [identity]       the kernel may map here, to the same address with `identity`
  ///
  /// - Parameter file: the file's name, for messages.
  /// - Throws: `WalkInputError` with the file, the line and what was expected.
  public init(text: String, file: String) throws {
    var device: UInt32?
    for line in TextLine.lines(of: text, file: file) {
      switch line.words[0] {
      case "device":
        guard line.words.count == 2, let id = DeviceTables.id(line.words[1]) else {
          throw line.error("expected 'device BDF', for example 'device 00:04.0'")
        }
        device = id
      case "map": mappings[device, default: []].append(try Self.mapping(line))
      case "allow": allowed[device, default: []].append(try Self.region(line))
      default: throw line.error("expected 'device', 'map' or 'allow', found '\(line.words[0])'")
      }
    }
  }

  private static func number(_ line: TextLine, _ index: Int, _ name: String) throws -> UInt64 {
    guard let value = Numbers.parseSize(line.words[index]) else {
      throw line.error("expected \(name) as 4096, 0x1000 or 4K, found '\(line.words[index])'")
    }
    return value
  }

  private static func range(_ line: TextLine, _ first: UInt64, _ length: UInt64) throws {
    guard length > 0, first <= UInt64.max - (length - 1) else {
      throw line.error("the length \(Numbers.hex(length)) is 0 or ends beyond 64 bits")
    }
  }

  private static func mapping(_ line: TextLine) throws -> ExpectedMapping {
    guard line.words.count == 5 else { throw line.error("expected 'map IOVA PHYSICAL LENGTH rw[,flags]'") }
    let iova = try number(line, 1, "an IOVA")
    let physical = try number(line, 2, "a physical address")
    let length = try number(line, 3, "a length")
    try range(line, iova, length)
    try range(line, physical, length)
    guard let protection = Protection(text: line.words[4]), !protection.isDisjoint(with: [.read, .write])
    else {
      throw line.error(
        "expected r, w or rw, then any of ,cache ,noexec ,mmio ,priv, found '\(line.words[4])'")
    }
    let flags = protection.subtracting([.read, .write])
    return ExpectedMapping(
      iova: iova, physical: physical, length: length, read: protection.contains(.read),
      write: protection.contains(.write), flags: flags.isEmpty ? nil : flags)
  }

  private static func region(_ line: TextLine) throws -> AllowedRegion {
    guard line.words.count == 3 || line.words.count == 4 && line.words[3] == "identity" else {
      throw line.error("expected 'allow IOVA LENGTH [identity]'")
    }
    let iova = try number(line, 1, "an IOVA")
    let length = try number(line, 2, "a length")
    try range(line, iova, length)
    return AllowedRegion(iova: iova, length: length, isIdentity: line.words.count == 4)
  }
}
