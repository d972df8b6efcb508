// SPDX-License-Identifier: GPL-2.0-only

/// The root from which the hardware starts a walk.
public struct TableRoot: Hashable, Sendable {
  /// Physical address of the root table, in bytes.
  public var physical: UInt64
  /// The root's level; 0 is the last level.
  public var level: Int

  public init(physical: UInt64, level: Int) {
    self.physical = physical
    self.level = level
  }
}

/// Read access to simulated or captured memory by physical address.
public protocol PhysicalMemoryReader {
  /// The bytes of `physical ..< physical + byteCount` as the walker sees them, or nil where there is no
  /// table memory. The buffer is valid until the next change of that memory.
  func bytes(at physical: UInt64, count byteCount: Int) -> UnsafeRawBufferPointer?
}

/// One page table, of any witness or target, that selftests and comparisons drive.
public protocol PageTableUnderTest: AnyObject {
  /// The configuration it was made with.
  var configuration: Configuration { get }

  /// Runs one operation to its end and returns its result.
  func perform(_ operation: Operation) -> OperationResult

  /// The notes of the operations since the last call, oldest first; empty where the target
  /// keeps no invalidation log (`keepsNotes`).
  func takeNotes() -> [OperationNote]

  /// Whether `takeNotes` knows of IOTLB syncs and top changes.
  var keepsNotes: Bool { get }

  /// The table image as the implementation itself reads its tables.
  func image() throws -> TableImage

  /// The current root; the first where there are several.
  var root: TableRoot { get }

  /// All roots, in the order of the IOVA bits that choose among them; DART has up to four.
  var roots: [TableRoot] { get }

  /// The memory that the hardware walks.
  var memory: any PhysicalMemoryReader { get }

  /// The same memory as the CPU reads it: with words that are not flushed yet to where a walker that does
  /// not snoop sees them.
  var processorMemory: any PhysicalMemoryReader { get }

  /// 4 KiB pages of table memory allocated now, empty tables included; a table smaller than a
  /// page counts as one page.
  var tablePages: Int { get }
}

extension PageTableUnderTest {
  public var roots: [TableRoot] { [root] }
  public var processorMemory: any PhysicalMemoryReader { memory }
}
