// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// The changes that a run has made on a machine, in their order. Each is written down, and is on the file, before it is
/// made; they are undone in reverse order. What kills the run leaves the file, and `ptkit restore` reads it.
public final class Journal {
  /// The machine that is changed.
  let machine: any Machine
  private let file: JournalFile?
  private var entries: [Entry] = []
  /// Whether anything was ever changed.
  public private(set) var hasChanges = false

  private struct Entry {
    var number: Int
    var change: KernelChange
  }

  /// A journal on a file, or in memory alone.
  public init(machine: any Machine, file: JournalFile? = nil) {
    self.machine = machine
    self.file = file
  }

  /// A journal that was left, with what is not undone.
  init(machine: any Machine, file: JournalFile, left changes: [JournalText.Numbered]) {
    self.machine = machine
    self.file = file
    entries = changes.map { Entry(number: $0.number, change: $0.change) }
  }

  /// The changes that are not undone, in the order in which they were made.
  public var changes: [KernelChange] { entries.map(\.change) }

  /// The place in the journal, for `undo(to:)`.
  public var mark: Int { entries.count }

  /// Writes a change down, and makes it. One that fails in the middle is undone.
  ///
  /// - Parameter isAtomic: whether a change that failed has changed nothing, so that there is nothing to undo.
  /// - Throws: what `body` throws, and `JournalError` when it cannot be written down.
  @discardableResult
  public func make<Result>(
    _ change: KernelChange, isAtomic: Bool = false, _ body: () throws -> Result
  ) throws -> Result {
    let number = try file?.append(change) ?? entries.count + 1
    entries.append(Entry(number: number, change: change))
    do {
      let result = try body()
      hasChanges = true
      return result
    } catch {
      // Of a machine that is lost, nobody knows what it has done.
      if isAtomic, (error as? MachineError)?.number != nil || !(error is MachineError) {
        entries.removeLast()
        try file?.appendUndone(number)
        throw error
      }
      hasChanges = true
      let problems = undo(to: entries.count - 1)
      if problems.isEmpty { throw error }
      throw KernelFailure(details: ["\(error)"] + problems)
    }
  }

  /// Undoes, last first, the changes made since a mark. One that cannot be undone stays in the journal, and does not
  /// keep those before it from being undone.
  ///
  /// - Returns: what could not be undone, a line each.
  public func undo(to mark: Int) -> [String] {
    var problems: [String] = []
    for index in entries.indices.reversed() where index >= mark {
      do {
        try KernelUndo(machine: machine).undo(entries[index].change)
        try file?.appendUndone(entries[index].number)
        entries.remove(at: index)
      } catch {
        problems.append("\(entries[index].change) cannot be put back: \(error)")
      }
    }
    return problems
  }

  /// Undoes everything. The file goes away when nothing is left in it.
  ///
  /// - Returns: what could not be undone, a line each.
  public func undoAll() -> [String] {
    let problems = undo(to: 0)
    if problems.isEmpty { file?.remove() }
    return problems
  }
}
