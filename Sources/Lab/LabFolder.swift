// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// The lab's scripts and data, and the folder outside of the repository that keeps what they fetch and build.
public struct LabFolder: Sendable {
  /// The folder `lab`.
  public let home: String
  /// The cache.
  public let cache: String

  /// - Parameter home: the folder `lab` of the repository.
  public init(home: String) throws(LabError) {
    self.home = home
    cache = Self.cache + "/lab"
    try HostFile.makeFolder(cache)
  }

  private static var cache: String {
    func variable(_ name: String) -> String? {
      getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
    return variable("PTKIT_CACHE")
      ?? (variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "/tmp") + "/.cache") + "/ptkit"
  }

  /// The file of rows.
  public var rowsFile: String { "\(home)/rows" }

  /// Fetches a kernel or an emulator; its folder.
  func fetch(_ what: String, version: String, architecture: String) throws(LabError) -> String {
    let folder = "\(cache)/\(what)-\(version)-\(architecture)"
    if HostFile.isThere("\(folder)/complete") { return folder }
    let run = try LabScript(["\(home)/fetch", "--cache=\(cache)", what, version, architecture])
    guard run.status == 0, let line = run.output.split(whereSeparator: \.isNewline).last else {
      throw LabError(
        run.lastWords.isEmpty ? "\(what) \(version) could not be fetched" : run.lastWords, isMissing: true)
    }
    return String(line)
  }

  /// Builds the agent where there is none of these sources; its file.
  public func agent(_ architecture: String) throws(LabError) -> String {
    var sources: [UInt8] = []
    for name in ["agent.c", "system.h", "build"] { sources += try HostFile.read("\(home)/agent/\(name)") }
    let file = "\(cache)/agent-\(architecture)-\(AgentFrames.checksum(sources[...]))"
    if HostFile.isThere(file) { return file }
    let run = try LabScript(["\(home)/agent/build", architecture, file])
    guard run.status == 0 else {
      throw LabError("the agent for \(architecture) could not be built: \(run.lastWords)")
    }
    return file
  }

  /// Builds the kit's own module for a kernel; its file.
  func module(architecture: String, version: String) throws(LabError) -> String {
    let run = try LabScript(["\(home)/module/build", "--cache=\(cache)", architecture, version])
    guard run.status == 0, let line = run.output.split(whereSeparator: \.isNewline).last else {
      // The status for what is not there, as dist/boot has it.
      throw LabError(
        "the module for \(architecture) could not be built: \(run.lastWords)", isMissing: run.status == 77)
    }
    return String(line)
  }

  /// Makes the archive of a row's firmware: the file that a script of the lab's folder writes, which is told how QEMU is started.
  func firmware(_ script: String, emulator: [String]) throws(LabError) -> [UInt8] {
    let file = "\(cache)/firmware-\(script.split(separator: "/").last ?? "")"
    let run = try LabScript(["\(home)/\(script)", file] + emulator)
    guard run.status == 0 else { throw LabError("\(script): \(run.lastWords)") }
    return try HostFile.read(file)
  }
}
