// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import GenericPT
import PageTable

/// Readers of argument texts; what they throw shows beside the argument's name, with exit status 64.
enum Arguments {
  /// A size or an address in bytes: 4096, 0x1000, 4K, 2M, 1G.
  static func size(_ text: String) throws -> UInt64 {
    guard let size = Numbers.parseSize(text) else {
      throw ValidationError("'\(text)' is no number; write 4096, 0x1000, 4K, 2M or 1G")
    }
    return size
  }

  /// A number without unit that fits `Int`.
  static func count(_ text: String) throws -> Int {
    guard let number = Numbers.parse(text), let count = Int(exactly: number) else {
      throw ValidationError("'\(text)' is no number; write 42 or 0x2a")
    }
    return count
  }

  /// A number of 64 bits.
  static func word(_ text: String) throws -> UInt64 {
    guard let word = Numbers.parse(text) else {
      throw ValidationError("'\(text)' is no 64-bit number; write 0x7000000123456001")
    }
    return word
  }

  static func protection(_ text: String) throws -> Protection {
    guard let protection = Protection(text: text) else {
      throw ValidationError(
        "'\(text)' is no protection; write r, w or rw, then any of ,cache ,noexec ,mmio ,priv; or none")
    }
    return protection
  }

  /// What becomes of empty tables.
  static func reclaim(_ text: String) throws -> Reclaim {
    switch text {
    case "never": return .never
    case "eager": return .eager
    default:
      guard text.hasPrefix("bounded:"), let number = Numbers.parse(text.dropFirst(8)),
        let count = Int(exactly: number), count <= 1 << 32
      else { throw ValidationError("'\(text)' is none of never, bounded:N and eager") }
      return .bounded(count)
    }
  }
}

/// The help of arguments that several commands have.
enum ArgumentText {
  static let configuration: ArgumentHelp = "Configuration, format:key=value,…"
  static let reclaim: ArgumentHelp = "What becomes of empty tables: never (they stay), bounded:N or eager."
  static let level: ArgumentHelp = "Level of the table the word stands in; 0 is the last."
}
