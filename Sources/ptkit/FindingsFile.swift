// SPDX-License-Identifier: GPL-2.0-only

import TAP

extension KernelFinding {
  /// Reads a file of findings.
  ///
  /// - Throws: `InputError` that names the file and the line.
  static func read(path: String) throws -> [KernelFinding] {
    do {
      return try read(FileText.whole(path), path: path)
    } catch let error as KernelFindingError {
      throw InputError(error.description)
    }
  }
}
