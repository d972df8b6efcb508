// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Learns of operations before they are run, so that they are known when one of them ends the process.
public protocol OperationJournal: AnyObject {
  /// The next operations are on new page tables.
  func start()
  /// This one is run next.
  func add(_ operation: Operation)
}
