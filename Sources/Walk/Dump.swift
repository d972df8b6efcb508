// SPDX-License-Identifier: GPL-2.0-only

/// A dump that cannot be read.
public struct DumpError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ file: String, _ text: String) { description = "\(file): \(text)" }
}

/// Dumps of machines' memory.
public enum Dump {
  /// Opens a dump: ELF by the kit's own reader, and every format that libkdumpfile knows where the kit is built with it.
  ///
  /// - Throws: `DumpError` that says what was expected.
  public static func open(_ path: String) throws -> any MachineMemory {
    let file = try MappedFile(path)
    if ELFDump.isELF(file) { return try ELFDump(file) }
    #if Kdumpfile
      return try KdumpFile(path)
    #else
      throw DumpError(
        path,
        "no ELF file, found \(file.magic); this ptkit is built without libkdumpfile, which reads other dumps")
    #endif
  }
}
