// SPDX-License-Identifier: GPL-2.0-only

/// What Intel's driver prints of a device's page table in debugfs (`domain_translation_struct`; drivers/iommu/intel/debugfs.c of
/// Linux 5.6 and later): a line for each leaf, with the words on the way to it.
struct DebugfsTranslations: Hashable, Sendable {
  /// A leaf, with the tables above it.
  struct Line: Hashable, Sendable {
    var iova: UInt64
    /// The words by level, 0 for the last one, up to 4; 0 where there is none.
    var words: [UInt64]

    /// The level of the leaf: the lowest that has a word.
    var leafLevel: Int { words.firstIndex { $0 != 0 } ?? 0 }
  }

  private(set) var lines: [Line] = []
  /// Whether the device was among those of the file.
  private(set) var isThere = false

  /// Where the file is: one for each device since Linux 6.7, before that one for all.
  static func paths(of device: String) -> [String] {
    let folder = "/sys/kernel/debug/iommu/intel"
    return ["\(folder)/\(device)/domain_translation_struct", "\(folder)/domain_translation_struct"]
  }

  /// Reads the part of a device.
  ///
  /// - Throws: `KernelFailure` with the line that is none.
  init(_ text: String, device: String) throws {
    for (position, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("Device ") {
        isThere = line.hasPrefix("Device \(device) ")
      } else if line.hasPrefix("0x"), isThere {
        guard let entry = Self.entry(line) else {
          throw KernelFailure(
            "domain_translation_struct:\(position + 1): expected a page number and 1 to 5 words, found '\(line)'"
          )
        }
        lines.append(entry)
      }
    }
    // A later device's header has reset it.
    isThere = isThere || !lines.isEmpty
  }

  /// A line: the IOVA's page number, then the words of levels 4, 3, 2, 1 and 0, the last ones left out where the leaf is higher.
  private static func entry(_ line: Substring) -> Line? {
    let numbers = line.split { $0.isWhitespace || $0 == "|" }.map { word in
      word.hasPrefix("0x") ? UInt64(word.dropFirst(2), radix: 16) : nil
    }
    guard numbers.count >= 2, numbers.count <= 6, !numbers.contains(nil), let page = numbers[0],
      page < 1 << 52
    else { return nil }
    var words = [UInt64](repeating: 0, count: 5)
    for (position, number) in numbers.dropFirst().enumerated() { words[4 - position] = number ?? 0 }
    guard words.contains(where: { $0 != 0 }) else { return nil }
    return Line(iova: page << 12, words: words)
  }
}

/// Which tables a device uses, by `dmar_translation_struct` of the same folder.
enum DebugfsStage {
  /// Whether the first stage translates for a device: word 0 of its PASID entry, bits 8:6, is 1 (Intel Virtualization Technology for
  /// Directed I/O, 9.6). Without scalable mode it is always the second. nil where the file does not tell.
  static func isFirst(_ text: String, device: String) -> Bool? {
    // Without the domain of PCI, as the file has it.
    let name = device.split(separator: ":", maxSplits: 1).last.map(String.init) ?? device
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      let fields = line.split(whereSeparator: \.isWhitespace)
      guard fields.count >= 5, let pasid = Int(fields[3]) else { continue }
      if pasid == -1 { return false }
      guard pasid == 0, let low = fields[4].split(separator: ":").last,
        let word = UInt64(low.dropFirst(2), radix: 16)
      else { continue }
      return word >> 6 & 7 == 1
    }
    return nil
  }
}
