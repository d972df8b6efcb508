// SPDX-License-Identifier: GPL-2.0-only

/// The files that a kernel starts with, as an archive in cpio's format "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).
struct InitialFiles {
  private(set) var archive: [UInt8] = []
  private var folders: Set<String> = []
  private var number: UInt32 = 0

  /// Adds a file, with the folders above it.
  mutating func add(file path: String, _ bytes: [UInt8], isExecutable: Bool = false) {
    addFolders(above: path)
    entry(path, mode: isExecutable ? 0o100755 : 0o100644, bytes)
  }

  /// Adds an empty folder.
  mutating func add(folder path: String) {
    addFolders(above: path)
    if folders.insert(path).inserted { entry(path, mode: 0o040755, []) }
  }

  /// The archive with its end.
  func finished() -> [UInt8] {
    var copy = self
    copy.number = 0
    copy.entry("TRAILER!!!", mode: 0, [])
    return copy.archive
  }

  private mutating func addFolders(above path: String) {
    var folder = ""
    for part in path.split(separator: "/").dropLast() {
      folder += (folder.isEmpty ? "" : "/") + part
      if folders.insert(folder).inserted { entry(folder, mode: 0o040755, []) }
    }
  }

  private mutating func entry(_ name: String, mode: UInt32, _ bytes: [UInt8]) {
    number &+= 1
    let name = Array(name.utf8) + [0]
    // Inode, mode, user, group, links, time, size, two device numbers of two parts, the name's length, no checksum.
    let fields: [UInt32] = [
      number, mode, 0, 0, 1, 0, UInt32(truncatingIfNeeded: bytes.count), 0, 0, 0, 0, UInt32(name.count), 0,
    ]
    archive += Array("070701".utf8)
    for field in fields { archive += Self.hex(field) }
    archive += name
    pad()
    archive += bytes
    pad()
  }

  private mutating func pad() {
    while archive.count % 4 != 0 { archive.append(0) }
  }

  private static func hex(_ number: UInt32) -> [UInt8] {
    let digits = Array(String(number, radix: 16).utf8)
    return [UInt8](repeating: 0x30, count: 8 - digits.count) + digits
  }
}
