// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser

/// How the page-table code of a kernel tree is built.
struct KernelTreeOptions: ParsableArguments {
  @Option(
    help: "With ksrc: what is built, names of formats or of source files joined by commas; all when left out."
  )
  var formats: String?

  // The value begins with dashes.
  @Option(
    parsing: .unconditional, help: "With ksrc: more options of Sources/KernelTree/build, separated by spaces."
  )
  var buildOptions: String?

  @Option(help: "Seconds that one call of a library may take.")
  var callLimit = 20.0
}
