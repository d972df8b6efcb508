// SPDX-License-Identifier: GPL-2.0-only

/// What stands in a specification file, before anything is known of formats: text, lists, mappings.
struct SpecTree: Hashable {
  enum Content: Hashable {
    /// A text, without its quotes; empty where a key has no value.
    case scalar(String)
    case list([SpecTree])
    /// Pairs in the file's order; no key is there twice.
    case mapping([Pair])
  }

  struct Pair: Hashable {
    var key: String
    /// The line of the key, from 1.
    var keyLine: Int
    var value: SpecTree
  }

  var content: Content
  /// The line where it begins, from 1.
  var line: Int
}
