// SPDX-License-Identifier: GPL-2.0-only

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Finds golden files.
public enum GoldenPaths {
  /// The files that `paths` name: a file stands for itself, a folder for all `.golden` files in and below
  /// it, in ascending order of their paths.
  ///
  /// - Throws: `GoldenParseError` when a path does not exist or a folder has no golden file.
  public static func expand(_ paths: [String]) throws -> [String] {
    try paths.flatMap { path -> [String] in
      guard let isFolder = isFolder(path) else {
        throw GoldenParseError(path: path, line: 0, message: "no such file or folder")
      }
      guard isFolder else { return [path] }
      var found: [String] = []
      collect(path, depth: 0, into: &found)
      guard !found.isEmpty else {
        throw GoldenParseError(path: path, line: 0, message: "no .golden file in this folder")
      }
      return found.sorted()
    }
  }

  private static func isFolder(_ path: String) -> Bool? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return status.st_mode & S_IFMT == S_IFDIR
  }

  private static func collect(_ folder: String, depth: Int, into found: inout [String]) {
    // A bound on the depth also ends walks through a symbolic link to a folder above.
    guard depth < 16, let directory = opendir(folder) else { return }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    for name in names where !name.hasPrefix(".") {
      let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
      if isFolder(path) == true {
        collect(path, depth: depth + 1, into: &found)
      } else if name.hasSuffix(".golden") {
        found.append(path)
      }
    }
  }
}
