// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Conformance
import PageTable
import Reference
import Selftests

extension LibraryFormat {
  /// A configuration in the generic vocabulary in the format's own words: itself, or those of the drivers' code of the
  /// format's Linux version.
  ///
  /// - Throws: `ConfigurationError` that says why there is none.
  public func configurations(of configuration: Configuration) throws -> [Configuration] {
    guard behaviour == .legacy else { return [configuration] }
    let all = try LegacyVocabulary.legacy(of: configuration)
    let own = all.filter { ["", modelledEra].contains($0.text("era")) }
    guard !own.isEmpty else {
      throw ConfigurationError(.einval, "no code of Linux \(era) makes page tables as \(configuration)")
    }
    return own
  }

  /// The modelled Linux version whose code this is: the first that is not older, or the newest. Code changes at the end
  /// of an era.
  var modelledEra: String {
    func number(_ text: String) -> Int {
      text.split(separator: ".").prefix(2).reduce(0) { $0 * 1000 + (Int($1) ?? 0) }
    }
    let eras = LegacyVocabulary.eras(of: name).sorted { number($0) < number($1) }
    return eras.first { number($0) >= number(era) } ?? eras.last ?? era
  }

  /// The sides of comparisons that the format serves, for a configuration in the generic vocabulary: one, or for drivers'
  /// own code one for each driver.
  ///
  /// - Parameters:
  ///   - stem: the first word of their names in results, which the Linux version follows: `ksrc` makes `ksrc73`.
  ///   - make: makes an empty page table whose events are recorded, of a configuration in the library's words.
  /// - Throws: `ConfigurationError` that says why there is none.
  public func sides(
    _ configuration: Configuration, stem: String,
    make:
      @escaping @Sendable (_ own: Configuration, _ physicalBase: UInt64, _ reserve: UInt64) throws ->
      RecordedLibraryTable
  ) throws -> [ResolvedSide] {
    let all = try configurations(of: configuration)
    return all.map { own in
      var word = stem + era.filter { $0.isASCII && ($0.isLetter || $0.isNumber) }
      if behaviour == .legacy { word += "-legacy" }
      if Set(all.map { $0.text("use") }).count > 1 { word += "-\(own.text("use"))" }
      var side = ResolvedSide(behaviour == .legacy ? .legacy(own) : .generic(own), word: word) {
        try make(own, $0, $1)
      }
      side.bindsErrors = behaviour != .own
      return side
    }
  }
}

extension LibraryFactory {
  /// The sides of comparisons that the library serves, for a configuration in the generic vocabulary: one, or for
  /// drivers' own code one for each driver; none where it has not the format.
  ///
  /// - Parameter stem: the first word of their names in results.
  /// - Throws: `ConfigurationError` that says why there is none, `SpecError`.
  public func sides(_ configuration: Configuration, stem: String = "lib") throws -> [ResolvedSide] {
    let reference = try specifications.format(configuration)
    return try library.formats.filter { $0.name == configuration.format }.flatMap { format in
      try format.sides(configuration, stem: stem) { own, base, reserve in
        var options = TargetOptions(physicalBase: base)
        options.reserve = reserve
        let table = try make(own, configuration, reference, options)
        guard let recorded = table as? RecordedLibraryTable else {
          throw LibraryError("\(name) made a page table without an event log")
        }
        recorded.watchNarrowly()
        return recorded
      }
    }
  }
}
