// SPDX-License-Identifier: GPL-2.0-only

import TAP

extension KernelFinding {
  /// What is known of running kernels: the file `findings`.
  ///
  /// - Throws: `KernelFindingError` when that file is wrong.
  public static func ofRunningKernels() throws(KernelFindingError) -> [KernelFinding] {
    try read(String(decoding: PackageResources.findings, as: UTF8.self), path: "Sources/Kernel/findings")
  }
}
