// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// The specification files of the kit, which are part of the binary.
public enum ReferenceSpecs {
  /// The formats that have a specification; a new one takes a file in `Formats` and a line here.
  private static let files: [(format: String, bytes: [UInt8])] = [
    ("amdv1", PackageResources.amdv1_yaml),
    ("amdv1_mock", PackageResources.amdv1_mock_yaml),
    ("x86_64", PackageResources.x86_64_yaml),
    ("vtdss", PackageResources.vtdss_yaml),
    ("riscv64", PackageResources.riscv64_yaml),
    ("armv8", PackageResources.armv8_yaml),
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

  /// The format of a configuration, ready for use.
  ///
  /// - Throws: `SpecError` when there is no specification, or it does not fit the configuration.
  public static func format(_ configuration: Configuration) throws -> ReferenceFormat {
    try ReferenceFormat(spec: load(format: configuration.format), configuration: configuration)
  }

  /// Reads a specification from text.
  ///
  /// - Parameter file: the name for error messages.
  /// - Throws: `SpecError` with the line and what was expected there.
  public static func parse(yaml: String, file: String) throws -> FormatSpec {
    try SpecReader(yaml: yaml, file: file).format()
  }
}
