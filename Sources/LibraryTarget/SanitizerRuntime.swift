// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// The runtime of AddressSanitizer that a library was linked with: it has to be there before anything else, so the
/// process of the library must preload it.
enum SanitizerRuntime {
  /// What a process that loads the library at `path` must preload; nil for nothing, and for what is no such file.
  static func neededBy(_ path: String) -> String? {
    guard let file = MappedFile(path), let image = ELFImage(file.bytes) else { return nil }
    guard let name = image.neededNames.first(where: isRuntime) else { return nil }
    // The dynamic linker finds those of its own folders by name.
    let folders = image.searchPaths.flatMap { $0.split(separator: ":").map(String.init) }
    return folders.map { "\($0)/\(name)" }.first { access($0, R_OK) == 0 } ?? name
  }

  private static func isRuntime(_ name: String) -> Bool {
    name.hasPrefix("libasan.so") || name.hasPrefix("libclang_rt.asan")
  }
}

/// A file in memory, for reading.
private struct MappedFile: ~Copyable {
  let bytes: UnsafeRawBufferPointer

  init?(_ path: String) {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    let size = lseek(file, 0, SEEK_END)
    guard size > 0, let start = mmap(nil, Int(size), PROT_READ, MAP_PRIVATE, file, 0), start != MAP_FAILED
    else { return nil }
    bytes = UnsafeRawBufferPointer(start: start, count: Int(size))
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
}

/// What the dynamic section of a 64-bit little-endian ELF file asks for (System V ABI, "Dynamic Linking").
private struct ELFImage {
  private(set) var neededNames: [String] = []
  private(set) var searchPaths: [String] = []

  private let bytes: UnsafeRawBufferPointer

  init?(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    // "\x7fELF", 64 bits, little-endian.
    guard bytes.count >= 64, bytes.prefix(6).elementsEqual([0x7f, 0x45, 0x4c, 0x46, 2, 1]) else { return nil }
    let programHeaders = number(32, UInt64.self)
    let size = UInt64(number(54, UInt16.self))
    let headers = (0..<UInt64(number(56, UInt16.self))).map { programHeaders &+ $0 &* size }
    guard let dynamic = headers.first(where: { number($0, UInt32.self) == 2 }) else { return nil }
    let start = number(dynamic &+ 8, UInt64.self)
    let count = min(number(dynamic &+ 32, UInt64.self), UInt64(bytes.count)) / 16
    let entries = (0..<count).map { index in
      (number(start &+ index &* 16, UInt64.self), number(start &+ index &* 16 &+ 8, UInt64.self))
    }
    // DT_STRTAB is an address; a loaded segment says where in the file that is.
    guard let table = entries.first(where: { $0.0 == 5 })?.1 else { return nil }
    let loaded = headers.first { header in
      number(header, UInt32.self) == 1
        && table &- number(header &+ 16, UInt64.self) < number(header &+ 32, UInt64.self)
    }
    guard let loaded else { return nil }
    let strings = table &- number(loaded &+ 16, UInt64.self) &+ number(loaded &+ 8, UInt64.self)
    neededNames = entries.filter { $0.0 == 1 }.map { text(strings &+ $0.1) }
    searchPaths = entries.filter { $0.0 == 15 || $0.0 == 29 }.map { text(strings &+ $0.1) }
  }

  /// The number at an offset; 0 outside of the file.
  private func number<Number: FixedWidthInteger>(_ offset: UInt64, _ type: Number.Type) -> Number {
    let end = UInt64(bytes.count - MemoryLayout<Number>.size)
    guard offset <= end else { return 0 }
    return bytes.loadUnaligned(fromByteOffset: Int(offset), as: type)
  }

  private func text(_ offset: UInt64) -> String {
    guard offset < UInt64(bytes.count) else { return "" }
    return String(decoding: bytes[Int(offset)...].prefix { $0 != 0 }, as: UTF8.self)
  }
}
