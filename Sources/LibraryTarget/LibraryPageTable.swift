// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import Conformance
import PageTable
import Reference
import Simulator

/// A page table of a library, over table memory of the kit.
public class LibraryPageTable: MachineTarget, @unchecked Sendable {
  // Unchecked: ptkit.h allows calls from several threads; what is not constant is used where there is one only.

  public let configuration: Configuration
  public let machine: SimulatedMachine
  let library: Library
  let calls: CallPage
  let host: LibraryMemory
  private let behaviour: LibraryBehaviour
  private let reference: ReferenceFormat?
  private let pages: () -> Int
  private(set) var table: OpaquePointer?
  /// The bits of a length that make it no multiple of a page, where such lengths are kept from the library.
  private var guardedBits: UInt64 = 0
  fileprivate var notes: [OperationNote] = []

  fileprivate init(
    _ maker: LibraryTableMaker, _ host: LibraryMemory, _ machine: SimulatedMachine, pages: @escaping () -> Int
  ) throws {
    configuration = maker.configuration
    self.machine = machine
    self.host = host
    self.pages = pages
    library = maker.library
    calls = maker.calls
    behaviour = maker.behaviour
    reference = maker.reference
    let text = configuration.completeText
    calls.setConfiguration(text)
    var message = [CChar](repeating: 0, count: 256)
    calls.begin(100)
    let result = library.functions.create(text, host.callbacks, &table, &message, message.count)
    calls.end()
    guard result < 0 || result == 0 && table != nil else {
      let words = result > 0 ? "\(result), no negative errno" : "0, and no page table"
      throw LibraryError("create of \(text) returned \(words)")
    }
    guard result == 0 else {
      let words = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      let errno = LinuxErrno(rawValue: 0 &- result) ?? .einval
      if errno == .enomem { throw LinuxErrno.enomem }
      throw ConfigurationError(
        errno, "the library refuses \(text): \(errno.name) \(String(decoding: words, as: UTF8.self))")
    }
    if maker.isGuarded { guardedBits = smallestPage(table) &- 1 }
  }

  /// Bytes of the smallest page; 1 where the library does not tell.
  private func smallestPage(_ table: OpaquePointer?) -> UInt64 {
    var info = ptkit_table_info()
    info.size = MemoryLayout<ptkit_table_info>.size
    guard let table, let ask = library.functions.info, ask(table, &info) == 0, info.page_sizes != 0 else {
      return 1
    }
    return 1 << UInt64(info.page_sizes.trailingZeroBitCount)
  }

  /// The output address to ask for: where the length is to be kept from the library, one that it refuses in its place, so
  /// that its other errors keep their order.
  private func output(_ pa: UInt64, _ length: UInt64) -> UInt64 { length & guardedBits == 0 ? pa : pa | 1 }

  deinit { release() }

  /// The page sizes in use, a bitmap of bytes; 0 where the library does not say.
  public var pageSizes: UInt64 {
    guard let table, let info = library.functions.info else { return 0 }
    var found = ptkit_table_info()
    found.size = MemoryLayout<ptkit_table_info>.size
    return info(table, &found) == 0 ? found.page_sizes : 0
  }

  // MARK: PageTableUnderTest

  public var root: TableRoot { roots.first ?? TableRoot(physical: 0, level: 0) }

  public var roots: [TableRoot] {
    guard let table else { return [] }
    calls.begin(102)
    defer { calls.end() }
    return withUnsafeTemporaryAllocation(of: ptkit_root.self, capacity: Int(PTKIT_MAX_ROOTS)) { roots in
      roots.initialize(repeating: ptkit_root())
      let count = library.functions.roots(table, roots.baseAddress)
      // No format has so many levels; what a walk makes of larger numbers takes long.
      return roots.prefix(Int(count)).map { TableRoot(physical: $0.physical, level: min(Int($0.level), 16)) }
    }
  }

  public var memory: any PhysicalMemoryReader { machine }
  public var processorMemory: any PhysicalMemoryReader { machine }
  public var tablePages: Int { pages() }
  public var keepsNotes: Bool { false }

  public func takeNotes() -> [OperationNote] {
    defer { notes = [] }
    return notes
  }

  /// The image as the reference reads the tables: a library has no reader of images.
  public func image() throws -> TableImage {
    guard let reference else { throw LibraryError("the reference does not know \(configuration)") }
    return behaviour == .legacy
      ? try DriversImage(reference, dart: configuration.format == "dart").read(roots, machine)
      : try reference.image(roots: roots, memory: machine)
  }

  public func perform(_ operation: Operation) -> OperationResult { call(operation) }

  public func destroy() { release() }

  fileprivate func release() {
    guard let table else { return }
    self.table = nil
    calls.begin(101)
    library.functions.destroy(table)
    calls.end()
  }

  // MARK: Calls

  /// - Parameter gather: what unmaps and readings of dirty bits leave their invalidation to; nil for none.
  final func call(_ operation: Operation, gather: UnsafeMutablePointer<ptkit_gather>? = nil)
    -> OperationResult
  {
    guard let table else { return .none }
    if case .allocationBudget(let pages) = operation {
      machine.allocationBudget = pages
      return .none
    }
    calls.begin(operation)
    defer { calls.end() }
    let functions = library.functions
    var number: UInt64 = 0
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      return Self.result(functions.map(table, iova, output(pa, length), length, protection.rawValue, nil))
    case .mapRange(let iova, let pa, let length, let protection):
      let result = functions.map(table, iova, output(pa, length), length, protection.rawValue, &number)
      return Self.result(result, mapped: number)
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      guard let mapPages = functions.map_pages else {
        return mapEach(table, iova, pa, pageSize, count, protection.rawValue)
      }
      let result = mapPages(table, iova, pa, pageSize, count, protection.rawValue, &number)
      return Self.result(result, mapped: number)
    case .unmap(let iova, let length): return .unmapped(functions.unmap(table, iova, length, gather))
    case .unmapPages(let iova, let pageSize, let count):
      guard let unmapPages = functions.unmap_pages else {
        let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
        return .unmapped(overflow ? 0 : functions.unmap(table, iova, length, nil))
      }
      return .unmapped(unmapPages(table, iova, pageSize, count, nil))
    case .phys(let iova):
      return .physical(functions.iova_to_phys(table, iova, &number) == 0 ? number : nil)
    case .setDirty(let iova):
      let result = functions.set_dirty?(table, iova) ?? Self.unsupported
      return result == Self.unsupported && readsDirty(table) ? deviceWrites(iova) : Self.result(result)
    case .dirty(let iova, let length, let clear): return readDirty(table, iova, length, clear: clear, gather)
    case .allocationBudget: return .none
    }
  }

  /// Maps page by page, so that no leaf is larger than one.
  private func mapEach(
    _ table: OpaquePointer, _ iova: UInt64, _ pa: UInt64, _ pageSize: UInt64, _ count: UInt64,
    _ protection: UInt32
  ) -> OperationResult {
    let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
    guard !overflow else { return .failedMapped(.eoverflow, 0) }
    guard length > 0 else { return .failedMapped(.einval, 0) }
    var done: UInt64 = 0
    while done < length {
      var mapped: UInt64 = 0
      let result = library.functions.map(table, iova &+ done, pa &+ done, pageSize, protection, &mapped)
      guard result == 0 else { return Self.result(result, mapped: done &+ mapped) }
      done += pageSize
    }
    return .okMapped(done)
  }

  private func readDirty(
    _ table: OpaquePointer, _ iova: UInt64, _ length: UInt64, clear: Bool,
    _ gather: UnsafeMutablePointer<ptkit_gather>?
  ) -> OperationResult {
    guard let dirty = library.functions.dirty else { return .failed(.eopnotsupp) }
    var ranges: [DirtyRange] = []
    let result = withUnsafeMutablePointer(to: &ranges) { list in
      dirty(
        table, iova, length, clear ? 0 : UInt32(PTKIT_DIRTY_KEEP),
        { context, iova, length in
          context?.assumingMemoryBound(to: [DirtyRange].self).pointee.append(
            DirtyRange(iova: iova, length: length))
        }, list, gather)
    }
    return result == 0 ? .dirty(ranges) : Self.result(result)
  }

  /// Whether the format tracks what devices write. Asked at the start of the space: AMD's own code of Linux 6.12 loops over
  /// holes at its end.
  private func readsDirty(_ table: OpaquePointer) -> Bool {
    readDirty(table, 0, 0x1000, clear: false, nil) != .failed(.eopnotsupp)
  }

  /// What hardware does on a write: drivers read dirty state, and have nothing that sets it.
  private func deviceWrites(_ iova: UInt64) -> OperationResult {
    guard let reference else { return .failed(.eopnotsupp) }
    func walk(_ access: DeviceAccess) -> Translation? {
      try? reference.walk(iova: iova, roots: roots, memory: machine, access: access).get()
    }
    guard let found = walk(.write) ?? walk(.read), let step = found.path.last else { return .failed(.enoent) }
    func word(dirty: Bool) -> UInt64? {
      reference.encodeLeaf(
        level: found.leafLevel, pa: found.leafPA, size: found.leafSize, protection: found.protection,
        dirty: dirty)
    }
    guard let clean = word(dirty: false), let dirty = word(dirty: true), clean != dirty,
      let place = machine.bytes(at: step.physical, count: reference.wordBytes)?.baseAddress
    else { return .failed(.eopnotsupp) }
    let mutable = UnsafeMutableRawPointer(mutating: place)
    // Arm's hardware clears a bit.
    let bits = clean ^ dirty
    let written = step.word & ~bits | dirty & bits
    if reference.wordBytes == 8 {
      mutable.storeBytes(of: written, as: UInt64.self)
    } else {
      mutable.storeBytes(of: UInt32(truncatingIfNeeded: written), as: UInt32.self)
    }
    return .ok
  }

  /// Invalidates what was gathered.
  final func synchronize(_ gather: UnsafeMutablePointer<ptkit_gather>) {
    guard let table else { return }
    calls.begin(105)
    library.functions.sync(table, gather)
    calls.end()
  }

  private static let unsupported = 0 &- LinuxErrno.eopnotsupp.rawValue

  private static func result(_ value: Int32) -> OperationResult {
    value == 0 ? .ok : .failed(errno(value))
  }

  private static func result(_ value: Int32, mapped: UInt64) -> OperationResult {
    value == 0 ? .okMapped(mapped) : .failedMapped(errno(value), mapped)
  }

  /// Numbers that no page table returns show as EFAULT, which none returns either.
  private static func errno(_ value: Int32) -> LinuxErrno { LinuxErrno(rawValue: 0 &- value) ?? .efault }

  // MARK: Notes

  /// Which of the things that happened are notes of the operation: as vectors of that behaviour have them.
  fileprivate final func note(_ happened: [OperationNote], _ operation: Operation) {
    switch behaviour {
    case .legacy: if happened.contains(.warn), notes.isEmpty { notes = [.warn] }
    case .generic, .own:
      if case .dirty = operation { return }
      notes += happened.filter { $0 != .warn }
    }
  }

  fileprivate final var hasNotes: Bool { behaviour != .own }
}

/// The same with a log of what happens to table memory.
public final class RecordedLibraryTable: LibraryPageTable, LegacyTarget, @unchecked Sendable {
  public let recorder: RecordingMemory
  /// What gathered operations have left to a sync; its size is 0 while it is closed.
  let gather: UnsafeMutablePointer<ptkit_gather>
  public var isModel: Bool { false }

  fileprivate init(_ maker: LibraryTableMaker, _ machine: SimulatedMachine) throws {
    let recorder = RecordingMemory(machine: machine, incoherent: maker.isIncoherent)
    self.recorder = recorder
    gather = .allocate(capacity: 1)
    gather.initialize(to: ptkit_gather())
    let host = LibraryMemory(recorder, machine: machine)
    if let reference = maker.reference { host.watcher = EntryWatcher(reference, recorder) }
    try super.init(maker, host, machine) { recorder.livePages }
    host.watcher?.scanAll()
    if maker.behaviour == .legacy, let reference = maker.reference { host.ignoreRest(of: roots, reference) }
    // Drivers tell the hardware of the first top; an implementation need not.
    if !host.hasTop { for root in roots { host.changeTop(root.physical, UInt32(root.level)) } }
    _ = recorder.takeNotes()
  }

  deinit { gather.deallocate() }

  /// From here on, an operation's writes are looked for where it may write alone: several times faster.
  public func watchNarrowly() { host.watcher?.isNarrow = true }

  override public var memory: any PhysicalMemoryReader { recorder.walkerView }
  override public var keepsNotes: Bool { hasNotes }

  override public func perform(_ operation: Operation) -> OperationResult {
    recorder.beginOperation(operation)
    host.watcher?.begin(operation)
    let result = call(operation)
    host.watcher?.end(operation)
    recorder.endOperation(result)
    note(recorder.takeNotes(), operation)
    return result
  }

  override public func destroy() {
    recorder.recordDetach()
    super.destroy()
  }
}

/// What a page table is made from.
struct LibraryTableMaker {
  var library: Library
  var calls: CallPage
  var behaviour: LibraryBehaviour
  /// In the words of the library.
  var configuration: Configuration
  /// The reference, where it knows the configuration.
  var reference: ReferenceFormat?
  var isIncoherent: Bool
  /// Whether lengths that are no multiple of a page are kept from the library.
  var isGuarded: Bool

  func recorded(_ machine: SimulatedMachine) throws -> LibraryPageTable {
    try RecordedLibraryTable(self, machine)
  }

  func plain(_ machine: SimulatedMachine) throws -> LibraryPageTable {
    let memory = PlainMemory(machine: machine)
    return try LibraryPageTable(self, LibraryMemory(memory, machine: machine), machine) { memory.livePages }
  }
}
