// SPDX-License-Identifier: GPL-2.0-only

/// How the machine of a row is made: fetched, put together, started.
public struct LabGuest: Sendable {
  public let row: LabRow
  /// QEMU's program.
  public let emulator: String
  public let image: KernelImage
  private let agent: String
  private let firmware: [UInt8]
  private var modules: [String] = []
  /// Where the console of the last start is.
  public let log: String

  /// Fetches and builds what the row needs and is not there yet.
  ///
  /// - Parameter kernel: a developer's kernel; that of the row where there is none.
  /// - Throws: `LabError` that says what could not be had.
  public init(_ row: LabRow, in folder: LabFolder, kernel: KernelImage? = nil) throws(LabError) {
    self.row = row
    if let kernel {
      image = kernel
    } else {
      image = try KernelImage(
        folder: folder.fetch("kernel", version: row.kernel, architecture: row.architecture))
    }
    let emulator = try folder.fetch("qemu", version: row.emulator, architecture: row.architecture)
    self.emulator = "\(emulator)/\(row.program)"
    agent = try folder.agent(row.architecture)
    // With a developer's kernel, it is one of the developer's modules.
    if row.mapper == .module, kernel == nil {
      modules = [try folder.module(architecture: row.architecture, version: row.kernel)]
    }
    firmware =
      row.firmware.isEmpty
      ? [] : try folder.firmware(row.firmware, emulator: [self.emulator] + row.options)
    try HostFile.makeFolder("\(folder.cache)/logs")
    log = "\(folder.cache)/logs/\(row.name)"
  }

  /// Boots it, twice where the first time fails.
  ///
  /// - Parameters:
  ///   - excluded: modules that the guest does not get, with `-` for `_`.
  ///   - say: is told why the first start failed.
  public func start(without excluded: Set<String> = [], say: (String) -> Void) throws(LabError)
    -> VirtualMachine
  {
    let files = try files(without: excluded)
    let log = log + (excluded.isEmpty ? "" : ".without")
    var plan = VirtualMachine.Plan(
      emulator: emulator, options: row.options, kernel: image.file, files: files,
      words: row.words + ["panic=-1", "quiet"], log: log)
    do {
      try HostFile.write([], to: log)
      return try VirtualMachine(plan)
    } catch let error {
      say("the first boot failed, and is tried again: \(error)")
    }
    // This time with all that the kernel has to say.
    plan.words = row.words + ["panic=-1", "ignore_loglevel"]
    try HostFile.write([], to: log)
    do {
      return try VirtualMachine(plan)
    } catch let error {
      throw LabError("\(error); the console is in \(log)")
    }
  }

  private func files(without excluded: Set<String>) throws(LabError) -> [UInt8] {
    var files = InitialFiles()
    for folder in ["dev", "proc", "sys", "tmp"] { files.add(folder: folder) }
    files.add(file: "init", try HostFile.read(agent), isExecutable: true)
    try image.addModules(to: &files, excluded: excluded, more: modules)
    return firmware + files.finished()
  }
}
