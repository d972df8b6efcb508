// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import Glibc
import PageTable

/// Why a library cannot be tested.
public struct LibraryError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }

  /// Why this binary loads no library at all; nil where it does.
  public static var ofThisBinary: LibraryError? {
    #if PTKIT_STATIC
      isStatic
    #else
      nil
    #endif
  }

  static let isStatic = LibraryError(
    "this ptkit is a static binary, which loads no library: `make build` makes one that does")
}

/// Whose results a library's operations show (`behaviour` in ptkit.h).
public enum LibraryBehaviour: String, Hashable, Sendable {
  case generic, legacy, own
}

/// A format that a library has.
public struct LibraryFormat: Hashable, Sendable {
  /// Its name, the kit's own where the kit knows it.
  public var name: String
  /// Whose results its operations show.
  public var behaviour: LibraryBehaviour
  /// The Linux version whose code it is, `7.3`; empty for none.
  public var era: String
  /// Configurations to test, as text.
  public var configurations: [String]

  public init(name: String, behaviour: LibraryBehaviour, era: String, configurations: [String]) {
    self.name = name
    self.behaviour = behaviour
    self.era = era
    self.configurations = configurations
  }
}

/// An implementation in C, loaded into this process.
public final class Library: @unchecked Sendable {
  // Unchecked: nothing changes after the initializer, and ptkit.h allows calls from any thread.

  /// The library's name of itself.
  public let name: String
  /// Its formats.
  public let formats: [LibraryFormat]
  /// Its functions; those beyond what the library was compiled with are null.
  let functions: ptkit_implementation

  private typealias Entry = @convention(c) (UInt32) -> UnsafePointer<ptkit_implementation>?

  /// Loads the library at `path`.
  ///
  /// - Throws: `LibraryError` that says what is wrong with it.
  public init(path: String) throws {
    let entry = try Self.entry(path)
    let version = UInt32(PTKIT_ABI_VERSION)
    guard let table = entry(version) else {
      throw LibraryError("\(path) does not speak version \(version) of ptkit.h")
    }
    functions = Self.copy(table, size: table.pointee.size, empty: ptkit_implementation())
    guard functions.abi_version == version else {
      throw LibraryError("\(path) is for version \(functions.abi_version) of ptkit.h, not \(version)")
    }
    guard functions.create != nil, functions.destroy != nil, functions.map != nil, functions.unmap != nil,
      functions.sync != nil, functions.iova_to_phys != nil, functions.roots != nil
    else { throw LibraryError("\(path) lacks one of create, destroy, map, unmap, sync, iova_to_phys, roots") }
    name = functions.name.map { String(cString: $0) } ?? path
    formats = try Self.formats(functions, path)
  }

  private static func entry(_ path: String) throws -> Entry {
    #if PTKIT_STATIC
      throw LibraryError.isStatic
    #else
      // A name without slash would be searched for in the system's folders.
      guard let handle = dlopen(path.contains("/") ? path : "./\(path)", RTLD_NOW | RTLD_LOCAL) else {
        throw LibraryError(dlerror().map { String(cString: $0) } ?? "\(path) cannot be loaded")
      }
      guard let symbol = dlsym(handle, "ptkit_implementation") else {
        throw LibraryError("\(path) does not export ptkit_implementation(); see include/ptkit.h")
      }
      return unsafeBitCast(symbol, to: Entry.self)
    #endif
  }

  private static func formats(_ functions: ptkit_implementation, _ path: String) throws -> [LibraryFormat] {
    var formats: [LibraryFormat] = []
    var next = functions.formats
    while let format = next?.pointee {
      let entry = copy(format, size: format.pointee.size, empty: ptkit_format())
      guard let name = entry.name else { throw LibraryError("\(path): a format has no name") }
      let word = entry.behaviour.map { String(cString: $0) } ?? "own"
      guard let behaviour = LibraryBehaviour(rawValue: word) else {
        throw LibraryError("\(path): the behaviour '\(word)' is none of generic, legacy, own")
      }
      var texts: [String] = []
      var text = entry.configurations
      while let word = text?.pointee {
        texts.append(String(cString: word))
        text = text?.successor()
      }
      formats.append(
        LibraryFormat(
          name: String(cString: name), behaviour: behaviour,
          era: entry.era.map { String(cString: $0) } ?? "", configurations: texts))
      next = next?.successor()
    }
    guard !formats.isEmpty else { throw LibraryError("\(path) has no formats") }
    return formats
  }

  /// What there is of a structure that starts with its size.
  private static func copy<Value>(_ from: UnsafePointer<Value>, size: Int, empty: Value) -> Value {
    var value = empty
    withUnsafeMutableBytes(of: &value) { bytes in
      bytes.copyMemory(
        from: UnsafeRawBufferPointer(start: UnsafeRawPointer(from), count: max(0, min(size, bytes.count))))
    }
    return value
  }
}
