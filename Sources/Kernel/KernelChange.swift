// SPDX-License-Identifier: GPL-2.0-only

/// A change of the machine, with what it takes to undo it: a line of the journal.
public enum KernelChange: Hashable, Sendable {
  /// A module is inserted.
  case module(String)
  /// A PCI device changes its driver. What it had before: the driver, and the text of `driver_override`; nil for none.
  case driver(device: String, driver: String?, override: String?)
  /// A file of one number or word is written; the value before. Counts of huge pages and parameters of modules are such.
  case setting(file: String, value: String)
  /// A file system is mounted on a folder.
  case mount(folder: String)

  /// The line: words separated by spaces, a `-` where there is nothing.
  public var text: String {
    switch self {
    case .module(let name): "module \(Self.word(name))"
    case .driver(let device, let driver, let override):
      "driver \(Self.word(device)) \(Self.word(driver)) \(Self.word(override))"
    case .setting(let file, let value): "setting \(Self.word(file)) \(Self.word(value))"
    case .mount(let folder): "mount \(Self.word(folder))"
    }
  }

  /// What a line must be.
  static let grammar =
    "module NAME, driver DEVICE DRIVER OVERRIDE, setting FILE VALUE or mount FOLDER"

  /// Reads a line; nil where it is none, or names what no run changes.
  public init?(_ line: some StringProtocol) {
    let words = line.split(separator: " ", omittingEmptySubsequences: false).map { Self.value($0) }
    // A word that cannot be read is none.
    let known = words.compactMap { $0 }
    guard known.count == words.count, let kind = words.first ?? nil else { return nil }
    let values = known.dropFirst().map { $0.isEmpty ? nil : $0 }
    switch (kind, values.count) {
    case ("module", 1):
      guard let name = values[0], Self.isName(name) else { return nil }
      self = .module(name)
    case ("driver", 3):
      guard let device = values[0], Self.isName(device), values[1].map(Self.isName) ?? true,
        values[2].map(Self.isName) ?? true
      else { return nil }
      self = .driver(device: device, driver: values[1], override: values[2])
    case ("setting", 2):
      guard let file = values[0], Self.isKernelFile(file), let value = values[1] else { return nil }
      self = .setting(file: file, value: value)
    case ("mount", 1):
      guard let folder = values[0], Self.isKernelFile(folder) else { return nil }
      self = .mount(folder: folder)
    default: return nil
    }
  }

  /// Names of modules, drivers and devices become parts of paths.
  static func isName(_ name: String) -> Bool {
    !name.isEmpty && !name.contains("/") && name != "." && name != ".."
  }

  /// Nothing but the kernel's own files is ever changed, so nothing else is put back.
  static func isKernelFile(_ path: String) -> Bool {
    ["/sys/", "/proc/sys/"].contains { path.hasPrefix($0) }
      && !path.split(separator: "/").contains("..")
  }

  /// A word of a line: what could end it is written %xx, nothing is `-`, and a `-` that stands alone `%2d`.
  private static func word(_ text: String?) -> String {
    guard let text, !text.isEmpty else { return "-" }
    if text == "-" { return "%2d" }
    var word = ""
    for byte in text.utf8 {
      if byte > 0x20, byte < 0x7f, byte != UInt8(ascii: "%") {
        word.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        word += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return word
  }

  /// What a word stands for, empty for nothing; nil where it is none.
  private static func value(_ word: some StringProtocol) -> String? {
    if word == "-" { return "" }
    var bytes: [UInt8] = []
    var rest = Array(word.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte > 0x20, byte < 0x7f else { return nil }
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
  }
}

extension KernelChange: CustomStringConvertible {
  /// What is to be put back, for a reader.
  public var description: String {
    switch self {
    case .module(let name): "module \(name)"
    case .driver(let device, let driver, _): "the driver of \(device), \(driver ?? "none")"
    case .setting(let file, let value): "\(file), \(value)"
    case .mount(let folder): "the file system on \(folder)"
    }
  }
}
