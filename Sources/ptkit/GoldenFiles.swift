// SPDX-License-Identifier: GPL-2.0-only

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Where golden files are.
enum GoldenFiles {
  /// The folder of golden files: `$PTKIT_GOLDEN`, else `Golden` in the working directory, else `Golden` in a
  /// folder above the binary; nil when there is none.
  static var home: String? {
    if let given = getenv("PTKIT_GOLDEN").map({ String(cString: $0) }), !given.isEmpty { return given }
    if isHome("Golden") { return "Golden" }
    var folder = executablePath?[...] ?? ""
    while let slash = folder.lastIndex(of: "/") {
      folder = folder[..<slash]
      if isHome("\(folder)/Golden") { return "\(folder)/Golden" }
    }
    return nil
  }

  /// The table of known divergences for a run over `paths`: that of a folder among them, else that of the home.
  static func divergences(for paths: [String]) -> String? {
    let folders = paths.filter(isFolder) + [home].compactMap { $0 }
    return folders.map { "\($0)/DIVERGENCES.md" }.first { access($0, R_OK) == 0 }
  }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether two paths lead to the same file or folder.
  static func isSame(_ left: String, _ right: String) -> Bool {
    var (first, second) = (stat(), stat())
    return stat(left, &first) == 0 && stat(right, &second) == 0 && first.st_ino == second.st_ino
      && first.st_dev == second.st_dev
  }

  private static func isHome(_ path: String) -> Bool { access("\(path)/README.md", R_OK) == 0 }

  static var executablePath: String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? -1
    }
    return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
  }
}
