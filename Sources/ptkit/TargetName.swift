// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser

/// What can be tested, as the command line names it.
enum TargetName: ExpressibleByArgument, Hashable {
  /// The generic algorithms in the simulator.
  case sim
  /// A library with the interface of ptkit.h, and the one configuration to test; nil for all.
  case library(path: String, configuration: String?)

  /// The page-table code of a Linux tree.
  case tree(path: String)

  /// The kernel that runs on this machine.
  case kernel

  init?(argument: String) {
    if argument == "sim" {
      self = .sim
      return
    }
    if argument == "kernel" {
      self = .kernel
      return
    }
    let words = argument.split(separator: ":", maxSplits: 1).map(String.init)
    if words.count == 2, words[0] == "ksrc" {
      self = .tree(path: words[1])
      return
    }
    guard words.count == 2, words[0] == "lib" else { return nil }
    let parts = words[1].split(separator: ",", maxSplits: 1).map(String.init)
    guard let path = parts.first else { return nil }
    self = .library(path: path, configuration: parts.count > 1 ? parts[1] : nil)
  }

  /// As written.
  var text: String {
    switch self {
    case .sim: "sim"
    case .kernel: "kernel"
    case .tree(let path): "ksrc:\(path)"
    case .library(let path, let configuration): "lib:\(path)" + (configuration.map { ",\($0)" } ?? "")
    }
  }

  /// Why a command refuses the running kernel.
  static let kernelIsForSelftests = UsageError(
    "'--target kernel' is for ptkit selftest: what page tables a running kernel has cannot be asked for")

  var defaultValueDescription: String { text }
  static var allValueStrings: [String] { ["sim", "lib:FILE", "ksrc:FOLDER", "kernel"] }
}
