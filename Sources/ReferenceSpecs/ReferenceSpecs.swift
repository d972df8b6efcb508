// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// The specification files of the kit, which are part of the binary.
///
/// A file describes one format to a reader who has the manual beside it:
///
/// | key | what it says |
/// |---|---|
/// | `format`, `title`, `manual`, `word` | name, a line of description, the manual, bits of a word (32 or 64) |
/// | `let` | names for values, each an expression over the configuration's keys and earlier names |
/// | `input` | `width` of IOVAs, `sign_extended`, `upper_ones`; sees `top`, one above the root's highest index bit |
/// | `root` | `level` it starts at, `highest` it can grow to, `high` index bit (short or wide roots), `select` among several |
/// | `output` | `width` of addresses |
/// | `levels` | `level` (0 is the last), `name`, `index` bits, `when` |
/// | `absent` | the `bits` and the `value` by which a word is not present |
/// | `entries` | kinds of entries; the first whose fixed bits match describes a word |
/// | `refuse` | protections that are not encoded: `when`, `why` |
/// | `keys`, `tests` | of a format that the kit was not compiled with: the keys of configurations, those that are tested |
/// | `faults` | the manual's `name` and `code` (`write` where writes differ) for each key of `FaultKey` and of `checks`; `KEY_N` where it is called otherwise at level N |
///
/// A key has a `default`, a `text`, and one of `number` (FROM..THROUGH), `choice` and `flags` (lists of words); the words of
/// a key `features` that Linux's generic page table knows mean the same here.
///
/// An entry has a `kind` (table, leaf), `levels`, `when`, `each` (a variable and its range: the entry stands once for
/// each value), for leaves log2 of the `size`, whether they are `offered` for encoding and how their `words` differ
/// (identical, consecutive), for tables the `child` level; its `fields`; what it grants (`protection`), and when it is
/// `dirty` or `accessed`; `checks` that raise a fault. Its expressions see `level`, `shift` (the lowest
/// index bit), `width` (index bits) and the variable of `each`; conditions on words also see fields.
///
/// A field has `bits`, a `name` and a `role` (used, reserved, res0, ignored); a fixed `value` tells the kind of
/// entry; `encode` is what Linux writes, over the protection flags, `dirty` and `accessed`; `address` is
/// the address bit that its lowest bit holds; `updated` says that the hardware writes it; `text` and
/// `values` say what it means. Every bit of every entry must be described, once; only an address gives way to
/// fields before it.
///
/// Bits are `HIGH:LOW` and ranges `FROM..THROUGH`, of expressions: `+ - * / &`, comparisons, `and or not`,
/// `KEY contains WORD`, `A if CONDITION else B`, `log2 min max ceildiv bit`, and numbers such as 12, 0x1f, 64K.
public enum ReferenceSpecs {
  /// The formats that have a specification; a new one takes a file in `Formats` and a line here.
  private static let files: [(format: String, bytes: [UInt8])] = [
    ("amdv1", PackageResources.amdv1_yaml),
    ("amdv1_mock", PackageResources.amdv1_mock_yaml),
    ("x86_64", PackageResources.x86_64_yaml),
    ("vtdss", PackageResources.vtdss_yaml),
    ("riscv64", PackageResources.riscv64_yaml),
    ("armv8", PackageResources.armv8_yaml),
    ("arm_lpae32", PackageResources.arm_lpae32_yaml),
    ("armv7s", PackageResources.armv7s_yaml),
    ("mali", PackageResources.mali_yaml),
    ("dart", PackageResources.dart_yaml),
  ]

  /// The names of the formats that have a specification.
  public static let formats: [String] = files.map(\.format)

  /// The specifications, read when the first one is asked for.
  private static let specs: [String: Result<FormatSpec, any Error>] = Dictionary(
    uniqueKeysWithValues: files.map { format, bytes in
      (format, Result { try parse(yaml: String(decoding: bytes, as: UTF8.self), file: "\(format).yaml") })
    })

  /// The text of a format's specification file; nil for an unknown format.
  public static func source(format: String) -> String? {
    files.first { $0.format == format }.map { String(decoding: $0.bytes, as: UTF8.self) }
  }

  /// The specification of a format.
  ///
  /// - Throws: `SpecError` when there is none or its file is malformed.
  public static func load(format: String) throws -> FormatSpec {
    guard let spec = specs[format] else {
      throw SpecError(
        file: "\(format).yaml", line: 0,
        "no such specification\(Nearest.hint(format, in: formats)); known are \(formats.joined(separator: ", "))"
      )
    }
    return try spec.get()
  }

  /// Reads a specification from text.
  ///
  /// - Parameter file: the name for error messages.
  /// - Throws: `SpecError` with the line and what was expected there.
  public static func parse(yaml: String, file: String) throws -> FormatSpec {
    try SpecReader(yaml: yaml, file: file).format()
  }
}

extension SpecificationLibrary {
  /// The specifications of the YAML files, which are part of the binary.
  public static let embedded = SpecificationLibrary { try ReferenceSpecs.load(format: $0) }
}
