// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// The configuration keys of x86_64, which two drivers share: AMD's v2 tables and VT-d's first stage.
enum X86Schema {
  static let schema = ConfigurationSchema(
    format: "x86_64",
    keys: [
      ConfigurationKey(
        "use", .choice(["amdv2", "vtdfs"]), default: "amdv2", "the driver: AMD v2 or VT-d first stage",
        slugPrefix: "", alwaysInSlug: true),
      ConfigurationKey("levels", .number(4...5), default: "4", "levels of tables"),
      ConfigurationKey(
        "superpages", .number(0...2), default: "2", "VT-d only: 0 none, 1 2M, 2 2M and 1G",
        slugPrefix: "sp"),
      ConfigurationKey(
        "coherent", .number(0...1), default: "1", "VT-d only: whether the walker snoops caches"),
      ConfigurationKey(
        "ias", .number(0...57), default: "0", "VT-d only: limits the IOVA width, in bits; 0 does not"),
      ConfigurationKey(
        "cbit", .number(0...63), default: "0", "AMD only: number of the memory encryption bit; 0 for none"),
      ConfigurationKey(
        "pgsizes", .bitmap, default: "0x0", "AMD only: page sizes offered, a bitmap; 0x0 for all"),
      ConfigurationKey("era", .choice(["6.12"]), default: "6.12", "the Linux version", slugPrefix: "era"),
    ])
}
