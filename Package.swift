// swift-tools-version: 6.1
// SPDX-License-Identifier: GPL-2.0-only

import PackageDescription

// The target graph keeps the witnesses apart: Reference, GenericPT and LegacyPT depend on
// the vocabulary (PageTable) only, never on each other.
let package = Package(
  name: "ptkit",
  products: [
    .executable(name: "ptkit", targets: ["ptkit"])
  ],
  // C libraries that the Makefile finds by pkg-config. Without them the kit does the same by itself, as a static binary must.
  traits: [
    .trait(name: "Kmod", description: "Modules by libkmod."),
    .trait(name: "Kdumpfile", description: "Crash dumps by libkdumpfile."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    // Vocabulary: addresses, sizes, protection, errors, configurations, images,
    // the protocol of a page table under test.
    .target(name: "PageTable"),

    // Witness: formats as data, with one interpreter.
    .target(name: "Reference", dependencies: ["PageTable"]),
    // The reader of the spec files, and the files themselves.
    .target(
      name: "ReferenceSpecs",
      dependencies: ["Reference", .product(name: "Yams", package: "Yams")],
      resources: [.embedInCode("Formats")]
    ),

    // Witness: the generic algorithms and one file per format.
    .target(name: "GenericPT", dependencies: ["PageTable"]),

    // Witness: the per-format code of Linux before the generic algorithms, one file per family.
    .target(name: "LegacyPT", dependencies: ["PageTable"]),

    .target(name: "Simulator", dependencies: ["PageTable"]),
    .target(name: "TAP"),
    .target(
      name: "Conformance",
      dependencies: ["PageTable", "Reference", "GenericPT", "LegacyPT", "Simulator", "TAP"]
    ),
    .target(
      name: "Selftests",
      dependencies: ["PageTable", "Reference", "GenericPT", "Simulator", "Conformance", "Compare"]
    ),
    // Runs the same operations on two sides and compares all that they leave behind.
    .target(
      name: "Compare",
      dependencies: [
        "PageTable", "Reference", "GenericPT", "LegacyPT", "Simulator", "Conformance",
      ]
    ),
    .target(
      name: "Benchmarks",
      dependencies: [
        "CPTKit", "PageTable", "Reference", "GenericPT", "LegacyPT", "Simulator", "Conformance",
        "LibraryTarget",
      ]
    ),
    // The interface for implementations in C, and what runs one in a process of its own.
    .systemLibrary(name: "CPTKit", path: "Sources/CPTKit"),
    .target(
      name: "LibraryTarget",
      dependencies: [
        "CPTKit", "PageTable", "Reference", "GenericPT", "LegacyPT", "Simulator", "Conformance", "Compare",
        "Selftests",
      ]
    ),
    // The calls that tests of a kernel make: of the machine at hand, or of a virtual one through an agent.
    .systemLibrary(name: "CMachine", path: "Sources/CMachine"),
    .target(name: "Machine", dependencies: ["CMachine"]),
    .systemLibrary(name: "CKmod", path: "Sources/CKmod"),
    // Tests of a running kernel: modules, VFIO, iommufd, accounting, KUnit.
    .target(
      name: "Kernel",
      dependencies: [
        "Machine", "PageTable", "Reference", "Selftests", "TAP",
        .target(name: "CKmod", condition: .when(traits: ["Kmod"])),
      ],
      resources: [.embedInCode("findings")]
    ),
    .systemLibrary(name: "CKdumpfile", path: "Sources/CKdumpfile"),
    // From the registers of an IOMMU to the tables of each device, in the memory of a machine or its dump.
    .target(
      name: "Walk",
      dependencies: [
        "PageTable", "Reference", .target(name: "CKdumpfile", condition: .when(traits: ["Kdumpfile"])),
      ]
    ),
    // Virtual machines that boot real kernels.
    .target(
      name: "Lab",
      dependencies: [
        "Machine", "Kernel", "Walk", "Compare", "PageTable", "Reference", "ReferenceSpecs", "TAP",
      ]
    ),
    // What must be done before the Swift runtime starts, in C.
    .target(name: "CStart"),
    .executableTarget(
      name: "ptkit",
      dependencies: [
        "CStart",
        "LibraryTarget", "Machine", "Kernel", "Walk", "Lab",
        "PageTable", "Reference", "ReferenceSpecs", "GenericPT", "LegacyPT", "Simulator", "Conformance",
        "Selftests", "Benchmarks", "Compare", "TAP",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]
    ),

    .testTarget(name: "PageTableTests", dependencies: ["PageTable"]),
    .testTarget(name: "ReferenceTests", dependencies: ["Reference", "ReferenceSpecs"]),
    .testTarget(name: "GenericPTTests", dependencies: ["GenericPT", "Simulator"]),
    .testTarget(name: "LegacyPTTests", dependencies: ["LegacyPT", "Simulator", "PageTable"]),
    .testTarget(name: "SimulatorTests", dependencies: ["Simulator"]),
    .testTarget(name: "TAPTests", dependencies: ["TAP"], exclude: ["Logs"]),
    .testTarget(name: "ConformanceTests", dependencies: ["Conformance", "LegacyPT", "ReferenceSpecs"]),
    .testTarget(
      name: "SelftestsTests",
      dependencies: [
        "Selftests", "PageTable", "ReferenceSpecs", "GenericPT", "LegacyPT", "Simulator", "Conformance",
        "TAP",
      ]
    ),
    // Small mistakes, planted one at a time, that the checks must see.
    .testTarget(
      name: "FaultTests",
      dependencies: [
        "Selftests", "PageTable", "Reference", "ReferenceSpecs", "GenericPT", "LegacyPT", "Simulator",
        "Conformance", "Compare",
      ]
    ),
    .testTarget(
      name: "CompareTests",
      dependencies: ["Compare", "PageTable", "ReferenceSpecs", "GenericPT", "Simulator", "Conformance"]
    ),
    .testTarget(
      name: "KernelTests",
      dependencies: ["Kernel", "Machine", "TAP", "Reference", "ReferenceSpecs", "Conformance"]),
    .testTarget(
      name: "WalkTests",
      dependencies: ["Walk", "PageTable", "Reference", "ReferenceSpecs", "Conformance", "Simulator"]),
    .testTarget(name: "LabTests", dependencies: ["Lab", "Kernel", "Machine", "Walk"]),
    .testTarget(name: "CommandLineTests", dependencies: ["ptkit", "TAP"]),
  ],
  swiftLanguageModes: [.v6]
)
