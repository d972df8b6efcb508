// SPDX-License-Identifier: GPL-2.0-only

/// A machine whose kernel is tested: the one at hand, or a virtual one through an agent that runs in it.
///
/// Calls are system calls of one process there, and addresses are that process's. What the tests of a kernel need is
/// written once, against this protocol; only where the calls are made differs.
public protocol Machine: AnyObject {
  /// The kernel's release, as `uname -r` prints it, and the processor's architecture, as `uname -m` does.
  func identity() throws(MachineError) -> (release: String, architecture: String)

  /// Opens a file or device; returns its descriptor.
  func open(_ path: String, _ access: FileAccess) throws(MachineError) -> Int32

  /// Closes a descriptor. Errors mean nothing here.
  func close(_ descriptor: Int32)

  /// Reads at most `count` bytes, from `offset` on where it is given, else where the descriptor stands; none at the end.
  func read(_ descriptor: Int32, count: Int, at offset: UInt64?) throws(MachineError) -> [UInt8]

  /// Writes `bytes` by one call, at `offset` where it is given; returns how many were taken.
  func write(_ descriptor: Int32, _ bytes: [UInt8], at offset: UInt64?) throws(MachineError) -> Int

  /// `ioctl(descriptor, request, argument)`: returns what the call did. The bytes of a structure change as the kernel changes them;
  /// addresses in it are those of `allocate`.
  func control(_ descriptor: Int32, _ request: UInt64, _ argument: inout ControlArgument) throws(MachineError)
    -> Int

  /// The names in a folder, without `.` and `..`, sorted.
  func entries(of folder: String) throws(MachineError) -> [String]

  /// Where a symbolic link points, as it is written there.
  func destination(ofLink path: String) throws(MachineError) -> String

  /// Whether there is a file, folder or device of this name. It may be one that cannot be opened.
  func isThere(_ path: String) -> Bool

  /// Memory of the process, writable, zero, present and locked, in pages of `pageSize` bytes: the base page, or a size of
  /// hugetlbfs. Aligned to `pageSize`.
  func allocate(byteCount: UInt64, pageSize: UInt64) throws(MachineError) -> UInt64

  /// Maps a part of a file or device for reading and writing, shared.
  func mapDevice(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(MachineError) -> UInt64

  /// Gives back what `allocate` or `mapDevice` returned; all of it.
  func deallocate(_ address: UInt64, byteCount: UInt64)

  /// The bytes at an address of the process. The range is one that was allocated.
  func load(_ address: UInt64, byteCount: Int) throws(MachineError) -> [UInt8]

  /// Writes bytes to an address of the process. The range is one that was allocated.
  func store(_ bytes: [UInt8], at address: UInt64) throws(MachineError)

  /// Reads a register by one access of `width` bytes: 1, 2, 4 or 8.
  func loadRegister(_ address: UInt64, width: Int) throws(MachineError) -> UInt64

  /// Writes a register by one access of `width` bytes: 1, 2, 4 or 8.
  func storeRegister(_ value: UInt64, at address: UInt64, width: Int) throws(MachineError)

  /// Inserts the module of a file of that machine, with parameters as the kernel's command line has them.
  func insertModule(file: String, parameters: String) throws(MachineError)

  /// Removes a module that nothing uses.
  func removeModule(_ name: String) throws(MachineError)

  /// Mounts a file system of the kernel that has no device, for example `debugfs`, on a folder.
  func mount(fileSystem: String, on folder: String) throws(MachineError)

  /// Takes off what was mounted last on a folder.
  func unmount(_ folder: String) throws(MachineError)

  /// Makes the calls of `steps`, in order, `count` times; the fields that move grow each time. Ends at the first call that
  /// fails or that returns another result than the step expects. It is one call, for a million of them through an agent takes too long.
  func sweep(_ steps: [SweepStep], count: UInt64) throws(MachineError) -> SweepResult
}

/// How a file is opened.
public enum FileAccess: Int, Hashable, Sendable {
  case read = 0
  case write = 1
  case readWrite = 2
}

/// The third argument of an ioctl.
public enum ControlArgument: Hashable, Sendable {
  /// A number, or an address of the process.
  case value(UInt64)
  /// The address of a structure of these bytes.
  case bytes([UInt8])
}

/// An ioctl that `Machine.sweep` repeats.
public struct SweepStep: Hashable, Sendable {
  public var descriptor: Int32
  public var request: UInt64
  /// The structure of the first time; each time starts with these bytes.
  public var bytes: [UInt8]
  /// The byte at which the field of 64 bits lies that moves.
  public var movingOffset: Int
  /// What is added to the field each time, in bytes of IOVA.
  public var stride: UInt64
  /// A field of 64 bits that the kernel must have set to a value: its offset and the value; nil for any.
  public var expected: (offset: Int, value: UInt64)?

  public init(
    descriptor: Int32, request: UInt64, bytes: [UInt8], movingOffset: Int, stride: UInt64,
    expected: (offset: Int, value: UInt64)? = nil
  ) {
    self.descriptor = descriptor
    self.request = request
    self.bytes = bytes
    self.movingOffset = movingOffset
    self.stride = stride
    self.expected = expected
  }

  public static func == (one: SweepStep, other: SweepStep) -> Bool {
    one.descriptor == other.descriptor && one.request == other.request && one.bytes == other.bytes
      && one.movingOffset == other.movingOffset && one.stride == other.stride
      && one.expected?.offset == other.expected?.offset && one.expected?.value == other.expected?.value
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(descriptor)
    hasher.combine(request)
    hasher.combine(bytes)
  }
}

/// What a sweep came to.
public struct SweepResult: Hashable, Sendable {
  /// How many rounds were made in full.
  public var rounds: UInt64
  /// What ended it before its time: the step's index, and the error, 0 for a result that was not expected.
  public var failure: SweepFailure?
  /// Time on that machine, in nanoseconds.
  public var nanoseconds: UInt64

  public init(rounds: UInt64, failure: SweepFailure? = nil, nanoseconds: UInt64) {
    self.rounds = rounds
    self.failure = failure
    self.nanoseconds = nanoseconds
  }
}

/// The call that ended a sweep.
public struct SweepFailure: Hashable, Sendable {
  /// The index of the step.
  public var step: Int
  /// Linux's error number; 0 where the call succeeded with another result than was expected.
  public var error: Int32

  public init(step: Int, error: Int32) {
    self.step = step
    self.error = error
  }
}
