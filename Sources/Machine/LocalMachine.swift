// SPDX-License-Identifier: GPL-2.0-only

import CMachine
import Glibc

/// The machine that this process runs on, by system calls of its own.
public final class LocalMachine: Machine {
  public init() {}

  public func identity() throws(MachineError) -> (release: String, architecture: String) {
    var name = utsname()
    guard uname(&name) == 0 else { throw Self.failed("uname") }
    return (Self.text(of: name.release), Self.text(of: name.machine))
  }

  /// A text in an array of C that a zero ends, which Swift sees as a tuple of bytes.
  private static func text<Array>(of array: Array) -> String {
    withUnsafeBytes(of: array) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// The error of the call that just failed.
  static func failed(_ call: String) -> MachineError { .refused(call: call, error: errno) }

  // MARK: Files

  public func open(_ path: String, _ access: FileAccess) throws(MachineError) -> Int32 {
    let flags: Int32 =
      switch access {
      case .read: O_RDONLY
      case .write: O_WRONLY
      case .readWrite: O_RDWR
      }
    let descriptor = Self.again { Glibc.open(path, flags | O_CLOEXEC) }
    guard descriptor >= 0 else { throw Self.failed("open \(path)") }
    return descriptor
  }

  public func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

  public func read(_ descriptor: Int32, count: Int, at offset: UInt64?) throws(MachineError) -> [UInt8] {
    guard count > 0 else { return [] }
    let offset = try offset.map { offset throws(MachineError) in try Self.offset(offset) }
    var result = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, taken in
      result = Self.again {
        if let offset { return pread(descriptor, buffer.baseAddress, count, offset) }
        return Glibc.read(descriptor, buffer.baseAddress, count)
      }
      taken = max(0, result)
    }
    guard result >= 0 else { throw Self.failed("read") }
    return bytes
  }

  public func write(_ descriptor: Int32, _ bytes: [UInt8], at offset: UInt64?) throws(MachineError) -> Int {
    let offset = try offset.map { offset throws(MachineError) in try Self.offset(offset) }
    let count = bytes.withUnsafeBytes { bytes in
      Self.again {
        if let offset { return pwrite(descriptor, bytes.baseAddress, bytes.count, offset) }
        return Glibc.write(descriptor, bytes.baseAddress, bytes.count)
      }
    }
    guard count >= 0 else { throw Self.failed("write") }
    return count
  }

  /// Offsets of files have a sign; those of /proc/self/pagemap fit all the same.
  private static func offset(_ offset: UInt64) throws(MachineError) -> off_t {
    guard let offset = off_t(exactly: offset) else { throw .refused(call: "seek", error: EOVERFLOW) }
    return offset
  }

  /// Makes a call again that a signal ended.
  private static func again<Number: SignedInteger>(_ call: () -> Number) -> Number {
    while true {
      let result = call()
      if result >= 0 || errno != EINTR { return result }
    }
  }

  public func control(_ descriptor: Int32, _ request: UInt64, _ argument: inout ControlArgument)
    throws(MachineError) -> Int
  {
    let result: Int32
    switch argument {
    case .value(let value): result = machine_ioctl(descriptor, request, value)
    case .bytes(var bytes):
      // One owner, so that no copy is made.
      argument = .value(0)
      result = bytes.withUnsafeMutableBytes {
        machine_ioctl(descriptor, request, UInt64(UInt(bitPattern: $0.baseAddress)))
      }
      let error = errno
      argument = .bytes(bytes)
      errno = error
    }
    guard result >= 0 else { throw Self.failed("ioctl") }
    return Int(result)
  }

  public func entries(of folder: String) throws(MachineError) -> [String] {
    guard let stream = opendir(folder) else { throw Self.failed("open \(folder)") }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = Self.text(of: entry.pointee.d_name)
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  public func destination(ofLink path: String) throws(MachineError) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count >= 0 else { throw Self.failed("readlink \(path)") }
    return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  public func isThere(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  // MARK: Modules and mounts

  public func insertModule(file: String, parameters: String) throws(MachineError) {
    let descriptor = try open(file, .read)
    defer { close(descriptor) }
    // MODULE_INIT_COMPRESSED_FILE (linux/module.h, since 5.17): the kernel unpacks it, where it was built to.
    let flags: Int32 = [".xz", ".zst", ".gz"].contains { file.hasSuffix($0) } ? 4 : 0
    guard machine_finit_module(descriptor, parameters, flags) == 0 else {
      throw Self.failed("insert \(file)")
    }
  }

  public func removeModule(_ name: String) throws(MachineError) {
    // Without waiting for what uses it.
    guard machine_delete_module(name, UInt32(O_NONBLOCK)) == 0 else { throw Self.failed("remove \(name)") }
  }

  public func mount(fileSystem: String, on folder: String) throws(MachineError) {
    guard Glibc.mount("none", folder, fileSystem, 0, nil) == 0 else { throw Self.failed("mount \(folder)") }
  }

  public func unmount(_ folder: String) throws(MachineError) {
    guard Glibc.umount2(folder, Int32(UMOUNT_NOFOLLOW)) == 0 else { throw Self.failed("umount \(folder)") }
  }
}
